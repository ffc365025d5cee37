"""What ``rollback``, ``revoke``, ``grant``, ``reaudit`` and ``ledger`` share: their job and its gate."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.edge import root_folder, say, use_system_certificates
from pipeline.commands.step import make_job

if TYPE_CHECKING:
    from pipeline.model.digests import Digest
    from pipeline.promotion.recording import Gate
    from pipeline.steps.job import Job


def add_registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")


@contextlib.contextmanager
def opened(arguments: argparse.Namespace, *, scanners: bool = False) -> "Iterator[tuple[Job, Gate]]":
    """The job and its gate; the signer is closed at the end. ``scanners`` makes their environment where it is not."""
    from pipeline.processes import end_on_signals
    from pipeline.promotion.opening import load_job_policy, open_gate
    from pipeline.running.environments import ensure

    end_on_signals()
    use_system_certificates()
    tools = [("checks", ensure(root_folder(), "checks", say).python)] if scanners else []
    asked = argparse.Namespace(environment=tools, registry=arguments.registry, options=(), ci=False)
    job = make_job(asked)
    with contextlib.ExitStack() as closed:
        yield job, open_gate(job, load_job_policy(job), closed)


def read_digest(text: str) -> "Digest":
    """``sha256:...``; a tag is somebody's word that changes."""
    from pipeline.model.digests import Digest

    try:
        return Digest.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a digest: {text[:80]!r} (give sha256: and 64 digits)") from None


def read_grants(path: Path | None) -> list[bytes]:
    """The bundle in the file that ``grant --output`` wrote, or none."""
    from pipeline.files import read_limited
    from pipeline.model.errors import Misuse
    from pipeline.promotion.grants import read_grant_file
    from pipeline.store.interface import MAX_BUNDLE

    if path is None:
        return []
    try:
        return [read_grant_file(read_limited(path, MAX_BUNDLE), path.name)]
    except OSError as error:
        raise Misuse(
            "grant.file",
            f"--grant: not readable (got {error.strerror}, expected a file that `grant --output` wrote)",
            fix="name the file, or leave --grant out where the grant is attached to the image",
        ) from error
