"""``unblock [IMAGE]``: the smallest set of changes that would turn a refusal."""

import argparse
import os
import sys
from datetime import UTC, datetime

from pipeline.commands.edge import Subcommands, rfc3339_time, root_folder
from pipeline.commands.release import add_source, read_named


def register(commands: "Subcommands") -> None:
    unblock = commands.add_parser("unblock", help="say the smallest set of changes that would turn a refusal")
    add_source(unblock)
    unblock.add_argument("--environment", default="development")
    unblock.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    unblock.add_argument("--format", choices=("text", "json"), default="text")
    unblock.set_defaults(run=_unblock)


def _unblock(arguments: argparse.Namespace) -> int:
    from pipeline.gate.cases import load_release
    from pipeline.gate.unblock import unblock
    from pipeline.report import unblock_forms
    from pipeline.report.terminal import terminal_of

    good = load_release(arguments.policy or root_folder() / "policies")
    found = unblock(read_named(arguments), arguments.environment, good, arguments.at or datetime.now(UTC))
    if arguments.format == "json":
        content = unblock_forms.as_json(found)
    else:
        terminal = terminal_of(sys.stdout, no_color=bool(os.environ.get("NO_COLOR")))
        content = unblock_forms.as_text(found, terminal).encode(sys.stdout.encoding or "ascii", "replace")
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    return found.today.exit_code
