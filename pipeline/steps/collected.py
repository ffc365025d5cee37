"""What the steps of this source tree left to be signed, and which kinds they left out and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import LISTED, SHAPES, Kind
from pipeline.model.outcome import Evidence, Status, StepRecord
from pipeline.model.predicates import context_of, parse_predicate
from pipeline.steps.job import Job

#: Kind to the step that makes it. The signature is attest's own.
MADE_BY: Mapping[Kind, str] = {
    Kind.PROVENANCE: "image",
    Kind.SOURCE: "source",
    Kind.TESTS: "tests",
    Kind.SAST: "sast",
    Kind.WORKFLOWS: "workflows",
    Kind.DEPENDENCIES: "audit",
    Kind.VULNERABILITIES: "audit",
    Kind.SBOM: "sbom",
    Kind.HARDENING: "image",
    Kind.SMOKE: "smoke",
}
#: Kinds that no step of the main job makes.
MADE_ELSEWHERE: Mapping[Kind, str] = {
    Kind.REPRODUCTION: "needs a second build: `scripts/nox -s reproduce`",
}
_MAX_REASON = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Absent:
    """A listed kind without evidence; ``platform`` where the kind exists once per platform."""

    kind: Kind
    platform: str | None
    status: Literal["skipped", "crashed"]
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    evidence: tuple[Evidence, ...]
    absent: tuple[Absent, ...]


def collect(job: Job, platforms: Iterable[str]) -> Collected:
    """The evidence of this tree's records, failed results included, and what is missing for ``platforms``.

    Raises Refused (``attest.other-source``) and CannotEvaluate (``attest.duplicate``, ``attest.kind``,
    ``document.*``).
    """
    records = {step: _record(job, step) for step in dict.fromkeys(MADE_BY.values())}
    evidence = tuple(
        _checked(job, step, one)
        for step, record in records.items()
        # What a crashed step left is half of something.
        if record and record.outcome.status in (Status.PASSED, Status.WARNED, Status.FAILED)
        for one in record.outcome.evidence
    )
    names = [(one.kind, one.platform) for one in evidence]
    for kind, platform in names:
        if names.count((kind, platform)) > 1:
            raise CannotEvaluate(
                "attest.duplicate",
                f"{kind} {platform or ''}: made twice (got two pieces of evidence, expected one)",
                fix="run the steps again with `scripts/pipeline --fresh`",
            )
    return Collected(evidence=evidence, absent=tuple(_absences(job, records, set(names), list(platforms))))


def _record(job: Job, step: str) -> StepRecord | None:
    """A record that names no source could be of any tree, so it is none."""
    record = job.read_record(step)
    return record if record is not None and record.context is not None else None


def _checked(job: Job, step: str, evidence: Evidence) -> Evidence:
    if MADE_BY.get(evidence.kind) != step:
        raise CannotEvaluate(
            "attest.kind",
            f"step {step}: evidence of a kind that it does not make (got {evidence.kind}, expected another)",
            fix="run the steps again with `scripts/pipeline --fresh`",
        )
    context = context_of(parse_predicate(evidence.kind, evidence.predicate))
    if context is None or context.source != job.source:
        got = context.source.tree[:12] if context else "none"
        raise Refused(
            "attest.other-source",
            f"{evidence.kind}: evidence of another source tree (got {got}, expected {job.source.tree[:12]})",
            fix=f"run the step again on this tree: `scripts/nox -s {step}`",
        )
    return evidence


def _absences(
    job: Job,
    records: Mapping[str, StepRecord | None],
    present: set[tuple[Kind, str | None]],
    platforms: list[str],
) -> Iterator[Absent]:
    for kind in LISTED:
        if kind is Kind.SIGNATURE:
            continue
        wanted: list[str | None] = [*platforms] if SHAPES[kind].per_platform else [None]
        for platform in wanted:
            if (kind, platform) not in present:
                status, reason = _why(job, kind, records)
                yield Absent(kind=kind, platform=platform, status=status, reason=reason)


def _why(job: Job, kind: Kind, records: Mapping[str, StepRecord | None]) -> tuple[Literal["skipped", "crashed"], str]:
    if kind in MADE_ELSEWHERE:
        return "skipped", MADE_ELSEWHERE[kind]
    step = MADE_BY[kind]
    record = records[step]
    if record is None:
        return "skipped", f"step {step} has not run on this source tree"
    # The list may be published: it says nothing of this machine's folders.
    finding = record.outcome.finding.replace(str(job.root), ".")
    line = "".join(c if c.isprintable() else " " for c in finding)[:_MAX_REASON]
    stopped = record.outcome.status in (Status.CRASHED, Status.FAILED)
    return ("crashed" if stopped else "skipped"), f"step {step} {record.outcome.status}: {line}"
