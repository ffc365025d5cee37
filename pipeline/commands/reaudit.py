"""``reaudit DIGEST``: ask today's advisories about an image that was built before, and attach what they say, signed."""

import argparse

from pipeline.commands.deciding import add_registry, opened, read_digest
from pipeline.commands.edge import Subcommands, say


def register(commands: "Subcommands") -> None:
    reaudit = commands.add_parser("reaudit", help="ask today's advisories about an image that was built before")
    reaudit.add_argument("image", type=read_digest, metavar="DIGEST", help="sha256:...")
    reaudit.add_argument("--environment", default="", help="whose trusted audit says what is in it; default: the first")
    add_registry(reaudit)
    reaudit.set_defaults(run=_reaudit)


def _reaudit(arguments: argparse.Namespace) -> int:
    from pipeline.gate.gathering import gather, read_image
    from pipeline.promotion.today import today_of

    with opened(arguments, scanners=True) as (job, gate):
        here = gate.policy.environment(arguments.environment or gate.policy.environments[0].name)
        descriptor, image = read_image(gate.store, str(arguments.image))
        found = today_of(job, sign=True)(gate, descriptor, image, gather(gate.store, image, gate.roots), here)
    for finding in found:
        say(f"{finding.code}: {finding.message}\n  fix: {finding.fix}")
    print(
        f"reaudit: {arguments.image}: {len(found)} refusals in {here.name} by today's advisories; attached", flush=True
    )
    return 1 if found else 0
