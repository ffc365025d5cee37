"""The command line: parses, calls, prints, exits. No rules live here; each command is a module of ``commands``."""

import argparse
import os
import sys
from collections.abc import Sequence

from pipeline.commands import (
    backtest,
    export,
    forecast,
    grant,
    ledger,
    policy,
    reaudit,
    rebuild,
    report,
    revoke,
    rollback,
    settings,
    step,
    trust,
    unblock,
    verify,
    workflows,
)
from pipeline.commands.edge import root_folder, say, unexpected
from pipeline.model.errors import GatehouseError

COMMANDS = (
    step,
    verify,
    export,
    policy,
    settings,
    report,
    trust,
    rebuild,
    workflows,
    rollback,
    revoke,
    grant,
    reaudit,
    ledger,
    forecast,
    backtest,
    unblock,
)
_EXIT_CODES = "exit codes: 0 allowed, 1 refused, 2 arguments or pipeline.toml, 3 could not evaluate"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="Evidence, gate and promotion of one image.", epilog=_EXIT_CODES
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    return parser


def main(argv: Sequence[str]) -> int:
    # What stands behind `--` is the step's own; argparse would take its dashes for ours.
    before, after = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    arguments = _parser().parse_args(before, argparse.Namespace(options=tuple(after)))
    try:
        code = arguments.run(arguments)
        return int(code)
    except GatehouseError as error:
        say(str(error))
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("interrupted: nothing is half-written; run the command again to go on")
        return 130
    except Exception as error:  # noqa: BLE001
        say(str(unexpected(root_folder() / ".gatehouse", arguments.command, error)))
        return 3
