"""``ledger ENV``: what ran in an environment, verified whole."""

import argparse

from pipeline.commands.deciding import add_registry, opened
from pipeline.commands.edge import Subcommands


def register(commands: "Subcommands") -> None:
    ledger = commands.add_parser("ledger", help="verify an environment's ledger and print it, oldest entry first")
    ledger.add_argument("environment")
    add_registry(ledger)
    ledger.set_defaults(run=_ledger)


def _ledger(arguments: argparse.Namespace) -> int:
    from pipeline.promotion.recording import opened_ledger
    from pipeline.promotion.telling import lines

    with opened(arguments) as (_, gate), opened_ledger(gate, arguments.environment) as found:
        print("\n".join(lines(found)), flush=True)
    return 0
