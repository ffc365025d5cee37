"""The closing table of a run: steps, image, verdicts, artifacts, and what to type next."""

import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TextIO

from pipeline.report.reasons import group
from pipeline.report.run import Refusal, Reproduction, Run, Step, Verdict
from pipeline.report.text import as_ascii, columns, fit, printable, seconds, size, split_message, wrap

_COLOURS = {
    "passed": "32",
    "reused": "32",
    "warned": "33",
    "skipped": "2",
    "failed": "31",
    "crashed": "31",
    "not run": "31",
}
_PROBLEMS = 5
"""Of one step; the page has them all."""
_NARROW = 64
"""Below this many columns a finding stands under its step instead of beside it."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """What the place that we write to can show. ``width`` in columns."""

    width: int = 80
    colour: bool = False
    utf8: bool = False

    def fit(self, text: str, width: int) -> str:
        return fit(text, width) if self.utf8 else fit(as_ascii(text), width, "...")

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def terminal_of(stream: TextIO, *, no_color: bool) -> Terminal:
    """Colour only on a terminal and never with ``no_color`` (no-color.org); not a terminal is 100 columns wide."""
    interactive = stream.isatty()
    try:
        width = os.get_terminal_size(stream.fileno()).columns if interactive else 100
    except OSError:
        width = 80
    return Terminal(
        width=max(width, 40),
        colour=interactive and not no_color,
        utf8=(stream.encoding or "").lower().replace("-", "") == "utf8",
    )


def render(run: Run, terminal: Terminal) -> str:
    """The whole text, ending in a newline. Everything foreign in it is printable and on its own line."""
    parts: tuple[Callable[[Run, Terminal], Iterator[str]], ...] = (
        _title,
        _steps,
        _problems,
        _image,
        _verdicts,
        _artifacts,
        _closing,
    )
    blocks = ["\n".join(part(run, terminal)) for part in parts]
    text = "\n\n".join(block for block in blocks if block) + "\n"
    return text if terminal.utf8 else as_ascii(text)


def _title(run: Run, terminal: Terminal) -> Iterator[str]:
    line = f"{printable(run.app)} {printable(run.version)}"
    if run.source:
        state = ", work tree differs from it" if run.source.dirty else ""
        line += f" · commit {run.source.commit[:12]}{state}"
    yield terminal.paint(terminal.fit(line, terminal.width), "1")


def _steps(run: Run, terminal: Terminal) -> Iterator[str]:
    name = max([len(step.name) for step in run.steps] + [4])
    yield terminal.paint(f"{'step':{name}}  {'result':7}  {'seconds':>7}  finding".rstrip(), "2")
    for step in run.steps:
        yield from _step(step, name, terminal)


def _step(step: Step, name: int, terminal: Terminal) -> Iterator[str]:
    left = f"{terminal.fit(printable(step.name), name):{name}}  "
    result = terminal.paint(f"{step.result:7}", _COLOURS[step.result])
    finding = printable(step.finding)
    if terminal.width < _NARROW:
        yield f"{left}{result}  {step.seconds:7.1f}"
        yield from (f"  {line}" for line in wrap(finding, terminal.width - 2) if line)
    else:
        room = terminal.width - len(left) - 18
        yield f"{left}{result}  {step.seconds:7.1f}  {terminal.fit(finding, room)}".rstrip()


def hanging(label: str, text: str, terminal: Terminal, indent: int = 2) -> Iterator[str]:
    """``label`` and ``text``, the text's further lines below its first."""
    space = " " * (indent + columns(label))
    lines = wrap(printable(text), max(terminal.width - len(space), 20))
    yield f"{' ' * indent}{label}{lines[0]}"
    yield from (space + line for line in lines[1:])


def reason_lines(code: str, message: str, fix: str, terminal: Terminal) -> Iterator[str]:
    """A refusal or a problem: its code, what differs, and how to mend it."""
    yield "  " + terminal.paint(printable(code), "1")
    yield from hanging("", _shortened(message, terminal), terminal, 4)
    yield from hanging("fix: ", fix, terminal, 4)


def _shortened(message: str, terminal: Terminal) -> str:
    """What was got may be a list of everything: the page and the JSON have it whole."""
    what, got, expected = split_message(message)
    if not got and not expected:
        return message
    return f"{what} (got {terminal.fit(printable(got), 120)}, expected {terminal.fit(printable(expected), 120)})"


def _problems(run: Run, terminal: Terminal) -> Iterator[str]:
    for step in run.steps:
        if step.problems:
            yield f"{printable(step.name)} {terminal.paint(step.result, _COLOURS[step.result])}"
        for problem in step.problems[:_PROBLEMS]:
            yield from reason_lines(problem.code, problem.message, problem.fix, terminal)
        if len(step.problems) > _PROBLEMS:
            yield f"  and {len(step.problems) - _PROBLEMS} more in dist/report.html"


def _image(run: Run, terminal: Terminal) -> Iterator[str]:
    if run.image:
        yield f"image  {printable(run.image.digest)}"
        for platform in run.image.platforms:
            sizes = f" · {size(platform.compressed)} compressed, {size(platform.unpacked)} unpacked"
            yield from hanging("", f"{platform.name}{sizes if platform.compressed else ''}", terminal, 7)
    if run.reproduction:
        yield from _reproduction(run.reproduction, terminal)


def _reproduction(again: Reproduction, terminal: Terminal) -> Iterator[str]:
    same = "the same digest" if again.same_digest else f"the same {again.paths} paths"
    found = f"{again.count} differences" if again.count else same
    yield from hanging("built again  ", f"{found} from {again.second}; shared: {', '.join(again.shared)}", terminal, 0)
    for one in again.differences[:_PROBLEMS]:
        yield from hanging("", f"{one.place}: {one.what}", terminal, 13)
    if again.count > _PROBLEMS:
        yield f"{'':13}and {again.count - _PROBLEMS} more in dist/reports/reproduction.txt"


def _verdicts(run: Run, terminal: Terminal) -> Iterator[str]:
    told: set[Refusal] = set()
    for verdict in run.verdicts:
        yield from _verdict(verdict, told, terminal)
        told.update(verdict.refusals)


def _verdict(verdict: Verdict, told: AbstractSet[Refusal], terminal: Terminal) -> Iterator[str]:
    """A refusal that an earlier environment had for the same reason is named, not told again."""
    passed = verdict.result == "PASSED"
    counted = len(verdict.refusals)
    count = "" if passed else f" · {counted} {'refusal' if counted == 1 else 'refusals'}"
    yield f"{printable(verdict.environment):12} {terminal.paint(verdict.result, '1;32' if passed else '1;31')}{count}"
    for reason in group((refusal, verdict.environment) for refusal in verdict.refusals if refusal not in told):
        yield from reason_lines(reason.code, reason.message, reason.fix, terminal)
    again = sorted({printable(refusal.code) for refusal in verdict.refusals if refusal in told})
    if again:
        yield from hanging("as above: ", ", ".join(again), terminal)
    for warning in group((warning, verdict.environment) for warning in verdict.warnings):
        yield from hanging("warning: ", f"{warning.code}: {_shortened(warning.message, terminal)}", terminal)


def _artifacts(run: Run, terminal: Terminal) -> Iterator[str]:
    if run.artifacts:
        yield from hanging("dist/  ", ", ".join([*run.files, "report.html", "summary.json"]), terminal, 0)


def _closing(run: Run, terminal: Terminal) -> Iterator[str]:
    counted = ", ".join(f"{count} {result}" for result, count in run.counts.items())
    sessions = "1 session" if len(run.steps) == 1 else f"{len(run.steps)} sessions"
    yield from hanging("", f"{sessions} in {seconds(run.seconds)}: {counted or 'none ran'}", terminal, 0)
    yield f"next: {terminal.paint(printable(run.next), '1')}"
