"""``rebuild FOLDER``: the image step over another checkout; ``reproduce`` calls it in an emptied environment."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from pipeline.commands.edge import Subcommands, say, use_system_certificates
from pipeline.commands.step import environment, record

#: Another than most machines have, so that a build that lets it into the image gives another image.
UMASK = 0o077


def register(commands: "Subcommands") -> None:
    rebuild = commands.add_parser("rebuild", help="build the image of a checkout (reproduce calls this)")
    rebuild.add_argument("folder", type=Path, help="a clone; the image and its record go below it")
    rebuild.add_argument("--builder", choices=("composer", "engine"), required=True)
    rebuild.add_argument("--environment", action="append", default=[], type=environment, metavar="NAME=PYTHON")
    rebuild.add_argument("--docker-config", type=Path, default=None, metavar="FOLDER", help="credentials for a base")
    rebuild.set_defaults(run=_rebuild)


def _rebuild(arguments: argparse.Namespace) -> int:
    from pipeline import settings
    from pipeline.processes import end_with_parent
    from pipeline.source import read_source
    from pipeline.steps.job import Job

    end_with_parent()
    use_system_certificates()
    os.umask(UMASK)
    root = arguments.folder.resolve()
    loaded = settings.load(root)
    builder = loaded.image.model_copy(update={"builder": arguments.builder})
    source = read_source(root)
    job = Job(
        root=root,
        settings=loaded.model_copy(update={"image": builder}),
        source=source,
        tools=dict(arguments.environment),
        docker_config=arguments.docker_config,
        now=datetime.fromtimestamp(source.committed, UTC),  # what was accepted until a day counts as it did then
        say=say,
    )
    _, code = record(job, "image")
    return code
