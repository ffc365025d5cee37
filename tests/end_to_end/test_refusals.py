"""What stops the main job before it makes anything: one line, a fix, the exit code, and nothing left behind."""

import importlib.util
import shutil
import subprocess

import pytest

from pipeline.git import git
from tests.support.main_job import Clone
from tests.support.repositories import make_repository

#: What the scripts need before there is an environment.
_PARTS = ("scripts", "pipeline", "requirements", "pipeline.toml", "noxfile.py")


@pytest.fixture
def folder(root, tmp_path):
    """The start of a repository, in a path with blanks and letters that ASCII does not have."""
    target = tmp_path / "ein Türchen"
    target.mkdir()
    for part in _PARTS:
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy2
        copy(root / part, target / part)
    return Clone(target, tmp_path)


def refused(ended, code, exit_code):
    assert ended.code == exit_code, ended.output
    lines = ended.output.splitlines()
    assert len(lines) == 2, ended.output
    assert lines[0].startswith(f"{code}: ")
    assert "(got " in lines[0]
    assert ", expected " in lines[0]
    assert lines[1].startswith("  fix: ")
    return ended.output


def test_a_folder_that_is_no_repository(folder):
    refused(folder.run(), "source.no-repository", 2)
    assert not (folder.root / ".gatehouse").exists()


def test_a_repository_without_a_commit(folder):
    assert git(folder.root, "init", "-q").exit_code == 0
    refused(folder.run(), "source.no-commit", 2)
    assert not (folder.root / ".gatehouse").exists()


@pytest.fixture
def clone(folder):
    make_repository(folder.root, {".gitignore": ".gatehouse\ndist\n__pycache__\n"})
    return folder


def test_a_state_folder_that_is_a_file(clone):
    (clone.root / ".gatehouse").write_text("mine")
    refused(clone.run(), "files.unwritable", 3)
    assert (clone.root / ".gatehouse").read_text() == "mine"


def test_a_lock_that_is_gone(clone):
    (clone.root / "requirements" / "bootstrap.txt").unlink()
    refused(clone.run(), "lock.missing", 2)


def test_two_package_indexes(clone):
    folder = clone.home / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nindex-url = http://one.test/\nextra-index-url = http://two.test/\n")
    output = clone.run().output.partition("\n")
    assert output[0] == "making environment bootstrap from requirements/bootstrap.txt"
    assert output[2].startswith("lock.second-index: package index: more than one configured (got one.test, two.test, ")
    assert not list((clone.root / ".gatehouse" / "environments").iterdir())


@pytest.mark.parametrize("typed", [["nonsense"], ["--fresh", "lint", "nonsense"]])
def test_an_unknown_session_is_said_before_anything_is_made(clone, typed):
    refused(clone.run(*typed), "arguments.session", 2)
    assert not (clone.root / ".gatehouse").exists()


def test_the_script_is_found_through_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder.root / "scripts" / "pipeline")
    done = subprocess.run(
        [tmp_path / "link"], env=folder.environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert f"source.no-repository: {folder.root}: " in done.stderr


@pytest.fixture
def start(root):
    spec = importlib.util.spec_from_file_location("start", root / "scripts" / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("raised", "code", "exit_code"),
    [
        (PermissionError(13, "Permission denied", "/state/environments"), "files.unusable", 3),
        (OSError(28, "No space left on device", "/state/x"), "files.full", 3),
        (ZeroDivisionError(), "internal.defect", 3),
    ],
)
def test_whatever_else_stops_it_is_one_line_too(start, tmp_path, monkeypatch, capsys, raised, code, exit_code):
    def stop(command, arguments):
        raise raised

    monkeypatch.setattr(start, "_start", stop)
    monkeypatch.setattr(start, "ROOT", tmp_path)
    assert start.main("pipeline", []) == exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"{code}: ")
    assert said.count("\n") == 2
