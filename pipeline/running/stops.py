"""What stops a command before any step runs: the wrong machine, files that cannot be used, a defect of ours."""

import contextlib
import errno
import platform
import shutil
import sys
import traceback
from pathlib import Path

from pipeline.files import write_atomic
from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse
from pipeline.running.environments import STATE


def check_host() -> None:
    """Raise Misuse (``host.unsupported``, ``host.no-git``)."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise Misuse(
            "host.unsupported",
            f"{platform.system()} on {platform.machine()}: not supported (got {sys.platform}, "
            "expected Linux on amd64 or arm64)",
            fix="run it in a Linux container, for example one with Debian 13 and its python3, python3-venv and git",
        )
    if shutil.which("git") is None:
        raise Misuse(
            "host.no-git",
            "git: not found (got no such program, expected git on PATH)",
            fix="install it (Debian and Ubuntu: `apt-get install git`)",
        )


def unusable(root: Path, error: OSError) -> CannotEvaluate:
    """A file that the system does not let us use, as one line (``files.full``, ``files.unusable``)."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return CannotEvaluate(
        "files.full" if full else "files.unusable",
        f"{error.filename or root}: not usable (got {error.strerror or error}, expected to read and write it)",
        fix="free some disk space and run the command again"
        if full
        else f"give this user the files below {root / STATE}, or remove that folder",
    )


def defect(root: Path, error: Exception) -> CannotEvaluate:
    """A defect of ours as one line (``internal.defect``); the traceback goes into a file where one can be written."""
    log = root / STATE / "logs" / "start.log"
    with contextlib.suppress(GatehouseError):
        write_atomic(log, "".join(traceback.format_exception(error)).encode("utf-8", "replace"), mode=0o600)
    return CannotEvaluate(
        "internal.defect",
        f"start: stopped by a defect of the pipeline (got {type(error).__name__}, expected none)",
        fix=f"report it with the file {log.relative_to(root)}",
    )
