"""The Debian packages of an SBOM: what the lock names, and what each package's own control and copyright files say."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.debian.control import alternatives, stanzas
from pipeline.debian.packages import Package
from pipeline.image.debs import Deb, read_deb
from pipeline.steps.sbom_licences import Licences, of_debian


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """``needs`` are the names of the packages of the base that it depends on."""

    package: Package
    maintainer: str
    licences: Licences
    needs: frozenset[str]


def read_packages(files: Mapping[Package, Path]) -> list[DebianPackage]:
    """Each locked package and its checked file, by name; raises CannotEvaluate (``base.package``)."""
    opened = {
        package: read_deb(path.read_bytes(), what=f"{package.name} {package.version}")
        for package, path in files.items()
    }
    copyrights = _copyrights(opened)
    names = frozenset(package.name for package in files)
    return [
        DebianPackage(
            package=package,
            maintainer=_control(deb).get("Maintainer", "").partition(" <")[0],
            licences=of_debian(copyrights.get(package.source, "")),
            needs=_needs(_control(deb)) & names - {package.name},
        )
        for package, deb in sorted(opened.items(), key=lambda item: item[0].name)
    ]


def _control(deb: Deb) -> dict[str, str]:
    return next(stanzas(deb.control.decode("utf-8", "replace")), {})


def _needs(control: Mapping[str, str]) -> frozenset[str]:
    """Every name that Depends and Pre-Depends mention; of alternatives those that are there count."""
    relations = ", ".join(control[field] for field in ("Pre-Depends", "Depends") if field in control)
    return frozenset(name for group in alternatives(relations) for name in group)


def _copyrights(opened: Mapping[Package, Deb]) -> dict[str, str]:
    """Source package to its copyright file: packages of one source share it, some only by a link."""
    found: dict[str, str] = {}
    for package, deb in opened.items():
        entry = deb.files.get(f"usr/share/doc/{package.name}/copyright")
        if entry is not None and entry.content:
            found[package.source] = entry.content.decode("utf-8", "replace")
    return found
