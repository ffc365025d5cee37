"""``revoke DIGEST``: an image that may never run again, with somebody else's grant."""

import argparse
from pathlib import Path

from pipeline.commands.deciding import add_registry, opened, read_digest, read_grants
from pipeline.commands.edge import Subcommands, say
from pipeline.model.errors import Refused


def register(commands: "Subcommands") -> None:
    revoke = commands.add_parser("revoke", help="say that an image may never run again")
    revoke.add_argument("image", type=read_digest, metavar="DIGEST", help="sha256:...")
    revoke.add_argument(
        "--environment", action="append", default=[], metavar="ENV", help="may be repeated; default: every environment"
    )
    revoke.add_argument("--grant", type=Path, default=None, metavar="FILE", help="default: what is on the image")
    add_registry(revoke)
    revoke.set_defaults(run=_revoke)


def _revoke(arguments: argparse.Namespace) -> int:
    """An environment that refuses keeps no other one from being told; the first refusal is raised at the end."""
    from pipeline.promotion.revoking import revoke

    refused: list[Refused] = []
    with opened(arguments) as (_, gate):
        grants = read_grants(arguments.grant)
        every = [environment.name for environment in gate.policy.environments]
        for name in arguments.environment or every:
            try:
                done = revoke(gate, arguments.image, name, grants)
            except Refused as error:
                say(f"{name}: not revoked: {error.code}")
                refused.append(error)
                continue
            said = "revoked" if done.written else "was revoked before"
            print(f"{name}: {arguments.image} {said}, entry {done.sequence}", flush=True)
            if done.runs:
                say(f"warning: {name} runs it still: `scripts/gatehouse rollback {name} --to sha256:...`")
    if refused:
        raise refused[0]
    return 0
