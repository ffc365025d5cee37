"""``backtest``: a changed policy replayed over stored releases, with the verdicts that turn and why."""

import argparse
import os
import sys
from pathlib import Path

from pipeline.commands.edge import Subcommands, root_folder
from pipeline.commands.release import open_named


def register(commands: "Subcommands") -> None:
    backtest = commands.add_parser("backtest", help="replay a changed policy over stored releases")
    backtest.add_argument("images", nargs="*", metavar="IMAGE", help="default: every tagged image of the store")
    backtest.add_argument("--policy", type=Path, required=True, metavar="FOLDER", help="the changed policy")
    backtest.add_argument("--against", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    backtest.add_argument("--environment", action="append", default=[], help="default: all that both policies have")
    backtest.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    backtest.add_argument("--format", choices=("text", "json"), default="text")
    backtest.set_defaults(run=_backtest)


def _backtest(arguments: argparse.Namespace) -> int:
    """Exit code 3 where a release could not be judged, 1 where a verdict turns."""
    from pipeline.gate.backtest import Judge, backtest
    from pipeline.report import backtest_forms
    from pipeline.report.terminal import terminal_of

    root = root_folder()
    state = root / ".gatehouse"
    before, after = (Judge.of(folder, state) for folder in (arguments.against or root / "policies", arguments.policy))
    found = backtest(open_named(arguments), arguments.images, before, after, arguments.environment)
    if arguments.format == "json":
        content = backtest_forms.as_json(found)
    else:
        terminal = terminal_of(sys.stdout, no_color=bool(os.environ.get("NO_COLOR")))
        content = backtest_forms.as_text(found, terminal).encode(sys.stdout.encoding or "ascii", "replace")
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
    return 3 if found.unread else 1 if found.flips else 0
