"""``policy check``: whether the policy files hold together."""

import argparse
from pathlib import Path

from pipeline.commands.edge import Subcommands, root_folder


def register(commands: "Subcommands") -> None:
    policy = commands.add_parser("policy", help="check the policy files")
    policy.add_argument("action", choices=("check",))
    policy.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    policy.set_defaults(run=_policy)


def _policy(arguments: argparse.Namespace) -> int:
    from pipeline.gate.verify_command import check_policies

    print(check_policies(arguments.policy or root_folder() / "policies"))
    return 0
