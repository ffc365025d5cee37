"""``settings check``: whether pipeline.toml can be used."""

import argparse

from pipeline.commands.edge import Subcommands, load_settings


def register(commands: "Subcommands") -> None:
    checked = commands.add_parser("settings", help="check pipeline.toml")
    checked.add_argument("action", choices=("check",))
    checked.add_argument("--registry", default="", metavar="HOST/REPO")
    checked.set_defaults(run=_settings)


def _settings(arguments: argparse.Namespace) -> int:
    load_settings(arguments.registry)
    return 0
