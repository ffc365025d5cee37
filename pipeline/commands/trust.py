"""``trust check`` and ``trust refresh``: the vendored Sigstore trust root."""

import argparse
from datetime import UTC, datetime

from pipeline.commands.edge import Subcommands, root_folder, say, use_system_certificates


def register(commands: "Subcommands") -> None:
    trust = commands.add_parser("trust", help="check or refresh the vendored Sigstore trust root")
    trust.add_argument("action", choices=("check", "refresh"))
    trust.set_defaults(run=_trust)


def _trust(arguments: argparse.Namespace) -> int:
    from pipeline.signing import refresh, trust, vendored

    folder = root_folder() / "policies" / "trust"
    now = datetime.now(UTC)
    if arguments.action == "refresh":
        use_system_certificates()
        refreshed = refresh.refresh_public(folder, today=now.date())
        print(f"trust: {', '.join(refreshed.changed) or 'nothing'} changed")
    public = vendored.load_public(folder, now)
    for line in trust.warnings(trust.load_trusted_root(public.trusted_root, what="public Sigstore", now=now), now):
        say(f"warning: {line}")
    print(f"trust: public Sigstore root of {vendored.read_vendored(folder).taken}, unchanged since and current")
    return 0
