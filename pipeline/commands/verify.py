"""``verify IMAGE``: the verdict of one environment, today or at a given time."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from pipeline.commands.edge import (
    Subcommands,
    docker_config,
    load_settings,
    rfc3339_time,
    root_folder,
    use_system_certificates,
)


def register(commands: "Subcommands") -> None:
    verify = commands.add_parser("verify", help="judge an image from its evidence, today or at a given time")
    verify.add_argument("image", help="sha256:... or a tag in the store")
    verify.add_argument("--environment", default="development")
    verify.add_argument("--at", type=rfc3339_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    verify.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    verify.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    verify.add_argument("--format", choices=("text", "json"), default="text")
    verify.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    from pipeline.gate.verify_command import print_judgement, verify_image
    from pipeline.store.opening import open_store

    use_system_certificates()
    root = root_folder()
    state = root / ".gatehouse"
    loaded = load_settings(arguments.registry)
    judgement = verify_image(
        open_store(loaded.store.registry, state, docker_config=docker_config()),
        arguments.image,
        arguments.environment,
        arguments.policy or root / "policies",
        arguments.at or datetime.now(UTC),
        state,
    )
    print_judgement(judgement, sys.stdout, style=arguments.format)
    return judgement.exit_code
