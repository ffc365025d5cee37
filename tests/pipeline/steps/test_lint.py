"""Ruff and hadolint: what they report, on files counted by ourselves, by one configuration."""

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.model.outcome import Status
from pipeline.steps import lint
from tests.support.jobs import fake_environment, make_job

PYPROJECT = '[tool.ruff.lint]\nselect = ["F", "E"]\n'
CLEAN = {
    "pyproject.toml": PYPROJECT,
    "service/__init__.py": "",
    "service/a.py": "x = 1\n",
    "service/Dockerfile": "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER 1000\n",
}


def job(folder, checks_python, **files):
    return make_job(folder, {**CLEAN, **files}, {"checks": checks_python})


def test_clean_files_pass_and_are_counted(tmp_path, checks_python):
    outcome = lint.run(job(tmp_path, checks_python))
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert outcome.finding.startswith("2 Python files")
    assert outcome.evidence == []


def test_findings_fail_with_place_and_code(tmp_path, checks_python):
    outcome = lint.run(job(tmp_path, checks_python, **{"service/a.py": "import os\n\nx = 1\n"}))
    assert outcome.status == Status.FAILED
    assert [problem.code for problem in outcome.problems] == ["lint.F401"]
    assert outcome.problems[0].message.startswith("service/a.py:1: ")


def test_a_file_that_is_not_formatted_or_not_python_fails(tmp_path, checks_python):
    files = {"service/a.py": "x  =  1\n", "service/b.py": "def f(:\n"}
    codes = {problem.code for problem in lint.run(job(tmp_path, checks_python, **files)).problems}
    assert codes == {"lint.unformatted", "lint.invalid-syntax"}


def test_planted_configuration_has_no_effect(tmp_path, checks_python):
    files = {
        "service/a.py": "import os\n",
        "service/ruff.toml": 'lint.ignore = ["F401"]\n',
        "ruff.toml": 'exclude = ["service"]\n',
        ".hadolint.yaml": "ignored: [DL3006]\n",
        "service/Dockerfile": "# hadolint ignore=DL3006\nFROM debian\n",
    }
    codes = {problem.code for problem in lint.run(job(tmp_path, checks_python, **files)).problems}
    assert codes == {"lint.F401", "lint.DL3006"}


def test_no_python_file_at_all_fails(tmp_path, checks_python):
    outcome = lint.run(make_job(tmp_path, {"pyproject.toml": PYPROJECT}, {"checks": checks_python}))
    assert (outcome.status, outcome.problems[0].code) == (Status.FAILED, "lint.none")


@pytest.mark.parametrize(
    "tools",
    [
        {"ruff": ("", 0), "hadolint": ("[]", 0)},
        {"ruff": ("[]", 1), "hadolint": ("[]", 0)},
        {"ruff": ("[]", 137), "hadolint": ("[]", 0)},
        {"ruff": ('[{"code"', 1), "hadolint": ("[]", 0)},
        {"ruff": ('[{"code": "E1"}]', 1), "hadolint": ("[]", 0)},
        {"ruff": ("[]", 0), "hadolint": ("", 0)},
        {"ruff": ("[]", 0), "hadolint": ("[]", 1)},
    ],
)
def test_a_linter_without_a_whole_report_cannot_be_evaluated(tmp_path, tools):
    with pytest.raises(CannotEvaluate) as refused:
        lint.run(job(tmp_path / "clone", fake_environment(tmp_path / "tools", **tools)))
    assert refused.value.code == "lint.unreadable"
