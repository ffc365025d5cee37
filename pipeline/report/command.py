"""What ``report`` does: read the last run once, and write it in every form."""

from pathlib import Path
from typing import Literal, TextIO

from pipeline import settings
from pipeline.files import write_atomic
from pipeline.report import ci_summary, html, terminal
from pipeline.report.reading import as_json, read_run
from pipeline.report.run import Run


def write_reports(
    root: Path,
    stream: TextIO,
    *,
    style: Literal["text", "json"] = "text",
    no_color: bool = False,
    summary: Path | None = None,
) -> Run:
    """Write ``dist/report.html`` and ``dist/summary.json``, print the run on ``stream``; returns what was read.

    ``summary`` is the file that a CI names for its job summary (``GITHUB_STEP_SUMMARY``), None outside of one.
    Raises CannotEvaluate (``report.*``, ``document.*``, ``files.*``) and Misuse (``settings.*``).
    """
    run = read_run(root, settings.load(root))
    write_atomic(root / "dist" / "report.html", html.render(run))
    write_atomic(root / "dist" / "summary.json", as_json(run))
    if summary is not None:
        ci_summary.append(run, summary)
    if style == "json":
        stream.write(as_json(run).decode())
    else:
        stream.write(terminal.render(run, terminal.terminal_of(stream, no_color=no_color)))
    stream.flush()
    return run
