"""Where every script begins: make the bootstrap environment, then hand over. Standard library only."""

import os
import platform
import shutil
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.git import take_snapshot  # noqa: E402 - the root must be on the path first
from pipeline.model.errors import GatehouseError, Misuse  # noqa: E402
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


def main(command: str, arguments: list[str]) -> int:
    try:
        _check_host()
        if command == "pipeline":
            take_snapshot(ROOT)  # not a clone, or no commit: said before anything is made
        environments.ensure(ROOT, "bootstrap", _say)
        if command == "pipeline":
            return main_job.main(ROOT, arguments)
        if command == "test":
            return suite.main(ROOT, arguments, _say)
        if command == "nox":
            python = environments.locate(ROOT, "bootstrap").python
            program = [str(python), "-I", "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), *arguments]
        else:
            python = environments.ensure(ROOT, "pipeline", _say).python
            program = [str(python), "-I", str(ROOT / "pipeline" / "__main__.py"), *arguments]
        os.execv(program[0], program)
    except GatehouseError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    # A terminated run ends like an interrupted one: children are told, locks are freed, nothing is half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
