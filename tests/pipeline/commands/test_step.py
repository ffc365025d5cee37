"""What comes of a step whose tree changes under it."""

from dataclasses import replace

import pytest

from pipeline.commands.step import record
from pipeline.model.outcome import Outcome, Status
from tests.support.jobs import make_job


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path, {"requirements.txt": "old\n"})


def writing(job, monkeypatch, step):
    """Let ``step`` pass, and write a file that git sees."""

    def run(_):
        (job.root / "requirements.txt").write_text("new\n")
        return Outcome(status=Status.PASSED, finding="done")

    monkeypatch.setattr(f"pipeline.steps.{step}.run", run)


def test_a_source_that_changed_while_a_step_ran_is_no_pass(job, monkeypatch):
    writing(job, monkeypatch, "lint")
    outcome, code = record(job, "lint")
    assert (outcome.status, code, outcome.problems[0].code) == (Status.CRASHED, 3, "source.changed")


def test_checking_the_locks_is_no_exception(job, monkeypatch):
    writing(job, monkeypatch, "lock")
    assert record(job, "lock")[1] == 3


@pytest.mark.parametrize("option", ["update", "base"])
def test_what_writes_the_locks_may_change_them(job, monkeypatch, option):
    writing(job, monkeypatch, "lock")
    outcome, code = record(replace(job, options=(option,)), "lock")
    assert (outcome.status, code) == (Status.PASSED, 0)
