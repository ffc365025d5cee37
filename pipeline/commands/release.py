"""The release that a command speaks of: the arguments that name it, and reading it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.edge import docker_config, load_settings, root_folder, use_system_certificates
from pipeline.model.errors import CannotEvaluate

if TYPE_CHECKING:
    from pipeline.gate.verify_command import Release
    from pipeline.store.interface import Store


def add_source(parser: argparse.ArgumentParser, *, image: bool = True) -> None:
    """The image (the last one built where none is named), the store and the policy."""
    if image:
        parser.add_argument("image", nargs="?", default="", help="sha256:... or a tag; default: the last image built")
    parser.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    parser.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")


def open_named(arguments: argparse.Namespace) -> "Store":
    from pipeline.store.opening import open_store

    use_system_certificates()
    registry = load_settings(arguments.registry).store.registry
    return open_store(registry, root_folder() / ".gatehouse", docker_config=docker_config())


def read_named(arguments: argparse.Namespace) -> "Release":
    from pipeline.gate.verify_command import read_release

    root = root_folder()
    policies = arguments.policy or root / "policies"
    return read_release(open_named(arguments), arguments.image or last_image(), policies, root / ".gatehouse")


def last_image() -> str:
    """The digest that the last image step of this clone left; raises CannotEvaluate (``image.unknown``)."""
    from pipeline.model.documents import parse
    from pipeline.model.outcome import StepRecord

    path = root_folder() / ".gatehouse" / "steps" / "image.json"
    try:
        record = parse(StepRecord, path.read_bytes(), what="record of step image")
        digest = record.outcome.data.get("digest")
    except FileNotFoundError:
        digest = None
    if not isinstance(digest, str):
        raise CannotEvaluate(
            "image.unknown",
            "image: none was built here (got no record of the image step, expected its digest)",
            fix="name it: sha256:...; or build it first: `scripts/pipeline`",
        )
    return digest
