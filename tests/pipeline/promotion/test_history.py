"""What descends from what, asked of real clones."""

import pytest

from pipeline.git import git, text
from pipeline.model.errors import CannotEvaluate
from pipeline.promotion.history import GitHistory
from tests.support.repositories import commit_all, make_repository


def head(clone):
    return text(git(clone, "rev-parse", "HEAD"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return make_repository(tmp_path_factory.mktemp("history") / "clone", {"file": "one"})


@pytest.fixture(scope="module")
def commits(clone):
    """Two on one line, and one on another."""
    first = head(clone)
    commit_all(clone, "second")
    second = head(clone)
    assert git(clone, "checkout", "-q", "-b", "other", first).exit_code == 0
    commit_all(clone, "third")
    return first, second, head(clone)


def test_a_later_commit_descends_and_an_earlier_one_does_not(clone, commits):
    first, second, other = commits
    history = GitHistory(clone)
    assert [history.descends(second, first), history.descends(first, first)] == [True, True]
    assert [history.descends(first, second), history.descends(other, second)] == [False, False]


@pytest.mark.parametrize("commit", ["f" * 40, "", "HEAD", "--all", "main"])
def test_a_commit_that_the_clone_does_not_hold_cannot_be_evaluated(clone, commits, commit):
    with pytest.raises(CannotEvaluate) as error:
        GitHistory(clone).descends(commit, commits[0])
    assert error.value.code == "promotion.history"
    assert "got no commit" in error.value.message


def test_a_shallow_clone_does_not_say_no(clone, commits, tmp_path):
    """What it does not hold may be what connects the two."""
    assert git(tmp_path, "clone", "-q", "--depth=1", f"file://{clone}", "shallow", "-b", "other").exit_code == 0
    shallow = tmp_path / "shallow"
    assert git(shallow, "fetch", "-q", "--depth=1", "origin", commits[1]).exit_code == 0
    with pytest.raises(CannotEvaluate, match="got a shallow clone, expected both commits"):
        GitHistory(shallow).descends(commits[2], commits[1])


def test_a_replaced_commit_deceives_nobody(clone, commits):
    """Attack: tell git in the clone that the other line comes after the running commit."""
    first, second, other = commits
    try:
        assert git(clone, "replace", "--graft", other, second).exit_code == 0
        assert git(clone, "merge-base", "--is-ancestor", second, other).exit_code == 0
        assert not GitHistory(clone).descends(other, second)
    finally:
        git(clone, "replace", "-d", other)
    assert first
