"""The source: commit and work tree as they really are."""

import pytest

from pipeline import git as git_module
from pipeline.git import git, take_snapshot
from pipeline.model.errors import Misuse
from pipeline.processes import Completed
from pipeline.source import read_source
from tests.support.repositories import commit_all, make_repository


@pytest.fixture
def clone(tmp_path):
    return make_repository(tmp_path / "clone", {"a.txt": "one", ".gitignore": "ignored\n"})


def test_a_clean_clone_has_the_tree_of_its_commit(clone):
    source = read_source(clone)
    assert not source.dirty
    assert source.tree == git(clone, "rev-parse", "HEAD^{tree}").stdout.decode().strip()
    assert source.committed == 1767323045
    assert source.uri == "git+file:local"


def test_a_change_of_the_same_length_in_the_same_second_is_seen(clone):
    before = take_snapshot(clone).tree
    (clone / "a.txt").write_text("two")
    assert take_snapshot(clone).tree != before


@pytest.mark.parametrize("name", ["a.txt", "new.txt", "deep/new.txt"])
def test_changed_and_new_files_make_it_dirty(clone, name):
    (clone / name).parent.mkdir(exist_ok=True)
    (clone / name).write_text("changed")
    assert read_source(clone).dirty


def test_a_removed_file_makes_it_dirty(clone):
    (clone / "a.txt").unlink()
    assert read_source(clone).dirty


def test_ignored_files_do_not_count(clone):
    (clone / "ignored").write_text("x")
    assert not read_source(clone).dirty


def test_looking_changes_nothing_in_the_clone(clone):
    (clone / "new.txt").write_text("x")
    before = git(clone, "status", "--porcelain").stdout, git(clone, "count-objects").stdout
    take_snapshot(clone)
    assert (git(clone, "status", "--porcelain").stdout, git(clone, "count-objects").stdout) == before


def test_the_dirty_tree_becomes_the_commit_s_once_committed(clone):
    (clone / "a.txt").write_text("two")
    tree = read_source(clone).tree
    commit_all(clone)
    assert read_source(clone).tree == tree
    assert not read_source(clone).dirty


@pytest.mark.parametrize(
    ("remote", "uri"),
    [
        ("https://user:secret@example.com/o/r.git", "git+https://example.com/o/r.git"),
        ("ssh://git@example.com/o/r", "git+ssh://example.com/o/r"),
        ("/somewhere/local", "git+file:local"),
        ("git@example.com:o/r.git", "git+file:local"),
    ],
)
def test_the_origin_is_named_without_credentials_or_local_paths(clone, remote, uri):
    git(clone, "remote", "add", "origin", remote)
    assert read_source(clone).uri == uri


def test_a_folder_that_is_no_clone_is_said(tmp_path):
    with pytest.raises(Misuse) as refused:
        take_snapshot(tmp_path)
    assert refused.value.code == "source.no-repository"


def test_a_folder_inside_another_clone_is_not_taken_for_one(clone):
    (clone / "copy").mkdir()
    with pytest.raises(Misuse, match="expected a clone with this folder at its top"):
        take_snapshot(clone / "copy")


def test_a_clone_without_a_commit_is_said(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(Misuse) as refused:
        take_snapshot(tmp_path)
    assert refused.value.code == "source.no-commit"


def test_a_clone_of_another_user_is_said(tmp_path, monkeypatch):
    words = b"fatal: detected dubious ownership in repository at '/clone'\n"
    monkeypatch.setattr(git_module, "run", lambda *_, **__: Completed(128, b"", words))
    with pytest.raises(Misuse) as refused:
        git_module.check_clone(tmp_path)
    assert refused.value.code == "source.owner"
    assert "safe.directory" in refused.value.fix
