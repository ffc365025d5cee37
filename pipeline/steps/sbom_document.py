"""The CycloneDX 1.6 document: application, wheels and Debian packages, and how they depend on each other.

Holds the minimum elements of NTIA (2021): supplier, name, version, identifiers, relations, author, timestamp.
The same inputs give the same bytes: the time is the commit's, the serial number comes from the content.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.image.purls import debian_purl
from pipeline.model.context import CONTEXT_PROPERTY, Context
from pipeline.model.documents import canonical_json
from pipeline.settings import App
from pipeline.steps.sbom_debian import DebianPackage
from pipeline.steps.sbom_python import PythonPackage

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://gatehouse.dev/sbom")
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in one platform's image. ``needs`` is the Python graph by name, ``""`` the application."""

    platform: str
    suite: str
    python: Sequence[PythonPackage]
    needs: Mapping[str, set[str]]
    debian: Sequence[DebianPackage]


def compose(app: App, context: Context, contents: Contents, tools: Mapping[str, str]) -> dict[str, Any]:
    """The document; ``tools`` maps each generator to its version."""
    root = f"pkg:generic/{app.name}@{app.version}"
    system = f"operating-system:debian-{contents.suite}"
    document: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": f"{datetime.fromtimestamp(context.source.committed, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [_tool(name, version) for name, version in sorted(tools.items())]},
            "authors": [{"name": f"maintainers of {app.name}"}],
            "component": _application(app, context, root),
            "properties": [
                {"name": CONTEXT_PROPERTY, "value": canonical_json(context.model_dump(mode="json")).decode()},
                {"name": "gatehouse:platform", "value": contents.platform},
            ],
        },
        "components": [
            *(_wheel(package) for package in contents.python),
            _system(system, contents.suite),
            *(_debian(package, contents.suite) for package in contents.debian),
        ],
        "dependencies": _dependencies(root, system, contents),
        "compositions": _compositions(root, system, contents),
    }
    serial = uuid.uuid5(_NAMESPACE, canonical_json(document).decode())
    return document | {"serialNumber": f"urn:uuid:{serial}"}


def _tool(name: str, version: str) -> dict[str, Any]:
    return {"type": "application", "name": name, "version": version}


def _application(app: App, context: Context, ref: str) -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": ref,
        "supplier": {"name": f"maintainers of {app.name}"},
        "name": app.name,
        "version": app.version,
        "purl": ref,
        "externalReferences": [{"type": "vcs", "url": context.source.uri, "comment": context.source.commit}],
    }


def _wheel(package: PythonPackage) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.purl,
        "supplier": {"name": package.supplier},
        "name": package.wheel.name,
        "version": package.wheel.version,
        "hashes": [
            {"alg": "SHA-256", "content": package.wheel.sha256},
            {"alg": "SHA-512", "content": package.sha512},
        ],
        "licenses": package.licences,
        "purl": package.purl,
        "properties": [{"name": "gatehouse:file", "value": package.wheel.filename}],
    }


def _system(ref: str, suite: str) -> dict[str, Any]:
    supplier = {"name": "Debian"}
    return {"type": "operating-system", "bom-ref": ref, "supplier": supplier, "name": "debian", "version": suite}


def _debian(item: DebianPackage, suite: str) -> dict[str, Any]:
    package = item.package
    purl = debian_purl(package, suite=suite)
    contact = {"contact": [{"name": item.maintainer}]} if item.maintainer else {}
    return {
        "type": "library",
        "bom-ref": purl,
        "supplier": {"name": "Debian", **contact},
        "name": package.name,
        "version": package.version,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "licenses": item.licences,
        "purl": purl,
        "properties": [
            {"name": "gatehouse:file", "value": package.path.rpartition("/")[2]},
            {"name": "gatehouse:source", "value": f"{package.source} {package.source_version}"},
        ],
    }


def _dependencies(root: str, system: str, contents: Contents) -> list[dict[str, Any]]:
    """Every component once. A locked package that nobody asks for hangs on the application, so that it is seen."""
    wheels = {package.wheel.name: package.purl for package in contents.python}
    debs = {item.package.name: debian_purl(item.package, suite=contents.suite) for item in contents.debian}
    asked_for = set().union(*contents.needs.values())
    edges = {
        root: {system} | {wheels[name] for name in contents.needs[""] | (wheels.keys() - asked_for)},
        system: set(debs.values()),
        **{wheels[name]: {wheels[needed] for needed in contents.needs[name]} for name in wheels},
        **{debs[item.package.name]: {debs[name] for name in item.needs} for item in contents.debian},
    }
    return [{"ref": ref, "dependsOn": sorted(needed)} for ref, needed in sorted(edges.items())]


def _compositions(root: str, system: str, contents: Contents) -> list[dict[str, Any]]:
    """The Python graph is whole; of Debian's, what the base leaves out on purpose (debconf, say) is missing."""
    debs = sorted(debian_purl(item.package, suite=contents.suite) for item in contents.debian)
    whole = sorted([root, system, *(package.purl for package in contents.python)])
    return [
        {"aggregate": "complete", "assemblies": [root], "dependencies": whole},
        {"aggregate": "incomplete", "dependencies": debs},
    ]
