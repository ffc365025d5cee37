"""The Debian packages of an SBOM: what the image's own control and copyright files say, and the locked files."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.debian.control import alternatives
from pipeline.debian.packages import Package
from pipeline.image.inventory import Installed
from pipeline.steps.sbom_entities import Entity, of_maintainer
from pipeline.steps.sbom_licences import Licences, licences_of_debian

_SOURCE = re.compile(r"(?P<name>[^\s(]+)(?:\s*\((?P<version>[^)]+)\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class DebFile:
    """The locked file that a package came from."""

    package: Package
    sha512: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """``needs`` are the names that it depends on, alternatives among them; ``file`` is None where no lock names it."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    file: DebFile | None
    creator: Entity
    licences: Licences
    needs: frozenset[str]
    executable: bool


def read_package(found: Installed, file: DebFile | None, *, executable: bool) -> DebianPackage:
    fields = found.fields
    source = _SOURCE.match(fields.get("Source", ""))
    relations = ", ".join(fields[field] for field in ("Pre-Depends", "Depends") if field in fields)
    name = source["name"] if source else found.name
    return DebianPackage(
        name=found.name,
        version=found.version,
        # As the lock has it, where it comes from there: the provenance names it so.
        architecture=file.package.architecture if file else fields.get("Architecture", "all"),
        source=name,
        source_version=(source and source["version"]) or found.version,
        file=file,
        creator=of_maintainer(fields.get("Maintainer", "")),
        licences=licences_of_debian(found.copyright, source=name, package=found.name),
        needs=frozenset(name for group in alternatives(relations) for name in group) - {found.name},
        executable=executable,
    )


def read_file(package: Package, path: Path) -> DebFile:
    """``path`` is the package, held against the lock before."""
    return DebFile(package=package, sha512=hashlib.sha512(path.read_bytes()).hexdigest())
