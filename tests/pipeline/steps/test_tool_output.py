"""A tool that was killed, cut short or at odds with itself never counts as a yes."""

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed
from pipeline.steps.tool_output import Report, agree, read_json, typed


class Findings(Report):
    findings: list[str]


@pytest.mark.parametrize(
    "completed",
    [
        Completed(-9, b"[]", b"Killed"),
        Completed(3, b"[]", b"internal error"),
        Completed(0, b"", b""),
        Completed(0, b'[{"code": "E501"', b""),
        Completed(0, b"Everything is fine", b""),
        Completed(0, b'{"a": 1, "a": 2}', b""),
    ],
    ids=["killed", "unknown exit code", "empty", "truncated", "prose", "duplicate key"],
)
def test_output_that_proves_nothing_cannot_be_evaluated(completed):
    with pytest.raises(CannotEvaluate, match="no result that can be trusted") as refused:
        read_json("lint", "ruff", completed, (0, 1))
    assert refused.value.code == "lint.unreadable"
    assert "scripts/nox -s lint" in refused.value.fix


def test_whole_output_is_read():
    assert read_json("lint", "ruff", Completed(1, b"[1]", b"noise"), (0, 1)) == [1]


def test_an_exit_code_that_contradicts_the_output_cannot_be_evaluated():
    with pytest.raises(CannotEvaluate, match="exit code 0 beside output that means 1"):
        agree("sast", "bandit", Completed(0, b"", b""), 1)
    agree("sast", "bandit", Completed(1, b"", b""), 1)


def test_another_shape_cannot_be_evaluated_and_new_fields_may_come():
    with pytest.raises(CannotEvaluate) as refused:
        typed("sast", "bandit", Findings, {"findings": None})
    assert refused.value.code == "sast.unreadable"
    assert typed("sast", "bandit", Findings, {"findings": ["a"], "new": 1}).findings == ["a"]
