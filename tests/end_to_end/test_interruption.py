"""The main job stopped at any moment: nothing runs on, nothing is half-written, and the next run completes."""

import json
import signal
import tarfile

import pytest

from tests.support.main_job import clone_of

pytestmark = pytest.mark.network

INT, TERM, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGKILL


def unharmed(clone):
    """Nothing runs, and each file of dist is whole or not there."""
    assert clone.left_over() == {}
    assert clone.temporary_files() == []
    whole(clone)


def whole(clone):
    archive = clone.root / "dist" / "image.tar"
    if archive.exists():
        with tarfile.open(archive) as tar:
            assert "index.json" in tar.getnames()
    for file in [*(clone.root / "dist").glob("**/*.json"), *(clone.root / ".gatehouse" / "steps").glob("*.json")]:
        json.loads(file.read_bytes())


def test_while_the_environments_are_made(root, warm, tmp_path):
    clone = clone_of(root, tmp_path / "clone", warm.home)
    for number, moment in ((INT, "-m venv"), (TERM, "pip install"), (INT, "uv pip install")):
        assert clone.signal_at(moment, number, tmp_path / "log", "lint") == 130
        unharmed(clone)
        half_made = [
            path for path in (clone.root / ".gatehouse/environments").iterdir() if not (path / ".complete").exists()
        ]
        assert half_made == []
    ended = clone.run("lint")
    assert ended.code == 0, ended.output


@pytest.mark.parametrize(
    ("moment", "number", "sessions"),
    [
        pytest.param("-m pytest", INT, (), id="the checks, side by side"),
        pytest.param("step types", TERM, (), id="mypy"),
        pytest.param("step image", TERM, ("image",), id="image"),
        pytest.param("step smoke", INT, ("image", "smoke"), id="smoke"),
        pytest.param("step attest", INT, ("attest",), id="attest"),
        pytest.param("step promote", TERM, ("promote",), id="promote"),
    ],
)
def test_while_sessions_run(warm, tmp_path, moment, number, sessions):
    log = tmp_path / "log"
    assert warm.signal_at(moment, number, log, "--fresh", *sessions) == 130
    assert log.read_text().endswith("interrupted: nothing is half-written; run the command again to go on\n")
    assert "Traceback" not in log.read_text()
    unharmed(warm)


@pytest.mark.parametrize("step", ["attest", "promote"])
def test_a_step_that_is_killed_is_no_pass(warm, tmp_path, step):
    log = tmp_path / "log"
    assert warm.signal_at(f"__main__.py step {step}", KILL, log, step, main=False) == 3
    assert f"step.killed: {step}: ended without a result (got signal 9" in log.read_text()
    assert warm.left_over() == {}
    whole(warm)


def test_nothing_outlives_a_main_job_that_is_killed(warm, tmp_path):
    assert warm.signal_at("-m pytest", KILL, tmp_path / "log", "--fresh", "tests") == -KILL
    unharmed(warm)


def test_after_all_of_that_the_next_run_completes(warm):
    ended = warm.run()
    assert ended.code == 0, ended.output
    unharmed(warm)
    assert (warm.root / "dist" / "report.html").read_text().rstrip().endswith("</html>")
    entries = (warm.root / ".gatehouse" / "ledger" / "development.jsonl").read_text().splitlines()
    assert [json.loads(entry) for entry in entries]
