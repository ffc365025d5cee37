"""Whatever the clone and its user are like, the checkout is what the commit says."""

import pytest

from pipeline.git import git, take_snapshot, text
from pipeline.model.errors import CannotEvaluate
from pipeline.reproduction.checkout import check_out
from pipeline.source import read_source
from tests.support.repositories import commit_all, make_repository

FILES = {
    "pipeline.toml": "x = 1\n",
    "app/run.sh": "#!/bin/sh\n",
    "crlf.txt": "a\r\nb\n",
    ".gitattributes": "*.md filter=up\n",
}


@pytest.fixture
def clone(tmp_path):
    root = make_repository(tmp_path / "clone", {**FILES, "read.md": "small\n"})
    (root / "app" / "run.sh").chmod(0o755)
    (root / "link").symlink_to("app/run.sh")
    commit_all(root)
    return root


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tree_of(root):
    return take_snapshot(root).tree


def test_it_is_the_commit_s_tree_with_modes_and_links(clone, tmp_path):
    source = read_source(clone)
    check_out(clone, source, tmp_path / "out")
    assert read_source(tmp_path / "out") == source
    assert (tmp_path / "out" / "link").readlink().name == "run.sh"
    assert (tmp_path / "out" / "app" / "run.sh").stat().st_mode & 0o111


def test_changes_new_files_and_the_clone_s_own_settings_stay_out(clone, tmp_path, monkeypatch):
    source = read_source(clone)
    (clone / "pipeline.toml").write_text("x = 2\n")
    (clone / "new.txt").write_text("")
    (tmp_path / "gitconfig").write_text('[core]\nautocrlf = true\n[filter "up"]\nsmudge = tr a-z A-Z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text((tmp_path / "gitconfig").read_text())
    for hook in ("post-checkout", "reference-transaction"):
        (clone / ".git" / "hooks" / hook).write_text("#!/bin/sh\ntouch ../hooked\n")
        (clone / ".git" / "hooks" / hook).chmod(0o755)
    check_out(clone, source, tmp_path / "out")
    out = tmp_path / "out"
    assert (out / "pipeline.toml").read_text() == "x = 1\n"
    assert not (out / "new.txt").exists()
    assert (out / "crlf.txt").read_bytes() == b"a\r\nb\n"
    assert (out / "read.md").read_text() == "small\n"
    assert not list(tmp_path.rglob("hooked"))


def test_the_clone_itself_is_not_written_to(clone, tmp_path):
    source = read_source(clone)
    before = contents(clone / ".git")
    check_out(clone, source, tmp_path / "out")
    assert contents(clone / ".git") == before


def test_what_the_pipeline_writes_is_of_no_commit(clone, tmp_path):
    source = read_source(clone)
    check_out(clone, source, tmp_path / "out")
    for name in (".gatehouse", "dist"):
        (tmp_path / "out" / name).mkdir()
        (tmp_path / "out" / name / "x").write_text("")
    assert tree_of(tmp_path / "out") == source.tree


def test_an_older_commit_and_a_shallow_clone_do(clone, tmp_path):
    source = read_source(clone)
    (clone / "more.txt").write_text("")
    commit_all(clone)
    assert git(tmp_path, "clone", "-q", "--depth=1", f"file://{clone}", str(tmp_path / "shallow")).exit_code == 0
    check_out(clone, source, tmp_path / "older")
    assert tree_of(tmp_path / "older") == source.tree
    newest = read_source(tmp_path / "shallow").model_copy(update={"uri": "git+file:local"})
    check_out(tmp_path / "shallow", newest, tmp_path / "out")
    assert read_source(tmp_path / "out") == newest


def test_the_origin_is_the_one_that_was_built_from(clone, tmp_path):
    source = read_source(clone).model_copy(update={"uri": "git+https://git.example/team/app"})
    check_out(clone, source, tmp_path / "out")
    assert read_source(tmp_path / "out").uri == "git+https://git.example/team/app"


@pytest.mark.parametrize("uri", ["git+file:local", "git+ext::sh -c touch% hooked", "git+file:///etc"])
def test_a_commit_that_is_not_there_is_told_and_fetched_from_no_odd_address(clone, tmp_path, uri):
    source = read_source(clone).model_copy(update={"commit": "0" * 40, "uri": uri})
    with pytest.raises(CannotEvaluate, match="commit 000000000000: not in this clone") as missing:
        check_out(clone, source, tmp_path / "out")
    assert missing.value.code == "reproduction.commit"
    assert missing.value.fix == (f"fetch it into this clone: `git fetch REMOTE {'0' * 40}`, then run the command again")


def test_a_commit_that_is_not_there_is_fetched_from_where_it_was_built(clone, tmp_path, monkeypatch):
    """git's own insteadOf stands for the network: the address is looked up in the user's configuration."""
    (tmp_path / ".gitconfig").write_text(f'[url "file://{clone}"]\ninsteadOf = https://git.example/team/app\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    source = read_source(clone).model_copy(update={"uri": "git+https://git.example/team/app"})
    other = make_repository(tmp_path / "other", {"x": "y"})
    check_out(other, source, tmp_path / "out")
    assert tree_of(tmp_path / "out") == source.tree
    assert text(git(other, "cat-file", "-t", source.commit)) == ""


def test_a_clone_without_its_objects_is_told(clone, tmp_path):
    source = read_source(clone)
    blob = text(git(clone, "rev-parse", "HEAD:pipeline.toml"))
    (clone / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(CannotEvaluate) as broken:
        check_out(clone, source, tmp_path / "out")
    assert broken.value.code == "reproduction.checkout"
