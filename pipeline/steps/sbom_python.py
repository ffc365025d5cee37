"""The Python packages of an SBOM: what each distribution's own METADATA says, and who needs whom inside the image."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pipeline.image.inventory import Distribution
from pipeline.image.purls import pypi_purl
from pipeline.image.wheels import Wheel
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.steps.sbom_entities import Entity, of_wheel
from pipeline.steps.sbom_licences import Licences, licences_of_wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """The locked file that a distribution came from. ``sha512`` is in hexadecimal, as the lock's sha256 is."""

    wheel: Wheel
    sha512: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """A distribution in the image; ``file`` is None where no lock names it (one that RUN installed, say)."""

    name: str
    version: str
    file: WheelFile | None
    creator: Entity
    licences: Licences
    requires: tuple[Requirement, ...]
    executable: bool

    @property
    def purl(self) -> str:
        return pypi_purl(self.name, self.version)


def read_package(found: Distribution, file: WheelFile | None, *, executable: bool) -> PythonPackage:
    """Raises CannotEvaluate (``sbom.wheel-metadata``)."""
    try:
        requires = tuple(Requirement(str(text)) for text in found.metadata.get_all("Requires-Dist", []))
        version = str(Version(found.version))
    except (InvalidRequirement, InvalidVersion) as error:
        raise CannotEvaluate(
            "sbom.wheel-metadata",
            f"/{found.folder}: its METADATA is not readable (got {error}, expected core metadata)",
            fix="lock another release of the package: nothing is known about this one",
        ) from error
    return PythonPackage(
        name=found.name,
        # As the lock writes it, where it comes from there: the provenance names it so.
        version=file.wheel.version if file else version,
        file=file,
        creator=of_wheel(found.metadata),
        licences=licences_of_wheel(found.metadata),
        requires=requires,
        executable=executable,
    )


def read_file(wheel: Wheel, path: Path) -> WheelFile:
    """``path`` is the wheel, held against the lock before."""
    return WheelFile(wheel=wheel, sha512=hashlib.sha512(path.read_bytes()).hexdigest())


def dependencies(
    direct: Iterable[Requirement], packages: Mapping[str, PythonPackage], environment: Mapping[str, str]
) -> dict[str, set[str]]:
    """Name to the names that it needs, ``""`` for the application; extras count where somebody asks for them.

    ``packages`` are by normalised name. Raises Refused (``sbom.missing-component``) for a need of the application
    or of a locked package that the image does not meet.
    """
    graph: dict[str, set[str]] = {name: set() for name in ("", *packages)}
    seen: set[tuple[str, str]] = set()
    waiting = [("", "", requirement) for requirement in direct]
    # What no lock names is not asked for by the application either; it has needs all the same.
    waiting += [(name, "", needed) for name, one in packages.items() if one.file is None for needed in one.requires]
    while waiting:
        owner, extra, requirement = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = str(canonicalize_name(requirement.name))
        if name not in packages:
            if owner and packages[owner].file is None:
                continue
            raise _unmet(owner, name, sorted(packages))
        graph[owner].add(name)
        for wanted in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, wanted))
            waiting += [(name, wanted, needed) for needed in packages[name].requires]
    return graph


def _unmet(owner: str, name: str, locked: Sequence[str]) -> Refused:
    return Refused(
        "sbom.missing-component",
        f"requirements.txt: leaves out what {owner or 'the application'} needs "
        f"(got {', '.join(locked) or 'nothing'}, expected {name} too)",
        fix="lock again with `scripts/nox -s lock -- update`",
    )
