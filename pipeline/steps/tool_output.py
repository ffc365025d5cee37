"""What a tool said, read so that a tool that was killed, cut short or fell over never counts as a yes."""

from collections.abc import Collection
from typing import Any, TypeVar

from pipeline.model.documents import Document, parse_json, validate
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed


class Report(Document):
    """Base of a tool's report: fields that we do not look at may come and go with its releases."""

    model_config = {**Document.model_config, "extra": "ignore"}


R = TypeVar("R", bound=Report)


def unreadable(step: str, tool: str, got: str, expected: str) -> CannotEvaluate:
    """The one refusal for output that proves nothing (code ``<step>.unreadable``)."""
    return CannotEvaluate(
        f"{step}.unreadable",
        f"{tool}: no result that can be trusted (got {got[:400]}, expected {expected})",
        fix=f"run `scripts/nox -s {step}` again; if it stays so, run {tool} by hand on the same files",
    )


def read_json(step: str, tool: str, completed: Completed, exit_codes: Collection[int]) -> Any:
    """The JSON on the tool's stdout, if it ended with one of ``exit_codes``; raises ``unreadable``."""
    if completed.exit_code not in exit_codes:
        ended = f"exit code {completed.exit_code}: {completed.last_words}"
        raise unreadable(step, tool, ended, f"exit code {' or '.join(str(code) for code in sorted(exit_codes))}")
    try:
        return parse_json(completed.stdout, what=f"{tool}'s output")
    except CannotEvaluate as error:
        raise unreadable(step, tool, error.message, "one whole JSON document") from error


def typed(step: str, tool: str, model: type[R], parsed: Any) -> R:
    """Hold a tool's JSON against the shape of its report; raises ``unreadable``."""
    try:
        return validate(model, parsed, what=f"{tool}'s output")
    except CannotEvaluate as error:
        raise unreadable(step, tool, error.message, f"{tool}'s report") from error


def agree(step: str, tool: str, completed: Completed, expected: int) -> None:
    """Hold the exit code against what the output means; two that differ are worth nothing. Raises ``unreadable``."""
    if completed.exit_code != expected:
        got = f"exit code {completed.exit_code} beside output that means {expected}"
        raise unreadable(step, tool, got, "both to say the same")
