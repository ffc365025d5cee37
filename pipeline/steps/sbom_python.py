"""The Python packages of an SBOM: what each wheel's own METADATA says, and who needs whom inside the image."""

import email.parser
import email.policy
import email.utils
import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pipeline.image.purls import wheel_purl
from pipeline.image.wheels import Wheel
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.steps.sbom_licences import UNKNOWN, Licences, of_wheel

MAX_METADATA = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """A wheel as an SBOM sees it. ``sha512`` is of the wheel file, in hexadecimal, as the lock's sha256 is."""

    wheel: Wheel
    sha512: str
    supplier: str
    licences: Licences
    requires: tuple[Requirement, ...]

    @property
    def purl(self) -> str:
        return wheel_purl(self.wheel)


def read_package(wheel: Wheel, path: Path) -> PythonPackage:
    """Read a wheel whose hash was checked; raises CannotEvaluate (``sbom.wheel-metadata``)."""
    try:
        metadata = _metadata(path)
        requires = tuple(Requirement(str(text)) for text in metadata.get_all("Requires-Dist", []))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, InvalidRequirement, NotImplementedError) as error:
        raise CannotEvaluate(
            "sbom.wheel-metadata",
            f"{wheel.filename}: its METADATA is not readable (got {error}, expected core metadata)",
            fix="lock another release of the package: nothing is known about this one",
        ) from error
    return PythonPackage(
        wheel=wheel,
        sha512=hashlib.sha512(path.read_bytes()).hexdigest(),
        supplier=_supplier(metadata),
        licences=of_wheel(metadata),
        requires=requires,
    )


def _metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")]
        if len(names) != 1 or archive.getinfo(names[0]).file_size > MAX_METADATA:
            raise ValueError(f"{len(names)} METADATA files of usual size")
        # compat32 keeps a header as it stands where the newer policy would refuse or refold it.
        return email.parser.BytesParser(policy=email.policy.compat32).parsebytes(archive.read(names[0]))


def _supplier(metadata: Message) -> str:
    """The first of author and maintainer that is named; of an address, the name in it."""
    for field in ("Author", "Maintainer", "Author-email", "Maintainer-email"):
        text = " ".join(str(metadata.get(field) or "").split())
        if field.endswith("-email"):
            text = ", ".join(name or address for name, address in email.utils.getaddresses([text]) if name or address)
        if text and text.upper() != "UNKNOWN":
            return text[:200]
    return UNKNOWN


def dependencies(
    direct: Iterable[Requirement], packages: Mapping[str, PythonPackage], environment: Mapping[str, str]
) -> dict[str, set[str]]:
    """Name to the names that it needs, ``""`` for the application; extras count where somebody asks for them.

    ``packages`` are by normalised name. Raises Refused (``sbom.missing-component``) for a need that the lock
    does not meet.
    """
    graph: dict[str, set[str]] = {name: set() for name in ("", *packages)}
    seen: set[tuple[str, str]] = set()
    waiting = [("", "", requirement) for requirement in direct]
    while waiting:
        owner, extra, requirement = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = str(canonicalize_name(requirement.name))
        if name not in packages:
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
