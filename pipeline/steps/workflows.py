"""The ``workflows`` step: what scanners and our own checks find in this repository's workflows, as evidence."""

from collections.abc import Mapping, Sequence

from pipeline.git import take_snapshot
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Outcome, Problem, Status
from pipeline.model.predicates import Descriptor, TestResult, dump
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job
from pipeline.steps.workflow_inspection import ZIZMOR, Inspection, inspect
from pipeline.workflows.checks import CHECKS


def run(job: Job) -> Outcome:
    """Raises CannotEvaluate (``workflows.unreadable``)."""
    inspection = inspect(job.root, job.python("checks"), take_snapshot(job.root).files)
    return _failed(list(inspection.broken)) if inspection.broken else _outcome(job, inspection)


def _failed(problems: list[Problem]) -> Outcome:
    return Outcome(status=Status.FAILED, finding=problems[0].message, problems=problems)


def _outcome(job: Job, found: Inspection) -> Outcome:
    problems = found.problems
    counts = {"files": found.files, "findings_zizmor": len(found.by_zizmor), "findings_own": len(found.by_us)}
    document = predicate(job, counts, problems)
    first = f", first: {problems[0].message}" if problems else ""
    return Outcome(
        status=Status.FAILED if problems else Status.PASSED,
        finding=f"{found.files} files, {len(problems)} findings{first}",
        evidence=[Evidence(kind=Kind.WORKFLOWS, predicate=dump(document))],
        problems=problems,
    )


def predicate(job: Job, measures: Mapping[str, int], problems: Sequence[Problem]) -> TestResult:
    configuration = canonical_json({"zizmor": list(ZIZMOR), "checks": [check.id for check in CHECKS]})
    checks = job.python("checks")
    failed = {problem.code.removeprefix("workflows.") for problem in problems}
    return TestResult(
        result="FAILED" if problems else "PASSED",
        configuration=[
            Descriptor(name="workflows", digest={"sha256": Digest.of(configuration).hex}),
            Descriptor(name=f"check-jsonschema {version_of(checks, 'check-jsonschema')}"),
        ],
        passedTests=sorted(check.id for check in CHECKS if check.id not in failed),
        failedTests=sorted(failed),
        gatehouse_measures=dict(measures),
        gatehouse_context=job.context("zizmor", version_of(checks, "zizmor")),
    )
