"""A small repository in a folder, and the Job that a step gets for it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.model.context import Source
from pipeline.settings import Advisories, App, Image, Settings
from pipeline.steps.job import Job


def _package(name: str, version: str, architecture: str, source: str, digest: str) -> dict[str, object]:
    path = f"debian/pool/main/{source[0]}/{source}/{name}.deb"
    both = {"version": version, "source_version": version, "sha256": digest * 64, "size": 10, "path": path}
    return {"name": name, "architecture": architecture, "source": source, **both}


BASE_LOCK = {
    "version": 1,
    "suite": "trixie",
    "time": 1795140670,
    "snapshot": {"debian": "20261120T141110Z", "debian-security": "20261120T121242Z"},
    "suites": [{"archive": "debian", "name": "trixie", "date": "2026-09-12T07:55:41Z"}],
    "packages": {
        architecture: [
            _package("python3.13-minimal", "3.13.5-2+deb13u5", architecture, "python3.13", "a"),
            _package("tzdata", "2026f-0+deb13u1", "all", "tzdata", "b"),
        ]
        for architecture in ("amd64", "arm64")
    },
}
SOURCE = Source(uri="git+https://git.example/board", commit="c" * 40, tree="d" * 40, dirty=False, committed=1767323045)


def lock_of(pins: Mapping[str, str]) -> str:
    """A lock as pip-compile writes it; ``pins`` maps ``name==version`` to a SHA-256."""
    return "".join(f"{pin} \\\n    --hash=sha256:{digest}\n" for pin, digest in pins.items())


def make_job(
    root: Path,
    *,
    lock: str,
    direct: Sequence[str],
    tools: Mapping[str, Path],
    osv: str = "",
    platforms: Sequence[str] = ("linux/amd64",),
) -> Job:
    """``root`` gets requirements.in, requirements.txt and a base lock of two packages."""
    (root / "requirements").mkdir()
    (root / "requirements.txt").write_text(lock, encoding="utf-8")
    (root / "requirements.in").write_text("".join(f"{name}\n" for name in direct), encoding="utf-8")
    (root / "requirements/base.lock.json").write_text(json.dumps(BASE_LOCK), encoding="utf-8")
    app = App(name="board", version="1.2.0", directory="app", tests="tests", port=8888, health="/healthz")
    image = Image.model_validate({"platforms": list(platforms)})
    return Job(
        root=root,
        settings=Settings(app=app, image=image, advisories=Advisories(osv=osv)),
        source=SOURCE,
        tools=tools,
        now=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )
