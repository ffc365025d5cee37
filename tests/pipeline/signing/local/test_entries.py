import subprocess
import sys
import threading

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.signing.local.entries import Entries


def prove(tree, index):
    return {"index": index, "root": tree.root(index + 1).hex()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def test_entries_outlive_the_process(path):
    first = Entries(path)
    first.append(b"a", prove)
    first.close()
    again = Entries(path)
    assert again.append(b"b", prove)["index"] == 1


def test_two_that_have_the_log_open_write_one_sequence(path):
    one, other = Entries(path), Entries(path)
    answers = [log.append(b"entry", prove) for log in (one, other, other, one)]
    assert [answer["index"] for answer in answers] == [0, 1, 2, 3]
    assert answers[3] == {"index": 3, "root": Entries(path)._tree.root(4).hex()}


def test_threads_write_one_sequence(path):
    logs = [Entries(path) for _ in range(4)]
    answers: list[object] = []

    def write(log):
        answers.extend(log.append(b"entry", prove)["index"] for _ in range(25))

    threads = [threading.Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == sorted(map(str, range(100)))
    assert path.read_bytes() == b"entry\n" * 100


def test_processes_write_one_sequence(path, root):
    program = (
        "import sys; from pathlib import Path; from pipeline.signing.local.entries import Entries\n"
        "log = Entries(Path(sys.argv[1]))\n"
        "for _ in range(50): print(log.append(b'entry', lambda tree, index: {'index': index})['index'])\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    running = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]
    assert sorted(answers) == list(range(100))


def test_an_entry_that_a_crash_left_half_written_is_cut_off(path):
    log = Entries(path)
    log.append(b"whole", prove)
    log.close()
    with path.open("ab") as file:
        file.write(b'{"half')
    assert Entries(path).append(b"next", prove)["index"] == 1
    assert path.read_bytes() == b"whole\nnext\n"


def test_a_log_that_lost_entries_is_damaged(path):
    log = Entries(path)
    log.append(b"a", prove)
    log.append(b"b", prove)
    log.close()
    path.write_bytes(b"a\n")
    with pytest.raises(CannotEvaluate) as refusal:
        Entries(path)
    assert refusal.value.code == "state.damaged"
    assert f"remove {path.parent}" in refusal.value.fix


def test_a_log_with_another_past_is_damaged(path):
    log = Entries(path)
    log.append(b"a", prove)
    log.close()
    path.write_bytes(b"b\n")
    with pytest.raises(CannotEvaluate, match="another tree than at the last 1 entries"):
        Entries(path)


def test_a_log_that_shrinks_while_open_is_damaged(path):
    log = Entries(path)
    log.append(b"a", prove)
    path.write_bytes(b"")
    with pytest.raises(CannotEvaluate, match="0 bytes where there were 2"):
        log.append(b"b", prove)


@pytest.mark.parametrize("head", ["", "x", "1", "-1 aa", "1 \xff"])
def test_an_unreadable_head_is_damage(path, head):
    log = Entries(path)
    log.append(b"a", prove)
    log.close()
    path.with_suffix(".head").write_text(head, encoding="latin-1")
    with pytest.raises(CannotEvaluate) as refusal:
        Entries(path)
    assert refusal.value.code == "state.damaged"


def test_an_entry_is_one_line(path):
    with pytest.raises(ValueError, match="line break"):
        Entries(path).append(b"a\nb", prove)


def test_a_log_that_is_a_folder_is_not_readable(path):
    path.mkdir()
    with pytest.raises(CannotEvaluate) as refusal:
        Entries(path)
    assert refusal.value.code == "state.unreadable"


def test_an_entry_that_does_not_fit_on_the_disk_leaves_the_log_as_it_was(path, root):
    program = (
        "import resource, sys; from pathlib import Path; from pipeline.signing.local.entries import Entries\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "log = Entries(Path(sys.argv[1]))\n"
        "log.append(b'fits', lambda tree, index: {})\n"
        "log.append(b'does not', lambda tree, index: {})\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    failed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert "CannotEvaluate: files.full: " in failed.stderr
    assert path.read_bytes() == b"fits\n"
