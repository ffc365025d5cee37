"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.files import locked, read_limited, sha256_file, write_atomic
from pipeline.model.errors import CannotEvaluate


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "files.full"), (errno.EACCES, "files.unwritable")])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, number, code):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CannotEvaluate) as refused:
        write_atomic(path, b"new")
    assert refused.value.code == code
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_reading_stops_just_behind_the_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert len(read_limited(path, 10)) == 11


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    lock = tmp_path / "lock"
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from pipeline.files import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, lock, Path.cwd()], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locked(lock):
        pass


def test_the_digest_of_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert sha256_file(path).startswith("e3b0c442")


def test_who_has_to_wait_for_a_lock_can_say_so_once(tmp_path):
    said = []
    with locked(tmp_path / "lock", waiting=lambda: said.append("free")):
        pass
    program = "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, 2); print(1); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-u", "-c", program, tmp_path / "lock"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.read(1)

    def waiting():
        said.append("held")
        holder.kill()

    with locked(tmp_path / "lock", waiting=waiting):
        assert said == ["held"]
    holder.communicate()
