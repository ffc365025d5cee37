"""``grant``: a person allows somebody else one rollback or revocation."""

import argparse
from pathlib import Path

from pipeline.commands.deciding import add_registry, opened, read_digest
from pipeline.commands.edge import Subcommands


def register(commands: "Subcommands") -> None:
    grant = commands.add_parser("grant", help="allow somebody else one rollback or revocation")
    grant.add_argument("action", choices=("rollback", "revocation"))
    grant.add_argument("environment", nargs="+")
    grant.add_argument(
        "--image", type=read_digest, required=True, metavar="DIGEST", help="what it is about: sha256:..."
    )
    grant.add_argument(
        "--requester", required=True, metavar="WHO", help="who may use it: https://github.com/LOGIN, or who signs"
    )
    grant.add_argument("--reason", required=True)
    grant.add_argument("--hours", type=int, default=24, help="how long it counts (default: 24)")
    grant.add_argument(
        "--login",
        action="store_true",
        help="sign as yourself, in a browser: your address then stands in the public log",
    )
    grant.add_argument("--output", type=Path, default=None, metavar="FILE", help="write it there, attach it nowhere")
    add_registry(grant)
    grant.set_defaults(run=_grant)


def _grant(arguments: argparse.Namespace) -> int:
    from pipeline.promotion.granting import attach_grant, make_grant, write_grant
    from pipeline.signing.person import person_signer

    with opened(arguments) as (job, gate):
        signer = person_signer(job.settings, job.root) if arguments.login else gate.signer()
        made = make_grant(
            gate,
            signer,
            arguments.action,
            arguments.environment,
            arguments.image,
            requester=arguments.requester,
            reason=arguments.reason,
            hours=arguments.hours,
        )
        where = write_grant(arguments.output, made) if arguments.output else attach_grant(gate, arguments.image, made)
    environments = ", ".join(arguments.environment)
    print(f"granted {arguments.action} of {arguments.image} in {environments} to {arguments.requester}")
    print(f"signed by {signer.identity}, counts for {arguments.hours} hours, {where}")
    return 0
