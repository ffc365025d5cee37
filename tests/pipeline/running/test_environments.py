"""Environments are keyed on their lock and are whole or not there."""

import sys

import pytest

from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.processes import Completed
from pipeline.running import environments


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "test.txt").write_text("a==1 --hash=sha256:0\n")
    return tmp_path


def test_another_lock_is_another_environment(clone):
    before = environments.locate(clone, "test").folder
    (clone / "requirements" / "test.txt").write_text("a==2 --hash=sha256:0\n")
    assert environments.locate(clone, "test").folder != before


def test_an_interrupted_environment_is_not_ready(clone):
    environment = environments.locate(clone, "test")
    (environment.folder / "bin").mkdir(parents=True)
    environment.python.touch()
    assert not environment.ready()


def test_an_unknown_environment_is_refused(clone):
    with pytest.raises(Misuse) as refused:
        environments.locate(clone, "other")
    assert refused.value.code == "environment.unknown"


def test_a_missing_lock_is_said(clone):
    with pytest.raises(Misuse) as refused:
        environments.locate(clone, "checks")
    assert refused.value.code == "lock.missing"
    assert refused.value.fix == "restore it: `git checkout requirements/checks.txt`"


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        (
            "error: Failed to download\n cause: Hash mismatch for `a==1`\n Expected:\n  sha256:0\n",
            "environment.hash-mismatch",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "environment.hash-mismatch"),
        ("error: No space left on device (os error 28)", "environment.disk-full"),
        ("error: invalid peer certificate: UnknownIssuer", "environment.certificate"),
        ("error: dns error: failed to lookup address information", "environment.unreachable"),
        (
            (
                "WARNING: Retrying after connection broken by 'NewConnectionError('...: no name')': /simple/a/\n"
                "ERROR: Could not find a version that satisfies the requirement a==1 (from versions: none)\n"
                "ERROR: No matching distribution found for a==1\n"
            ),
            "environment.unreachable",
        ),
        (
            (
                "ERROR: Could not find a version that satisfies the requirement a==1 (from versions: 0.1)\n"
                "ERROR: No matching distribution found for a==1\n"
            ),
            "environment.package-missing",
        ),
        (
            (
                "error: No solution found when resolving dependencies\n"
                "  cause: Because there is no version of a==1 and you require a==1, it is hopeless.\n"
            ),
            "environment.package-missing",
        ),
        (
            (
                "error: No solution found when resolving dependencies\n"
                "  cause: Because a was not found in the package registry and you require a==1, ...\n"
            ),
            "environment.package-missing",
        ),
    ],
)
def test_why_an_environment_could_not_be_made(clone, stderr, code):
    with pytest.raises(CannotEvaluate) as refused:
        environments._check(environments.locate(clone, "test"), Completed(1, b"", stderr.encode()))
    assert refused.value.code == code
    assert refused.value.message.startswith("environment test: not made (got '")


def test_environments_nobody_used_for_two_weeks_go(clone):
    import os  # noqa: PLC0415

    environment = environments.locate(clone, "test")
    folders = {name: environment.folder.parent / f"test-{name}" for name in ("old", "young")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / ".complete").touch()
    os.utime(folders["old"] / ".complete", (0, 0))
    environments._remove_unused(environment)
    assert not folders["old"].exists()
    assert folders["young"].exists()


def test_a_python_without_venv_is_said_with_the_package_that_brings_it(clone, monkeypatch):
    # Debian's python3 without python3-venv ends like this.
    python = clone / "python3"
    python.write_text("#!/bin/sh\necho 'ensurepip is not available' >&2\nexit 1\n")
    python.chmod(0o755)
    (clone / "requirements" / "bootstrap.txt").write_text("a==1 --hash=sha256:0\n")
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Misuse) as refused:
        environments.ensure(clone, "bootstrap", lambda _: None)
    assert refused.value.code == "environment.no-venv"
    assert "(got 'ensurepip is not available', expected venv and ensurepip)" in refused.value.message
    assert "`apt-get install python3-venv`" in refused.value.fix
    assert not environments.locate(clone, "bootstrap").folder.exists()


def test_a_disk_that_is_full_is_said_where_the_tool_does_not(clone, monkeypatch):
    environment = environments.locate(clone, "test")
    environment.folder.parent.mkdir(parents=True)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3 << 20}))
    with pytest.raises(CannotEvaluate) as refused:
        environments._check_room(environment)
    assert refused.value.code == "environment.disk-full"
    assert refused.value.message == "environment test: not made (got 3 MiB free, expected 64 MiB)"


def test_what_could_not_be_made_leaves_nothing(clone, monkeypatch):
    environment = environments.locate(clone, "test")

    def stop(root, made):
        (made.folder / "bin").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_make", stop)
    with pytest.raises(KeyboardInterrupt):
        environments.ensure(clone, "test", lambda line: None)
    assert not environment.folder.exists()
