"""Reuse: a result stands only while its inputs, its record and its artifacts are what they were."""

import json

import pytest

from pipeline.files import sha256_file
from pipeline.git import take_snapshot
from pipeline.running import reuse
from tests.support.repositories import commit_all, make_repository


@pytest.fixture
def clone(tmp_path):
    files = {
        "app.py": "1\n",
        "README.md": "x",
        "pipeline/x.py": "1",
        ".github/w.yml": "a",
        ".gitignore": ".gatehouse\ndist\n",
    }
    return make_repository(tmp_path / "clone", files)


def leave_pass(clone, step):
    """What a step that passed over the clone leaves behind."""
    state = clone / ".gatehouse"
    snapshot = take_snapshot(clone)
    source = {
        "uri": "git+file:local",
        "commit": snapshot.commit,
        "tree": snapshot.tree,
        "dirty": snapshot.dirty,
        "committed": snapshot.committed,
    }
    (clone / "dist").mkdir(exist_ok=True)
    (clone / "dist" / "report").write_text("report")
    record = {
        "step": step,
        "context": {"source": source},
        "outcome": {
            "status": "passed",
            "finding": "fine",
            "evidence": [{"kind": "tests", "predicate": {"gatehouse_context": {"source": source}}}],
            "artifacts": [{"path": "dist/report", "sha256": sha256_file(clone / "dist" / "report")}],
        },
    }
    (state / "steps").mkdir(parents=True, exist_ok=True)
    (state / "steps" / f"{step}.json").write_text(json.dumps(record))
    reuse.remember(state, step, snapshot)
    return state


def decide(clone, step):
    return reuse.decide(clone / ".gatehouse", step, take_snapshot(clone))


def test_an_unchanged_tree_is_reused(clone):
    leave_pass(clone, "tests")
    assert decide(clone, "tests").reuse


def test_without_an_earlier_pass_the_step_runs(clone):
    assert decide(clone, "tests") == reuse.Decision(reuse=False, why="no whole result of a pass is kept")


@pytest.mark.parametrize("name", ["app.py", "pipeline/x.py", "new.py"])
def test_a_changed_input_runs_the_step_again_and_is_named(clone, name):
    leave_pass(clone, "tests")
    (clone / name).write_text("2\n")
    assert decide(clone, "tests") == reuse.Decision(reuse=False, why=f"{name} changed")


def test_prose_is_no_input_of_the_tests(clone):
    leave_pass(clone, "tests")
    (clone / "README.md").write_text("y")
    assert decide(clone, "tests").reuse


def test_an_artifact_that_was_changed_or_removed_is_not_reused(clone):
    leave_pass(clone, "tests")
    (clone / "dist" / "report").write_text("forged")
    assert decide(clone, "tests").why == "its artifact dist/report changed"
    (clone / "dist" / "report").unlink()
    assert not decide(clone, "tests").reuse


def test_a_record_that_was_edited_is_not_reused(clone):
    state = leave_pass(clone, "tests")
    record = state / "steps" / "tests.json"
    record.write_text(record.read_text().replace("fine", "finer"))
    assert decide(clone, "tests").why == "its record changed since it was written"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"record": 1}'])
def test_a_damaged_note_is_no_pass(clone, content):
    state = leave_pass(clone, "tests")
    (state / "reuse" / "tests.json").write_text(content)
    assert not decide(clone, "tests").reuse


@pytest.mark.parametrize("step", reuse.ALWAYS)
def test_what_looks_at_the_world_always_runs(clone, step):
    leave_pass(clone, step)
    assert decide(clone, step).why.startswith("always runs")


@pytest.mark.parametrize("step", ["sbom", "image", "smoke"])
def test_what_names_the_commit_runs_again_for_another_commit(clone, step):
    leave_pass(clone, step)
    assert decide(clone, step).reuse
    commit_all(clone, "another")
    assert decide(clone, step).why == "<commit> changed"


def test_options_are_never_answered_from_memory(clone):
    state = leave_pass(clone, "lock")
    assert not reuse.decide(state, "lock", take_snapshot(clone), ("update",)).reuse


def test_a_reused_result_speaks_of_today_s_source(clone):
    state = leave_pass(clone, "tests")
    (clone / "README.md").write_text("y")
    commit_all(clone)
    snapshot = take_snapshot(clone)
    reuse.carry_over(state, "tests", snapshot)
    record = json.loads((state / "steps" / "tests.json").read_bytes())
    assert record["context"]["source"]["commit"] == snapshot.commit
    assert record["outcome"]["evidence"][0]["predicate"]["gatehouse_context"]["source"]["tree"] == snapshot.tree
    assert decide(clone, "tests").reuse


@pytest.mark.parametrize("step", ["sbom", "smoke"])
def test_what_was_seen_of_another_image_does_not_stand(clone, step):
    image = clone / ".gatehouse" / "steps" / "image.json"
    image.parent.mkdir(parents=True)
    image.write_text(json.dumps({"outcome": {"data": {"digest": "sha256:1"}}}))
    leave_pass(clone, step)
    assert decide(clone, step).reuse
    image.write_text(json.dumps({"outcome": {"data": {"digest": "sha256:2"}}}))
    assert decide(clone, step).why == "<image> changed"
