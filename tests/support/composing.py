"""A small repository that the composer can build offline: its own Debian archive, wheels and application."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.debian import base_lock
from pipeline.image.composer import Composed, compose
from pipeline.image.layer import file, link
from pipeline.image.lower_layers import Workshop
from pipeline.settings import Settings, load
from pipeline.source import read_source
from pipeline.steps.job import Job
from tests.support.debian import NOW, DebianArchive, make_deb, served, write_keys
from tests.support.jobs import SETTINGS as SMALL_SERVICE
from tests.support.repositories import commit_all, make_repository
from tests.support.wheelhouse import make_pip, make_wheel

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV MODE=production
WORKDIR /app
COPY . /app/service/
USER 65532:65532
EXPOSE 8000
ENTRYPOINT ["/usr/bin/python3", "-I", "/app/service/__main__.py"]
"""
SETTINGS = (
    SMALL_SERVICE
    + """\
[base]
mirror = "{mirror}"
"""
)


@dataclass(frozen=True)
class Site:
    """A clone, the archive that its base comes from, and the program that stands for pip."""

    root: Path
    archive: DebianArchive
    pip: Path

    @property
    def settings(self) -> Settings:
        return load(self.root)

    @property
    def job(self) -> Job:
        return Job(
            root=self.root, settings=self.settings, source=read_source(self.root), tools={"checks": self.pip}, now=NOW
        )

    def compose(self, archive: Path, cache: Path, **changed: object) -> Composed:
        settings = self.settings
        image = settings.image.model_copy(update=changed)
        shop = Workshop(root=self.root, cache=cache, pip=self.pip)
        return compose(shop, settings.model_copy(update={"image": image}), read_source(self.root), archive)


def _debian() -> DebianArchive:
    made = DebianArchive()
    python = {
        "usr/bin/python3.13": file(b"interpreter", executable=True),
        "usr/bin/python3": link("python3.13"),
        "usr/lib64/ld.so": file(b"loader"),
    }
    made.add_package(
        "python3.13-minimal", make_deb("python3.13-minimal", python, version="3.13.5-2"), version="3.13.5-2"
    )
    made.add_package("tzdata", make_deb("tzdata", {"usr/share/zoneinfo/UTC": file(b"utc")}))
    made.publish()
    return made


@contextmanager
def site(folder: Path, files: Mapping[str, str] | None = None) -> Iterator[Site]:
    """The wheel holds no Python, so that the interpreter of the base, which is none, has nothing to compile."""
    house = folder / "house"
    house.mkdir(parents=True)
    wheel = make_wheel(house, {"thing/data.txt": b"data"})
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    archive = _debian()
    with served(archive) as server:
        root = make_repository(
            folder / "clone",
            {
                "pipeline.toml": SETTINGS.format(mirror=server.origin),
                ".gitignore": "/dist/\n/.gatehouse/\n*.log\n",
                "requirements.txt": f"thing==1.0 \\\n    --hash=sha256:{digest}\n",
                "requirements/base.in": "python3.13-minimal\ntzdata\n",
                "service/Dockerfile": DOCKERFILE,
                "service/.dockerignore": "Dockerfile\n.dockerignore\n",
                "service/__main__.py": "print('started')\n",
                **(files or {}),
            },
        )
        write_keys(root / "requirements" / "keys")
        base_lock.update(root, load(root), lambda _: None, now=NOW)
        commit_all(root)
        yield Site(root, archive, make_pip(folder, house))
