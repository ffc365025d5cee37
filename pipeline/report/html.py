"""``report.html``: one file that needs no script, no network and no other file to be read."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report.diagram import lying, standing
from pipeline.report.reasons import reasons
from pipeline.report.run import Run
from pipeline.report.text import printable, seconds, size

_TEMPLATES = Path(__file__).parent / "templates"
MARKS = {
    "passed": "✓",
    "reused": "↻",
    "warned": "!",
    "skipped": "–",  # noqa: RUF001
    "failed": "✕",
    "crashed": "✕",
    "not run": "✕",
}


def headline(run: Run) -> tuple[str, str]:
    """(state, sentence): what somebody who reads one line should know."""
    if not run.verdicts:
        return ("bad", f"Stopped: {_and(run.stopped)} did not pass.") if run.stopped else ("warn", "Not judged.")
    passed = [verdict.environment for verdict in run.verdicts if verdict.result == "PASSED"]
    refused = [verdict.environment for verdict in run.verdicts if verdict.result == "FAILED"]
    sentences = [f"May run in {_and(passed)}." if passed else "May run nowhere."]
    if refused:
        sentences.append(f"Refused for {_and(refused)}.")
    # What verify and promote say is what the verdicts say.
    if others := [name for name in run.stopped if name not in ("verify", "promote")]:
        sentences.append(f"{_and(others).capitalize()} did not pass.")
    return "good" if run.accepted else "bad", " ".join(sentences)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def licences(run: Run) -> list[tuple[str, int]]:
    """Licence to number of components that name it, most first."""
    counted = Counter(licence for component in run.components for licence in component.licences or ["not stated"])
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def ecosystems(run: Run) -> Mapping[str, int]:
    return Counter({"pypi": "Python", "deb": "Debian"}.get(c.ecosystem, "other") for c in run.components)


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds, size=size)
    return environment


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M UTC")


def page(template: str, **values: Any) -> bytes:
    """A template filled in, UTF-8. Its content security policy allows its own style sheet, by hash, and no more."""
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704 our own file
            style_hash=style_hash,
            **values,
        )
    )
    return text.encode()


def render(run: Run) -> bytes:
    """The page of a run."""
    state, sentence = headline(run)
    return page(
        "report.html.j2",
        run=run,
        state=state,
        sentence=sentence,
        reasons=reasons(run),
        diagrams={"lying": lying(run), "standing": standing(run)},
        licences=licences(run),
        ecosystems=ecosystems(run),
        marks=MARKS,
        started=_moment(run.started),
        longest=max([step.seconds for step in run.steps] + [0.1]),
    )
