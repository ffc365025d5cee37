"""Refusals put together for reading: what differs in its subject alone, or in the environment, is told once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.report.run import Refusal, Run
from pipeline.report.text import split_message


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One cause. ``subjects`` are what the messages begin with: ``tests`` of ``tests: not there (...)``."""

    code: str
    subjects: Sequence[str]
    what: str
    got: str
    expected: str
    fix: str
    environments: Sequence[str]

    @property
    def subject(self) -> str:
        return ", ".join(self.subjects)

    @property
    def message(self) -> str:
        """As the gate words it, for all subjects at once."""
        said = f"{self.subject}: {self.what}" if self.subjects else self.what
        return f"{said} (got {self.got}, expected {self.expected})" if self.got or self.expected else said


def _split(refusal: Refusal) -> tuple[str, tuple[str, ...]]:
    """The subject, and all else that makes it the same cause."""
    said, got, expected = split_message(refusal.message)
    subject, separator, what = said.partition(": ")
    return (
        (subject, (refusal.code, what, got, expected, refusal.fix))
        if separator
        else (
            "",
            (refusal.code, said, got, expected, refusal.fix),
        )
    )


def group(refusals: Iterable[tuple[Refusal, str]]) -> list[Reason]:
    """Causes in the order in which they first come; each refusal comes with its environment."""
    subjects: dict[tuple[str, ...], dict[str, None]] = {}
    environments: dict[tuple[str, ...], dict[str, None]] = {}
    for refusal, environment in refusals:
        subject, cause = _split(refusal)
        subjects.setdefault(cause, {}).update({subject: None} if subject else {})
        environments.setdefault(cause, {})[environment] = None
    return [
        Reason(
            code=cause[0],
            subjects=list(subjects[cause]),
            what=cause[1],
            got=cause[2],
            expected=cause[3],
            fix=cause[4],
            environments=list(environments[cause]),
        )
        for cause in subjects
    ]


def reasons(run: Run) -> list[Reason]:
    """Every cause of every environment, earlier environments first."""
    return group((refusal, verdict.environment) for verdict in run.verdicts for refusal in verdict.refusals)
