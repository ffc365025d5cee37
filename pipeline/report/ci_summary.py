"""The summary that a CI job shows: GitHub-flavoured Markdown whose only foreign text stands inside HTML blocks.

In an HTML block Markdown is not read (CommonMark 4.6), so escaping for HTML is enough: no link, image, mention or
table can come from a finding.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from pipeline.files import read_limited
from pipeline.model.errors import CannotEvaluate
from pipeline.report.html import MARKS, headline
from pipeline.report.reasons import reasons
from pipeline.report.run import Run
from pipeline.report.text import fit, printable

LIMIT = 1024 * 1024
"""Bytes that GitHub shows of a step's summary; a longer one is dropped whole (GitHub Docs, "Job summaries")."""
_CELL = 400


def _cell(text: str) -> str:
    return escape(fit(printable(text), _CELL))


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """``rows`` are escaped already. One HTML block: a blank line would end it."""
    yield "<table>"
    yield "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"
    yield from ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    yield "</table>"
    yield ""


def _lines(run: Run, rows: int) -> Iterator[str]:
    yield "## Gatehouse"
    yield ""
    yield f"<p><b>{_cell(run.app)} {_cell(run.version)}</b>: {_cell(headline(run)[1])}</p>"
    yield ""
    if run.image:
        yield f"<p>image <code>{_cell(run.image.digest)}</code></p>"
        yield ""
    steps = run.steps[:rows]
    if steps:
        yield from _table(
            ("step", "result", "seconds", "finding"),
            [(_cell(s.name), f"{MARKS[s.result]} {s.result}", f"{s.seconds:.1f}", _cell(s.finding)) for s in steps],
        )
    verdicts = run.verdicts[:rows]
    if verdicts:
        yield from _table(
            ("environment", "verdict", "reasons"),
            [
                (_cell(v.environment), v.result, _cell(", ".join(sorted({r.code for r in v.refusals}))))
                for v in verdicts
            ],
        )
    refusals = reasons(run)[:rows]
    if refusals:
        yield from _table(
            ("refusal", "in", "what", "fix"),
            [(_cell(r.code), _cell(", ".join(r.environments)), _cell(r.message), _cell(r.fix)) for r in refusals],
        )
    if max(len(run.steps), len(run.verdicts), len(reasons(run))) > rows:
        yield "<p>There is more than fits here: see <code>dist/report.html</code> among the job's artifacts.</p>"
        yield ""


def render(run: Run, limit: int = LIMIT) -> bytes:
    """At most ``limit`` bytes: fewer rows where all do not fit, nothing at all where not even the heading does."""
    for rows in (200, 50, 10, 0):
        text = "\n".join(_lines(run, rows)).encode()
        if len(text) <= limit:
            return text
    return b""


def append(run: Run, path: Path) -> None:
    """Add the summary to the file that the CI named; what other steps wrote there counts against the limit."""
    try:
        taken = len(read_limited(path, LIMIT)) if path.exists() else 0
        with path.open("ab") as file:
            file.write(render(run, LIMIT - taken))
    except OSError as error:
        raise CannotEvaluate(
            "report.summary",
            f"CI summary: not written (got {error.strerror or error}, expected a file that can be appended to)",
            fix="let GITHUB_STEP_SUMMARY name a writable file, or leave it unset",
        ) from error
