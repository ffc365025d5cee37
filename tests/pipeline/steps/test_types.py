"""Mypy: every error counted, every file checked."""

import sys
from pathlib import Path

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.model.outcome import Status
from pipeline.processes import Completed
from pipeline.steps import types
from tests.support.jobs import make_job

ERROR = "service/a.py:1: error: Incompatible types in assignment  [assignment]\n"
FOUND = "Found 1 error in 1 file (checked 2 source files)\n"
CLEAN = "Success: no issues found in 2 source files\n"


def completed(code: int, text: str) -> Completed:
    return Completed(code, text.encode(), b"")


def test_errors_are_named():
    (problem,) = types.read_errors(completed(1, ERROR + FOUND), 2)
    assert problem.code == "types.assignment"
    assert problem.message == "service/a.py:1: Incompatible types in assignment"


def test_success_is_no_error():
    assert types.read_errors(completed(0, CLEAN), 2) == []


@pytest.mark.parametrize(
    ("code", "text", "given"),
    [
        (0, "", 2),
        (-9, "", 2),
        (1, CLEAN, 2),
        (0, ERROR + FOUND, 2),
        (1, FOUND, 2),
        (1, ERROR + ERROR + FOUND, 2),
        (1, ERROR, 2),
        (0, CLEAN, 3),
        (0, "Success: no issues found in 0 source files\n", 0),
        (2, "mypy: can't read file 'service/a.py'\n", 2),
        (0, CLEAN + "Traceback (most recent call last):\n", 2),
    ],
)
def test_a_story_with_holes_cannot_be_evaluated(code, text, given):
    with pytest.raises(CannotEvaluate) as refused:
        types.read_errors(completed(code, text), given)
    assert refused.value.code == "types.unreadable"


def test_mypy_runs_strictly_whatever_is_planted(tmp_path):
    files = {
        "pyproject.toml": '[tool.mypy]\npython_version = "3.11"\n',
        "mypy.ini": "[mypy]\nignore_errors = true\n",
        "mypy.py": "raise SystemExit(0)\n",
        "service/a.py": "def f(x):\n    return x\n",
    }
    outcome = types.run(make_job(tmp_path, files, {"test": Path(sys.executable)}))
    assert outcome.status == Status.FAILED
    assert {problem.code for problem in outcome.problems} >= {"types.no-untyped-def"}
