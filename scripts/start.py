"""Where every script begins: make the bootstrap environment, then hand over. Standard library only."""

import contextlib
import errno
import os
import platform
import shutil
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.files import write_atomic  # noqa: E402 - the root must be on the path first
from pipeline.git import take_snapshot  # noqa: E402
from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse  # noqa: E402
from pipeline.processes import end_on_signals  # noqa: E402
from pipeline.running import environments, main_job, suite  # noqa: E402


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check_host() -> None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise Misuse(
            "host.unsupported",
            f"{platform.system()} on {platform.machine()}: not supported (expected Linux on amd64 or arm64)",
            fix="run it in a Linux container, for example one with Debian 13 and its python3, python3-venv and git",
        )
    if shutil.which("git") is None:
        raise Misuse(
            "host.no-git",
            "git: not found (got no such program, expected git on PATH)",
            fix="install it (Debian and Ubuntu: `apt-get install git`)",
        )


def _start(command: str, arguments: list[str]) -> int:
    _check_host()
    if command == "pipeline":
        main_job.parse_arguments(arguments)  # what was mistyped is said before anything is made,
        take_snapshot(ROOT)  # and so is a folder that is no clone, or has no commit
    environments.ensure(ROOT, "bootstrap", _say)
    if command == "pipeline":
        return main_job.main(ROOT, arguments)
    if command == "test":
        program, environment = suite.prepare(ROOT, arguments, _say)
        os.chdir(ROOT)
        return os.execve(program[0], program, environment)
    if command == "nox":
        python = environments.locate(ROOT, "bootstrap").python
        program = [str(python), "-I", "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *arguments]
    else:
        python = environments.ensure(ROOT, "pipeline", _say).python
        program = [str(python), "-I", str(ROOT / "pipeline" / "__main__.py"), *arguments]
    return os.execv(program[0], program)


def main(command: str, arguments: list[str]) -> int:
    try:
        return _start(command, arguments)
    except GatehouseError as error:
        stopped: GatehouseError = error
    except OSError as error:
        stopped = _unusable(error)
    except KeyboardInterrupt:
        _say("interrupted: nothing is half-written; run the command again to go on")
        return 130
    except Exception as error:  # noqa: BLE001 - a defect of ours is one line too
        stopped = _defect(error)
    _say(str(stopped))
    return stopped.exit_code


def _unusable(error: OSError) -> CannotEvaluate:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return CannotEvaluate(
        "files.full" if full else "files.unusable",
        f"{error.filename or ROOT}: not usable (got {error.strerror or error}, expected to read and write it)",
        fix="free some disk space and run the command again"
        if full
        else f"give this user the files below {ROOT / environments.STATE}, or remove that folder",
    )


def _defect(error: Exception) -> CannotEvaluate:
    log = ROOT / environments.STATE / "logs" / "start.log"
    with contextlib.suppress(GatehouseError):
        write_atomic(log, "".join(traceback.format_exception(error)).encode("utf-8", "replace"), mode=0o600)
    return CannotEvaluate(
        "internal.defect",
        f"start: stopped by a defect of the pipeline (got {type(error).__name__}, expected none)",
        fix=f"report it with the file {log.relative_to(ROOT)}",
    )


if __name__ == "__main__":
    # A terminated run ends like an interrupted one: children are told, locks are freed, nothing is half-written.
    end_on_signals()
    sys.exit(main(sys.argv[1], sys.argv[2:]))
