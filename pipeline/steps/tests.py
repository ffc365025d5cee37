"""The service's tests with branch coverage: pytest's JUnit report and coverage's JSON, held against each other.

pyproject.toml configures pytest and this module configures coverage; a pytest.ini or .coveragerc planted in the
tree is not read, and no option comes from the environment.
"""

import tempfile
from pathlib import Path

from pipeline.files import read_limited, sha256_file
from pipeline.model.context import Context
from pipeline.model.digests import Digest
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, Status
from pipeline.model.predicates import Descriptor, TestResult, dump
from pipeline.processes import Completed
from pipeline.processes import run as run_program
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job
from pipeline.steps.junit import Results, read_junit
from pipeline.steps.python_files import shipped_files
from pipeline.steps.tool_output import Report, agree, typed, unreadable

STEP = "tests"
_LIMIT = 16 * 1024 * 1024
#: Pytest's exit codes where collecting broke off and where it found nothing (pytest documentation, "Exit codes").
_INTERRUPTED, _NO_TESTS = 2, 5
_COVERAGE = """\
[run]
branch = true
relative_files = true
source = {source}
data_file = {data}
[report]
include_namespace_packages = true
exclude_also =
    if TYPE_CHECKING:
    \\.\\.\\.$
"""


class _Totals(Report):
    percent_covered: float


class _Coverage(Report):
    files: dict[str, dict[str, object]]
    totals: _Totals


def run(job: Job) -> Outcome:
    """Raises CannotEvaluate (``tests.unreadable``) where reports are missing, cut or at odds with the exit code."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-tests-") as folder:
        work = Path(folder)
        settings = _COVERAGE.format(source=job.settings.app.directory, data=work / "data")
        (work / "coveragerc").write_text(settings, encoding="utf-8")
        completed = _pytest(job, work)
        if completed.exit_code == _NO_TESTS:
            return _none(job)
        results = read_junit(_report(work / "tests.xml", completed), step=STEP)
        if results.total == 0:
            return _none(job)
        artifacts = [_keep(job, work / "tests.xml")]
        if results.error and completed.exit_code == _INTERRUPTED:
            percent = 0.0  # a test file does not import, so no test ran
        else:
            agree(STEP, "pytest", completed, 1 if results.failure or results.error else 0)
            percent = _percent(job, work)
            artifacts.append(_keep(job, work / "coverage.json"))
    return _outcome(job, results, percent, artifacts)


def _pytest(job: Job, work: Path) -> Completed:
    """Isolated (-I): neither PYTHONPATH nor a ``pytest.py`` in the tree is looked at."""
    job.say(f"tests: pytest {job.settings.app.tests}")
    coverage = [job.python("test"), "-Im", "coverage", "run", "--rcfile", work / "coveragerc", "-m", "pytest"]
    chosen = ["-c", job.root / "pyproject.toml", "--rootdir", job.root, "-p", "no:cacheprovider", "-q"]
    report = [f"--junit-xml={work / 'tests.xml'}", "-o", "junit_family=xunit2", "-o", "junit_logging=no"]
    tree = {"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(work / "hypothesis")}
    words = [str(word) for word in [*coverage, *chosen, *report, "--", job.settings.app.tests]]
    return run_program(words, cwd=job.root, env=tree, timeout=1200)


def _report(path: Path, completed: Completed) -> bytes:
    if not path.is_file():
        got = f"no report and exit code {completed.exit_code}: {completed.last_words}"
        raise unreadable(STEP, "pytest", got, "a JUnit report")
    return read_limited(path, _LIMIT)


def _percent(job: Job, work: Path) -> float:
    """Branch coverage of the service; every one of its files must be in the report, those never imported too."""
    command = [job.python("test"), "-Im", "coverage", "json", "--rcfile", work / "coveragerc", "-q"]
    completed = run_program([*map(str, command), "-o", str(work / "coverage.json")], cwd=job.root, timeout=120)
    try:
        content = read_limited(work / "coverage.json", _LIMIT)
        report = typed(STEP, "coverage", _Coverage, parse_json(content, what="coverage's report"))
    except (OSError, CannotEvaluate) as error:
        raise unreadable(STEP, "coverage", f"{error}; {completed.last_words}", "a whole JSON report") from error
    agree(STEP, "coverage", completed, 0)
    expected = {name for name in shipped_files(job.root, [job.settings.app.directory]) if name.endswith(".py")}
    if not expected or expected != set(report.files):
        differing = ", ".join(sorted(expected ^ set(report.files))[:5]) or "no file at all"
        raise unreadable(STEP, "coverage", f"another set of files: {differing}", "every file of the service")
    return round(report.totals.percent_covered, 2)


def _keep(job: Job, path: Path) -> Artifact:
    return job.write_artifact(job.dist / "reports" / path.name, path.read_bytes())


def _none(job: Job) -> Outcome:
    problem = Problem(
        code="tests.none",
        message=f"{job.settings.app.tests}: nothing was tested (got no test, expected at least one)",
        fix="put tests there, or name their folder in pipeline.toml (app.tests)",
    )
    return Outcome(status=Status.FAILED, finding=problem.message, problems=[problem])


def _outcome(job: Job, results: Results, percent: float, artifacts: list[Artifact]) -> Outcome:
    failed = sorted({*results.failure, *results.error})
    context = job.context("pytest", version_of(job.python("test"), "pytest"))
    finding = f"{len(results.passed)} passed, {len(failed)} failed, {len(results.skipped)} skipped"
    return Outcome(
        status=Status.FAILED if failed else Status.PASSED,
        finding=f"{finding}, {percent:g} % of lines and branches covered",
        evidence=[Evidence(kind=Kind.TESTS, predicate=dump(predicate(job.root, context, results, percent)))],
        problems=[
            Problem(
                code="tests.failed",
                message=f"{name}: did not pass (got a failure, expected none)",
                fix=f"run it alone: `python -m pytest {job.settings.app.tests} -k {name.rpartition('::')[2]!r}`",
            )
            for name in failed
        ],
        artifacts=artifacts,
    )


def predicate(root: Path, context: Context, results: Results, percent: float) -> TestResult:
    """What ran and how it ended, without times: two runs over the same tree give the same bytes."""
    failed = sorted({*results.failure, *results.error})
    settings = _COVERAGE.format(source="", data="").encode()
    return TestResult(
        result="FAILED" if failed else "PASSED",
        configuration=[
            Descriptor(name="pytest", digest={"sha256": sha256_file(root / "pyproject.toml")}),
            Descriptor(name="coverage", digest={"sha256": Digest.of(settings).hex}),
        ],
        passedTests=sorted(results.passed),
        warnedTests=sorted(results.skipped),
        failedTests=failed,
        gatehouse_measures={
            "tests": results.total,
            "failures": len(results.failure),
            "errors": len(results.error),
            "skipped": len(results.skipped),
            "coverage_percent": percent,
        },
        gatehouse_context=context,
    )
