"""Files that are written whole or not at all, and locks that die with their holder."""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.model.errors import CannotEvaluate, GatehouseError


def cannot_write(path: Path, error: OSError) -> GatehouseError:
    """CannotEvaluate (``files.full``, ``files.unwritable``) for what kept ``path`` from being written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return CannotEvaluate(
        "files.full" if full else "files.unwritable",
        f"{path}: not written (got {error.strerror or error}, expected room and permission to write)",
        fix="free some disk space and run the command again" if full else f"make {path.parent} writable for this user",
    )


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``content`` in one step: a reader sees the old file or the new one.

    Raises CannotEvaluate (``files.full``, ``files.unwritable``) and leaves no temporary file.
    """
    with writing(path, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` once all of it is written; as ``write_atomic``, for what is large."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def read_limited(path: Path, limit: int) -> bytes:
    """The content of ``path``, one byte more than ``limit`` at most, so that a caller can tell it is too large."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def mark_used(*paths: Path) -> None:
    """Let ``remove_unused`` see that somebody needed these files now."""
    for path in paths:
        with contextlib.suppress(OSError):  # of a cache that only others may write to
            os.utime(path)


def remove_unused(folder: Path, *, before: float) -> int:
    """Remove the files below ``folder`` that nobody wrote or marked since ``before``, in seconds since the epoch.

    Lock files stay: one that is removed while somebody waits for it no longer keeps anybody out. So do links, and
    what cannot be removed. Returns how many files went.
    """
    paths = sorted(folder.rglob("*"), reverse=True)  # what is in a folder before the folder
    old = [path for path in paths if _last_used(path) < before and path.name != ".lock"]
    gone = 0
    for path in old:
        with contextlib.suppress(OSError):  # among them folders that are not empty
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
                gone += 1
    return gone


def _last_used(path: Path) -> float:
    """The time of a file or folder; never, which is not old, for what is neither or is gone."""
    try:
        status = path.lstat()
    except OSError:
        return float("inf")
    return status.st_mtime if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else float("inf")


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(path: Path, *, mode: int = 0o600, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` (flock(2)); the kernel frees it when the process ends, however it ends.

    ``waiting`` is called once where somebody else holds it, so that a run that waits can say for what.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
