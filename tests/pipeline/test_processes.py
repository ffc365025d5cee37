"""Programs run without a shell, in a scrubbed environment, and not for ever."""

import os
import sys
import time
from pathlib import Path

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed, run, scrubbed


def test_output_and_exit_code_are_kept():
    done = run([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"])
    assert done == Completed(7, b"out\n", b"err\n")
    assert done.last_words == "err"


def test_the_environment_is_an_allow_list(monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "somewhere")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert {"PIP_FIND_LINKS", "PYTHONPATH", "AWS_SECRET_ACCESS_KEY"}.isdisjoint(scrubbed())
    assert scrubbed({"X": "1"})["X"] == "1"
    assert scrubbed()["PATH"] == os.environ["PATH"]


def test_a_missing_program_is_one_clear_line():
    with pytest.raises(CannotEvaluate, match="not started") as refused:
        run(["/nowhere/tool"])
    assert refused.value.code == "tool.missing"


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    marker = tmp_path / "child"
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(marker)!r}, 'w').write(str(child.pid)); time.sleep(60)\n"
    )
    with pytest.raises(CannotEvaluate, match="got no end after 1 s") as refused:
        run([sys.executable, "-c", program], timeout=1)
    assert refused.value.code == "tool.timeout"
    child = Path("/proc") / marker.read_text()
    for _ in range(100):
        if not child.exists() or "Z" in (child / "stat").read_text().split(")")[1][:3]:
            return
        time.sleep(0.02)
    pytest.fail("the child outlived the time limit")


def test_last_words_are_printable():
    assert Completed(1, b"", b"\x1b[31mred\x1b[0m\x07\n").last_words == "[31mred[0m"
    assert Completed(1, b"", b"").last_words == "no output"
