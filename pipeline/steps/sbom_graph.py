"""What an SBOM is made of, who needs whom in it, and how complete that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.image.purls import deb_purl
from pipeline.steps.sbom_debian import DebFile, DebianPackage
from pipeline.steps.sbom_python import PythonPackage


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """The archive that is deployed; digests in hexadecimal, ``manifest`` is the platform's."""

    name: str
    sha256: str
    sha512: str
    manifest: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in one platform's image. ``needs`` is the Python graph by name, ``""`` the application.

    ``system`` is os-release's ID and VERSION_CODENAME; ``interpreter`` a Python that no package brought, by its
    version; ``base`` a foreign base's purl. Both are empty where there is none.
    """

    platform: str
    image: ImageFile
    system: tuple[str, str]
    python: Sequence[PythonPackage]
    needs: Mapping[str, set[str]]
    debian: Sequence[DebianPackage]
    locked: Sequence[DebFile]
    """Every file of the base's lock."""
    interpreter: str = ""
    base: str = ""

    @property
    def root(self) -> str:
        """The reference that everything not in a package hangs on."""
        return f"operating-system:{self.system[0]}-{self.system[1]}"

    def purl(self, package: DebianPackage) -> str:
        vendor, suite = self.system
        return deb_purl(vendor, package.name, package.version, package.architecture, suite)


def dependencies(root: str, contents: Contents) -> list[dict[str, Any]]:
    """Every component once. A package that nobody asks for hangs on the application, so that it is seen."""
    wheels: dict[str, set[str]] = {}
    for one in contents.python:
        wheels.setdefault(one.name, set()).add(one.purl)
    debs: dict[str, set[str]] = {}
    for item in contents.debian:
        debs.setdefault(item.name, set()).add(contents.purl(item))
    asked_for = set().union(*contents.needs.values())
    interpreter = {f"pkg:generic/python@{contents.interpreter}"} if contents.interpreter else set()
    base = {contents.base} if contents.base else set()
    edges: dict[str, set[str]] = {
        root: {contents.root} | interpreter | base | _all(wheels, contents.needs[""] | (wheels.keys() - asked_for)),
        contents.root: set().union(*debs.values()),
        **{ref: set() for ref in (*interpreter, *base)},
        **{purl: _all(wheels, contents.needs[name]) for name, purls in wheels.items() for purl in purls},
    }
    for item in contents.debian:
        edges[contents.purl(item)] = _all(debs, item.needs & debs.keys())
    return [{"ref": ref, "dependsOn": sorted(needed)} for ref, needed in sorted(edges.items())]


def _all(purls: Mapping[str, set[str]], names: set[str] | frozenset[str]) -> set[str]:
    return set().union(*(purls[name] for name in names))


def compositions(root: str, contents: Contents) -> list[dict[str, Any]]:
    """The Python graph is whole; of Debian's, what the base leaves out on purpose (debconf, say) is missing.

    What a foreign image holds beside its packages nobody has listed.
    """
    debs = sorted({contents.purl(item) for item in contents.debian})
    whole = sorted({root, contents.root, *(package.purl for package in contents.python)})
    unlisted = [*([f"pkg:generic/python@{contents.interpreter}"] if contents.interpreter else [])]
    unlisted += [contents.base] if contents.base else []
    return [
        {"aggregate": "complete", "assemblies": [root], "dependencies": whole},
        {"aggregate": "incomplete", "dependencies": debs},
        *([{"aggregate": "unknown", "dependencies": unlisted}] if unlisted else []),
    ]
