"""The service's tests: every report whole, every count borne out, or it is no pass."""

from pathlib import Path

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import TestResult, parse_predicate
from pipeline.steps import tests as step
from tests.support.jobs import fake_environment, make_job

SERVICE = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
    "service/__init__.py": "",
    "service/a.py": "def sign(x: int) -> str:\n    if x < 0:\n        return '-'\n    return '+'\n",
    "tests/service/test_a.py": "from service.a import sign\n\n\ndef test_plus():\n    assert sign(1) == '+'\n",
}


def run(folder: Path, **files: str):
    job = make_job(folder, SERVICE | files)
    return job, step.run(job)


def test_a_pass_says_what_ran_and_what_was_covered(tmp_path):
    job, outcome = run(tmp_path)
    assert outcome.status == Status.PASSED
    assert "1 passed, 0 failed, 0 skipped, 66.67 %" in outcome.finding
    (evidence,) = outcome.evidence
    predicate = parse_predicate(Kind.TESTS, evidence.predicate)
    assert isinstance(predicate, TestResult)
    assert predicate.result == "PASSED"
    assert predicate.passed_tests == ["tests.service.test_a::test_plus"]
    assert predicate.measures["coverage_percent"] == 66.67
    assert [artifact.path for artifact in outcome.artifacts] == ["dist/reports/tests.xml", "dist/reports/coverage.json"]
    assert (job.dist / "reports" / "tests.xml").is_file()
    assert predicate.context == job.context("pytest", predicate.context.tool.version)
    assert step.run(job).evidence == [evidence], "two runs over the same tree give the same predicate"


def test_a_failing_test_and_a_broken_fixture_fail(tmp_path):
    broken = (
        "import pytest\n\n\ndef test_no():\n    assert False\n\n\n@pytest.fixture\ndef thing():\n"
        "    raise OSError\n\n\ndef test_thing(thing):\n    pass\n\n\n@pytest.mark.skip\ndef test_later():\n    pass\n"
    )
    _, outcome = run(tmp_path, **{"tests/service/test_b.py": broken})
    assert outcome.status == Status.FAILED
    assert [problem.code for problem in outcome.problems] == ["tests.failed", "tests.failed"]
    measures = outcome.evidence[0].predicate["gatehouse_measures"]
    assert {name: measures[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": 4,
        "failures": 1,
        "errors": 1,
        "skipped": 1,
    }
    assert outcome.evidence[0].predicate["result"] == "FAILED"


def test_tests_that_are_all_deselected_are_none_at_all_and_fail(tmp_path):
    _, outcome = run(
        tmp_path, **{"pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = "-k nothing"\n'}
    )
    assert (outcome.status, outcome.problems[0].code) == (Status.FAILED, "tests.none")
    assert outcome.evidence == []


def test_planted_configuration_and_programs_have_no_effect(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    monkeypatch.setenv("COVERAGE_RCFILE", ".coveragerc")
    planted = {
        "pytest.ini": "[pytest]\naddopts = --collect-only\n",
        "tox.ini": "[pytest]\naddopts = --collect-only\n",
        ".coveragerc": "[run]\nomit = service/*\n[report]\nexclude_lines = .\n",
        "pytest.py": "raise SystemExit(0)\n",
        "coverage.py": "raise SystemExit(0)\n",
    }
    _, outcome = run(tmp_path, **planted)
    assert outcome.evidence[0].predicate["gatehouse_measures"]["coverage_percent"] == 66.67
    assert outcome.evidence[0].predicate["passedTests"] == ["tests.service.test_a::test_plus"]


def test_files_that_no_test_imports_count_as_uncovered(tmp_path):
    _, outcome = run(tmp_path, **{"service/sub/b.py": "x = 1\ny = 2\n"})
    assert outcome.evidence[0].predicate["gatehouse_measures"]["coverage_percent"] < 60


@pytest.mark.parametrize(
    "code",
    ["import os\nos._exit(0)", "import os\nos.kill(os.getpid(), 9)", "import pytest\npytest.exit('enough', 0)"],
    ids=["leaves with 0", "killed", "breaks off with 0"],
)
def test_an_interpreter_that_ends_early_is_no_pass(tmp_path, code):
    body = "\n".join(f"    {line}" for line in code.splitlines())
    with pytest.raises(CannotEvaluate) as refused:
        run(tmp_path, **{"tests/service/test_z.py": f"def test_end():\n{body}\n"})
    assert refused.value.code == "tests.unreadable"


def test_tests_that_do_not_import_fail(tmp_path):
    _, outcome = run(tmp_path, **{"tests/service/test_b.py": "import nowhere\n"})
    assert outcome.status == Status.FAILED
    assert outcome.evidence[0].predicate["gatehouse_measures"]["coverage_percent"] == 0


def test_an_exit_code_that_contradicts_the_report_cannot_be_evaluated(tmp_path):
    session = "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"
    files = {"tests/service/conftest.py": session, "tests/service/test_b.py": "def test_no():\n    assert False\n"}
    with pytest.raises(CannotEvaluate, match="exit code 0 beside output that means 1") as refused:
        run(tmp_path, **files)
    assert refused.value.code == "tests.unreadable"


def test_a_service_without_code_has_no_coverage(tmp_path):
    files = {**SERVICE, "tests/service/test_a.py": "def test_plus():\n    pass\n"}
    job = make_job(tmp_path, {name: text for name, text in files.items() if not name.startswith("service/")})
    with pytest.raises(CannotEvaluate) as refused:
        step.run(job)
    assert refused.value.code == "tests.unreadable"


def test_a_runner_that_says_nothing_cannot_be_evaluated(tmp_path):
    silent = fake_environment(tmp_path / "tools", python=("", 0))
    job = make_job(tmp_path / "clone", SERVICE, {"test": silent})
    with pytest.raises(CannotEvaluate, match="no report and exit code 0") as refused:
        step.run(job)
    assert refused.value.code == "tests.unreadable"
