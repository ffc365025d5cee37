"""Bandit over the service and the pipeline, with nothing ignored but what ``policies/sast.toml`` accepts.

Files are named one by one, so that a planted ``.bandit`` is not looked for; ``# nosec`` does not count; -I keeps a
``bandit.py`` of the repository from being run in the scanner's place.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pipeline.model.digests import Digest
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Outcome, Problem, Status
from pipeline.model.predicates import Descriptor, TestResult, dump
from pipeline.processes import run as run_program
from pipeline.steps.accepted import FILE, Accepted, load_accepted
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job
from pipeline.steps.python_files import shipped_files
from pipeline.steps.tool_output import Report, agree, read_json, typed, unreadable

STEP = "sast"
#: All of Bandit's tests, none excluded.
CONFIGURATION = b"exclude_dirs: []\nskips: []\ntests: []\n"


class Finding(Report):
    filename: str
    line_number: int
    test_id: str
    issue_severity: Literal["HIGH", "MEDIUM", "LOW", "UNDEFINED"]
    issue_text: str


class _Error(Report):
    filename: str
    reason: str


class _BanditReport(Report):
    errors: list[_Error]
    metrics: dict[str, dict[str, float]]
    results: list[Finding]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Findings that stand, how many are accepted, and accepted entries that no longer say anything."""

    standing: Sequence[Finding]
    accepted: int
    expired: Sequence[Accepted]
    stale: Sequence[Accepted]


def run(job: Job) -> Outcome:
    """Raises CannotEvaluate (``sast.unreadable``, ``sast.accepted``)."""
    accepted = load_accepted(job.root)
    files = shipped_files(job.root, [job.settings.app.directory, "pipeline"])
    if not files:
        problem = Problem(
            code="sast.none",
            message=f"{job.settings.app.directory}: nothing to scan (got no Python file, expected at least one)",
            fix="name the service's folder in pipeline.toml (app.directory)",
        )
        return Outcome(status=Status.FAILED, finding=problem.message, problems=[problem])
    judged = judge(scan(job, files), accepted, job.now.date())
    problems = [*map(_standing, judged.standing), *map(_expired, judged.expired), *map(_stale, judged.stale)]
    status = Status.FAILED if judged.standing else Status.WARNED if problems else Status.PASSED
    counts = f"{len(judged.standing)} findings, {judged.accepted} accepted"
    more = f"; {problems[0].message}" if problems else ""
    return Outcome(
        status=status,
        finding=f"{len(files)} files: {counts}{more}",
        evidence=[Evidence(kind=Kind.SAST, predicate=dump(predicate(job, judged, len(files))))],
        problems=problems,
    )


def scan(job: Job, files: Sequence[str]) -> list[Finding]:
    """Every finding in ``files``; raises CannotEvaluate (``sast.unreadable``) unless each was really parsed."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as configuration:
        configuration.write(CONFIGURATION)
        configuration.flush()
        command = [str(job.python("checks")), "-Im", "bandit", "-c", configuration.name, "--ignore-nosec"]
        # An exclusion that matches nothing: Bandit's default leaves out folders by name, CVS and .tox among them.
        shape = ["--exclude", "/nowhere", "--quiet", "--format", "json", "--", *files]
        completed = run_program([*command, *shape], cwd=job.root, timeout=600)
    report = typed(STEP, "bandit", _BanditReport, read_json(STEP, "bandit", completed, (0, 1)))
    if report.errors:
        got = f"{report.errors[0].filename}: {report.errors[0].reason}"
        raise unreadable(STEP, "bandit", got, "every file to be parsed")
    scanned = {name.removeprefix("./") for name in report.metrics if name != "_totals"}
    if scanned != set(files):
        got = f"another set of files: {', '.join(sorted(scanned ^ set(files))[:5])}"
        raise unreadable(STEP, "bandit", got, f"a report on all {len(files)} files")
    agree(STEP, "bandit", completed, 1 if report.results else 0)
    return [finding.model_copy(update={"filename": finding.filename.removeprefix("./")}) for finding in report.results]


def judge(findings: Sequence[Finding], accepted: Sequence[Accepted], today: date) -> Judged:
    """Take out what is accepted today; an entry past its day counts as if it were not there."""
    holding = {(item.id, item.file) for item in accepted if item.holds(today)}
    seen = {(finding.test_id, finding.filename) for finding in findings}
    standing = [finding for finding in findings if (finding.test_id, finding.filename) not in holding]
    return Judged(
        standing=sorted(standing, key=lambda finding: (finding.filename, finding.line_number, finding.test_id)),
        accepted=len(findings) - len(standing),
        expired=[item for item in accepted if not item.holds(today) and (item.id, item.file) in seen],
        stale=[item for item in accepted if (item.id, item.file) not in seen],
    )


def predicate(job: Job, judged: Judged, files: int) -> TestResult:
    count = Counter(finding.issue_severity for finding in judged.standing)
    return TestResult(
        result="FAILED" if judged.standing else "PASSED",
        configuration=[
            Descriptor(name="bandit", digest={"sha256": Digest.of(CONFIGURATION).hex}),
            Descriptor(name=FILE, digest={"sha256": Digest.of((job.root / FILE).read_bytes()).hex}),
        ],
        failedTests=sorted({f"{finding.test_id} {finding.filename}" for finding in judged.standing}),
        gatehouse_measures={
            "files": files,
            "findings_high": count["HIGH"],
            "findings_medium": count["MEDIUM"],
            "findings_low": count["LOW"] + count["UNDEFINED"],
            "accepted": judged.accepted,
        },
        gatehouse_context=job.context("bandit", version_of(job.python("checks"), "bandit")),
    )


def _standing(finding: Finding) -> Problem:
    severity = finding.issue_severity.lower()
    return Problem(
        code=f"sast.{finding.test_id}",
        message=f"{finding.filename}:{finding.line_number}: {finding.issue_text} (got {severity}, expected none)",
        fix=f"write it another way, or accept {finding.test_id} for this file in {FILE} with reason, owner and expiry",
    )


def _expired(item: Accepted) -> Problem:
    return Problem(
        code="sast.expired",
        message=f"{FILE}: {item.id} in {item.file}: no longer accepted (got {item.expires}, expected a later day)",
        fix=f"mend the finding, or have {item.owner} decide anew",
    )


def _stale(item: Accepted) -> Problem:
    return Problem(
        code="sast.stale",
        message=f"{FILE}: {item.id} in {item.file}: accepts nothing (got no such finding, expected one)",
        fix=f"remove the entry from {FILE}",
    )
