"""``rollback ENV --to DIGEST``: have an image run again that ran there before, with somebody else's grant."""

import argparse
from pathlib import Path

from pipeline.commands.deciding import add_registry, opened, read_digest, read_grants
from pipeline.commands.edge import Subcommands, say


def register(commands: "Subcommands") -> None:
    rollback = commands.add_parser("rollback", help="go back to an image that ran in an environment before")
    rollback.add_argument("environment")
    rollback.add_argument("--to", type=read_digest, required=True, metavar="DIGEST", help="sha256:...")
    rollback.add_argument("--grant", type=Path, default=None, metavar="FILE", help="default: what is on the image")
    add_registry(rollback)
    rollback.set_defaults(run=_rollback)


def _rollback(arguments: argparse.Namespace) -> int:
    from pipeline.model.outcome import Status
    from pipeline.promotion.rolling_back import roll_back
    from pipeline.promotion.step import outcome
    from pipeline.promotion.today import today_of

    with opened(arguments, scanners=True) as (job, gate):
        grants = read_grants(arguments.grant)
        done = roll_back(gate, arguments.to, arguments.environment, today_of(job), grants)
    result = outcome(done, arguments.environment, done="rolled back to")
    print(f"rollback: {result.status.value}: {result.finding}", flush=True)
    for problem in result.problems:
        say(f"{problem.code}: {problem.message}\n  fix: {problem.fix}")
    return 1 if result.status is Status.FAILED else 0
