"""The shapes of the base: its package list (``base.in``) and its lock (``base.lock.json``)."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pipeline.model.context import Sha256Hex
from pipeline.model.documents import Document
from pipeline.model.errors import Refused

LIST = "requirements/base.in"
LOCK = "requirements/base.lock.json"
UPDATE = "scripts/nox -s lock -- base"
Architecture = Literal["amd64", "arm64"]
ARCHITECTURES: tuple[Architecture, ...] = ("amd64", "arm64")

_NAME = r"[a-z0-9][a-z0-9+.-]+"
_FILE = r"[A-Za-z0-9+_~%:-][A-Za-z0-9.+_~%:-]*"
PackageName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]
VersionText = Annotated[str, StringConstraints(pattern=r"^([0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*$")]
PoolPath = Annotated[str, StringConstraints(pattern=rf"^(debian|debian-security)/pool/({_FILE}/)*{_FILE}\.deb$")]
Stamp = Annotated[str, StringConstraints(pattern=r"^\d{8}T\d{6}Z$")]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Package(Document):
    """One binary package. ``path`` is below the mirror (``debian/pool/...``), ``size`` in bytes."""

    name: PackageName
    version: VersionText
    architecture: Literal["amd64", "arm64", "all"]
    source: PackageName
    source_version: VersionText
    sha256: Sha256Hex
    size: int = Field(ge=1, le=1 << 30)
    path: PoolPath


class SuiteDate(Document):
    archive: Literal["debian", "debian-security"]
    name: str
    date: Time
    """The ``Date`` of its InRelease; it never decreases."""


class BaseLock(Document):
    version: Literal[1]
    suite: str
    time: int = Field(ge=0)
    """Seconds since the epoch: the suites' newest Date when a package last changed. The base layer's files carry it."""
    snapshot: dict[str, Stamp]
    """When to look in the snapshot archive for a package that has left the mirror."""
    suites: list[SuiteDate]
    packages: dict[Architecture, list[Package]]

    def python(self) -> str:
        """The image's Python, ``3.13``: the version in the name of its minimal interpreter's package."""
        names = (package.name for packages in self.packages.values() for package in packages)
        found = {match[1] for name in names if (match := re.fullmatch(r"python(3\.\d+)-minimal", name))}
        if len(found) != 1:
            raise Refused(
                "base.python",
                f"{LOCK}: no single Python (got {sorted(found)}, expected one package python3.N-minimal)",
                fix=f"name one Python in {LIST}, then `{UPDATE}`",
            )
        return found.pop()


@dataclass(frozen=True, slots=True)
class PackageList:
    """``base.in``: the packages of the base, and the dependencies that are left out on purpose."""

    packages: tuple[str, ...]
    omitted: tuple[str, ...]


def parse_list(text: str) -> PackageList:
    """One name a line, ``!name`` for an omission, ``#`` for a comment; raises Refused (``base.list``)."""
    lines = [line.split("#", 1)[0].strip() for line in text.splitlines()]
    names = [line for line in lines if line]
    wrong = [name for name in names if not re.fullmatch(f"!?{_NAME}", name)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if wrong or twice or not names:
        raise Refused(
            "base.list",
            f"{LIST}: not a package list (got {(wrong or twice or ['nothing'])[0]!r}{' twice' if twice else ''}, "
            "expected one package name a line)",
            fix=f"mend the line in {LIST}",
        )
    packages = tuple(sorted(name for name in names if not name.startswith("!")))
    return PackageList(packages, tuple(sorted(name[1:] for name in names if name.startswith("!"))))
