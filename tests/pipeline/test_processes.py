"""Programs run without a shell, in a scrubbed environment, and not for ever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed, call, run, scrubbed


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


def test_our_own_programs_get_the_environment_given(tmp_path):
    program = "import os, sys; sys.exit(int(os.environ['CODE']) if len(os.environ) < 4 else 1)"
    assert call([sys.executable, "-I", "-c", program], cwd=tmp_path, env={"CODE": "42"}) == 42


#: Starts a tool in the main thread, one in another thread and one of our own programs, each of them for a minute.
_PARENT = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline.processes import call, end_on_signals, run
end_on_signals()
minute = [sys.executable, "-I", "-c", "import time; time.sleep(60)"]
noisy = [sys.executable, "-I", "-c", "print('up', flush=True); import time; time.sleep(60)"]
try:
    thread = threading.Thread(target=run, args=(minute,), daemon=True)
    thread.start()
    call(noisy, cwd=Path("/"), env={}) if sys.argv[2] == "call" else run(minute)
except KeyboardInterrupt:
    print("ended", flush=True)
    thread.join(5)
    sys.exit(130)
"""


def children_of(pid):
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("way", ["run", "call"])
def test_a_signal_ends_what_every_thread_started(root, number, way):
    parent = subprocess.Popen(
        [sys.executable, "-I", "-c", _PARENT, str(root), way], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert until(lambda: len(children_of(parent.pid)) == 2)
    children = children_of(parent.pid)
    parent.send_signal(number)
    parent.send_signal(number)  # a second one does not stop the ending
    output, _ = parent.communicate(timeout=20)
    assert parent.returncode == 130
    assert output.endswith(b"ended\n")
    assert until(lambda: not any(runs(child) for child in children), 2)


def test_a_program_dies_with_its_parent_where_it_asked_for_it(root):
    child = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.processes import end_with_parent\n"
        "import os, time; end_with_parent(); print(os.getpid(), flush=True); time.sleep(60)"
    )
    own = [sys.executable, "-I", "-c", child, str(root)]
    starter = f"import subprocess; subprocess.call({own!r})"
    parent = subprocess.Popen([sys.executable, "-I", "-c", starter], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert until(lambda: not runs(pid))


def test_an_interrupt_that_comes_where_nothing_can_be_raised_comes_again(root):
    program = (
        "import os, signal, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pipeline.processes import end_on_signals\n"
        "class Finalised:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(0)\n"
        "end_on_signals()\n"
        "try:\n"
        "    Finalised()\n"
        "    time.sleep(20)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    done = run([sys.executable, "-I", "-c", program, root], timeout=15)
    assert done == Completed(130, b"", b"")
