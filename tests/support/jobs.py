"""Jobs over small repositories, and tools that say what a test wants them to say."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.settings import load
from pipeline.source import read_source
from pipeline.steps.job import Job
from tests.support.repositories import make_repository

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS = """\
[app]
name = "service"
version = "1.0.0"
directory = "service"
tests = "tests/service"
port = 8000
health = "/healthz"
[image]
platforms = ["linux/amd64"]
"""


def make_job(
    folder: Path, files: Mapping[str, str], tools: Mapping[str, Path] | None = None, options: Sequence[str] = ()
) -> Job:
    """A job over a fresh repository in ``folder`` that holds ``files`` and a ``pipeline.toml``."""
    root = make_repository(folder, {"pipeline.toml": SETTINGS, ".gitignore": "/dist/\n/.gatehouse/\n", **files})
    own = {"test": Path(sys.executable), **(tools or {})}
    return Job(root=root, settings=load(root), source=read_source(root), tools=own, options=options, now=NOW)


def fake_environment(
    folder: Path, *, installed: Sequence[str] = (), **tools: tuple[str, int] | tuple[str, int, str]
) -> Path:
    """An environment whose ``tools`` print their text and end with their code; returns its Python.

    Give ``python`` for tools that are run as modules; a third value goes to stderr.
    """
    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    for name, (stdout, code, *stderr) in tools.items():
        said = f"printf '%s' {shlex.quote(stdout)}\nprintf '%s' {shlex.quote(''.join(stderr))} >&2\nexit {code}\n"
        (binaries / name).write_text(f"#!/bin/sh\n{said}")
        (binaries / name).chmod(0o755)
    for name in installed:
        (folder / "lib" / "python3.11" / "site-packages" / f"{name}-1.0.dist-info").mkdir(parents=True)
    return binaries / "python"
