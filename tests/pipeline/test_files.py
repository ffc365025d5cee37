"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.files import locked, mark_used, read_limited, remove_unused, sha256_file, write_atomic
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


@pytest.fixture
def aged(tmp_path):
    """Makes a file, or a folder, that was last used at a time."""

    def run(name, used):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
        os.utime(path, (used, used))
        os.utime(path.parent, (used, used))
        return path

    return run


def test_what_nobody_used_for_long_goes_with_its_folders(tmp_path, aged):
    aged("old/one", 10)
    aged("old/two", 10)
    young = aged("young/one", 30)
    assert remove_unused(tmp_path, before=20) == 2
    assert sorted(tmp_path.rglob("*")) == [young.parent, young]


def test_what_was_marked_stays(tmp_path, aged):
    kept = aged("folder/one", 10)
    mark_used(kept, tmp_path / "absent")
    assert remove_unused(tmp_path, before=20) == 0
    assert kept.exists()


def test_a_lock_and_a_link_stay_however_old(tmp_path, aged):
    lock, outside = aged("folder/.lock", 10), aged("elsewhere", 10)
    os.utime(outside, (30, 30))
    link = lock.with_name("link")
    link.symlink_to(outside)
    os.utime(link, (10, 10), follow_symlinks=False)
    assert remove_unused(tmp_path, before=20) == 0
    assert lock.exists()
    assert link.exists()


def test_a_folder_that_is_not_there_holds_nothing_unused(tmp_path):
    assert remove_unused(tmp_path / "absent", before=20) == 0
