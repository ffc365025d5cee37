"""The scripts as a newcomer calls them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def call(root: Path, script: str, *arguments: str, cwd: Path | None = None, path: str | None = None):
    env = {"PATH": path or os.environ["PATH"], "HOME": str(cwd or root)}
    return subprocess.run(
        ["/bin/sh", str(root / "scripts" / script), *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", ["pipeline", "gatehouse", "test", "nox"])
def test_help_is_there_from_any_folder(root, tmp_path, script):
    done = call(root, script, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_an_unknown_session_is_one_line_and_a_fix(root):
    done = call(root, "pipeline", "nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "arguments.session: session 'nonsense': unknown (got 'nonsense', expected one of lock, "
    )
    assert "\n  fix: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "first"), [(("-s", "promote"), "lock"), (("-s", "promote", "--", "staging"), "promote")]
)
def test_a_named_promotion_runs_nothing_else(root, typed, first):
    """Nox hands `staging` to every session that is required, of which the first knows no such option."""
    command = [sys.executable, "-m", "nox", "--noxfile", str(root / "noxfile.py"), "--list", *typed]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    selected = [line for line in done.stdout.splitlines() if line.startswith("* ")]
    assert selected[0].startswith(f"* {first} -> ")
    assert selected[-1].startswith("* promote -> ")


@pytest.mark.parametrize("version", ["Python 3.9.2", "Python 2.7.18"])
def test_a_python_that_is_too_old_is_said(root, tmp_path, version):
    fake = tmp_path / "python3"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo "{version}" && exit 0\nexit 1\n')
    fake.chmod(0o755)
    for tool in ("readlink", "sh"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    done = call(root, "pipeline", path=str(tmp_path))
    assert done.returncode == 2
    assert f"python.version: no usable Python (got {version}, expected Python 3.11 or newer)" in done.stderr
    assert "fix: install Python 3.11 or newer" in done.stderr


def test_the_scripts_are_posix_sh(root):
    for script in ("pipeline", "gatehouse", "test", "nox"):
        assert (root / "scripts" / script).read_text().startswith("#!/bin/sh\n")
        assert subprocess.run(["/bin/sh", "-n", root / "scripts" / script], check=False).returncode == 0
