"""The instance's private folder: mode 0700, secrets 0600, refused when others could read them."""

import errno
import os
import shlex
import stat
from pathlib import Path

from pipeline.model.errors import CannotEvaluate, Misuse

MAX_BYTES = 1024 * 1024


def _word(path: Path) -> str:
    """As a shell takes it."""
    return shlex.quote(str(path))


def unreadable(path: Path, error: OSError) -> CannotEvaluate:
    return CannotEvaluate(
        "state.unreadable",
        f"{path}: not readable (got {error.strerror or error}, expected read and write for this user)",
        fix=f"give it back to this user, `sudo chown -R $(id -u) {_word(path.parent)}`, or remove that folder",
    )


def damaged(path: Path, what: str) -> CannotEvaluate:
    return CannotEvaluate(
        "state.damaged",
        f"{path}: damaged (got {what}, expected what the local instance wrote)",
        fix=f"remove {path.parent}: new keys are made, and local evidence has to be signed again",
    )


def _check(path: Path, info: os.stat_result) -> None:
    is_folder = stat.S_ISDIR(info.st_mode)
    folder = path if is_folder else path.parent
    if info.st_uid not in {0, os.geteuid()}:
        raise _exposed(
            path,
            f"got owner {info.st_uid}, expected {os.geteuid()}",
            f"if that user is to be trusted, `sudo chown -R {os.geteuid()} {_word(folder)}`; else remove {folder}",
        )
    if info.st_mode & 0o077:
        raise _exposed(
            path,
            f"got mode {stat.S_IMODE(info.st_mode):04o}, expected {'0700' if is_folder else '0600'}",
            f"if nobody else could have read them, `chmod -R go-rwx {_word(folder)}`; else remove {folder}",
        )


def _exposed(path: Path, difference: str, fix: str) -> Misuse:
    return Misuse(
        "state.keys-exposed", f"{path}: others may read or change the local signing keys ({difference})", fix=fix
    )


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` with mode 0700, or hold an existing one against that.

    Raises Misuse (``state.keys-exposed``), CannotEvaluate (``state.unreadable``).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        info = os.lstat(folder)
    except OSError as error:
        raise unreadable(folder, error) from error
    _check(folder, info)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise unreadable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def read_secret(path: Path) -> bytes | None:
    """The content of a private file, None where there is none. Never follows a link.

    Raises Misuse (``state.keys-exposed``), CannotEvaluate (``state.unreadable``, ``state.damaged``).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor))
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise damaged(path, f"more than {MAX_BYTES} bytes")
    return content
