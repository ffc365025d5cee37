"""Where every script begins: make the bootstrap environment, then hand over. Standard library only."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.git import take_snapshot  # noqa: E402 - the root must be on the path first
from pipeline.model.errors import GatehouseError  # noqa: E402
from pipeline.processes import end_on_signals  # noqa: E402
from pipeline.running import environments, main_job, stops, suite  # noqa: E402


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _start(command: str, arguments: list[str]) -> int:
    stops.check_host()
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
        stopped = stops.unusable(ROOT, error)
    except KeyboardInterrupt:
        _say("interrupted: nothing is half-written; run the command again to go on")
        return 130
    except Exception as error:  # noqa: BLE001 - a defect of ours is one line too
        stopped = stops.defect(ROOT, error)
    _say(str(stopped))
    return stopped.exit_code


if __name__ == "__main__":
    # A terminated run ends like an interrupted one: children are told, locks are freed, nothing is half-written.
    end_on_signals()
    sys.exit(main(sys.argv[1], sys.argv[2:]))
