"""The CycloneDX 1.6 document: application, wheels and Debian packages, and how they depend on each other.

Holds what NTIA's minimum elements (2021) and BSI TR-03183-2 v2.1 ask for, the latter's file properties by BSI's own
taxonomy. The same image gives the same bytes: the time is the commit's, the serial number comes from the content.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.image.purls import deb_purl
from pipeline.model.context import CONTEXT_PROPERTY, Context
from pipeline.model.documents import canonical_json
from pipeline.settings import App
from pipeline.steps.sbom_debian import DebianPackage
from pipeline.steps.sbom_entities import DEBIAN, Entity, of_application
from pipeline.steps.sbom_graph import Contents, ImageFile, compositions, dependencies
from pipeline.steps.sbom_python import PythonPackage

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://gatehouse.dev/sbom")
SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
LOCKED = "gatehouse:locked"
"""``false`` on a component that no lock names: it came with a foreign base, or RUN made it."""


def compose(app: App, context: Context, contents: Contents, tools: Mapping[str, str]) -> dict[str, Any]:
    """The document; ``tools`` maps each generator to its version."""
    root = f"pkg:generic/{app.name}@{app.version}"
    creator = of_application(app.name, app.supplier, app.contact)
    components = [
        *(_wheel(package) for package in contents.python),
        *([_interpreter(contents.interpreter)] if contents.interpreter else []),
        *([_base(contents.base)] if contents.base else []),
        _system(contents),
        *(_debian(package, contents) for package in contents.debian),
    ]
    document: dict[str, Any] = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": f"{datetime.fromtimestamp(context.source.committed, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [_tool(name, version) for name, version in sorted(tools.items())]},
            "authors": [{"name": creator.name, **({"email": creator.emails[0]} if creator.emails else {})}],
            "manufacturer": creator.document(),
            "component": _application(app, creator, context, contents.image, root),
            "properties": [
                {"name": CONTEXT_PROPERTY, "value": canonical_json(context.model_dump(mode="json")).decode()},
                {"name": "gatehouse:platform", "value": contents.platform},
            ],
        },
        # The same release may be installed in two places: one component, as one purl names it.
        "components": list({component["bom-ref"]: component for component in components}.values()),
        "dependencies": dependencies(root, contents),
        "compositions": compositions(root, contents),
    }
    serial = uuid.uuid5(_NAMESPACE, canonical_json(document).decode())
    return document | {"serialNumber": f"urn:uuid:{serial}"}


def _tool(name: str, version: str) -> dict[str, Any]:
    return {"type": "application", "name": name, "version": version}


def _hashes(sha256: str, sha512: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}, {"alg": "SHA-512", "content": sha512}]


def _file(name: str, *, executable: bool) -> list[dict[str, str]]:
    """What BSI's taxonomy says of a file; each of ours is an archive that keeps its members apart."""
    values = {
        "bsi:component:filename": name,
        "bsi:component:executable": "executable" if executable else "non-executable",
        "bsi:component:archive": "archive",
        "bsi:component:structured": "structured",
    }
    return [{"name": key, "value": value} for key, value in values.items()]


def _distribution(address: str, hashes: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The deployable form; ``address`` is relative to whichever index, mirror or folder holds it."""
    return {"type": "distribution", "url": address, "hashes": list(hashes)}


def _application(app: App, creator: Entity, context: Context, image: ImageFile, ref: str) -> dict[str, Any]:
    hashes = _hashes(image.sha256, image.sha512)
    licence = [{"expression": app.licence, "acknowledgement": "declared"}] if app.licence else []
    return {
        "type": "application",
        "bom-ref": ref,
        "supplier": creator.document(),
        "manufacturer": creator.document(),
        "name": app.name,
        "version": app.version,
        "hashes": hashes,
        **({"licenses": licence} if licence else {}),
        "purl": ref,
        "externalReferences": [
            {"type": "vcs", "url": context.source.uri, "comment": context.source.commit},
            _distribution(image.name, hashes),
        ],
        "properties": [
            *_file(image.name, executable=True),
            {"name": "gatehouse:manifest", "value": image.manifest},
        ],
    }


def _wheel(package: PythonPackage) -> dict[str, Any]:
    file = package.file
    hashes = _hashes(file.wheel.sha256, file.sha512) if file else []
    website = [{"type": "website", "url": address} for address in package.creator.urls]
    return {
        "type": "library",
        "bom-ref": package.purl,
        "supplier": package.creator.document(),
        "manufacturer": package.creator.document(),
        "name": package.name,
        "version": package.version,
        **({"hashes": hashes} if file else {}),
        "licenses": package.licences,
        "purl": package.purl,
        "externalReferences": [*website, *([_distribution(file.wheel.filename, hashes)] if file else [])],
        "properties": _file(file.wheel.filename, executable=package.executable)
        if file
        else [{"name": LOCKED, "value": "false"}],
    }


def _system(contents: Contents) -> dict[str, Any]:
    """Not a file but what the packages are together."""
    vendor, suite = contents.system
    supplier = DEBIAN if vendor == "debian" else Entity(name=vendor)
    return {
        "type": "operating-system",
        "bom-ref": contents.root,
        "supplier": supplier.document(),
        "manufacturer": supplier.document(),
        "name": vendor,
        "version": suite,
    }


def _interpreter(version: str) -> dict[str, Any]:
    purl = f"pkg:generic/python@{version}"
    creator = Entity(name="Python Software Foundation", urls=("https://www.python.org/",))
    return {
        "type": "application",
        "bom-ref": purl,
        "supplier": creator.document(),
        "manufacturer": creator.document(),
        "name": "python",
        "version": version,
        "licenses": [{"license": {"id": "PSF-2.0", "acknowledgement": "declared"}}],
        "purl": purl,
        "properties": [{"name": LOCKED, "value": "false"}],
    }


def _base(purl: str) -> dict[str, Any]:
    name, _, rest = purl.removeprefix("pkg:oci/").partition("@sha256%3A")
    digest, _, place = rest.partition("?repository_url=")
    return {
        "type": "container",
        "bom-ref": purl,
        "supplier": {"name": place or name},
        "name": name,
        "version": f"sha256:{digest}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"name": "NOASSERTION"}}],
        "purl": purl,
    }


def _debian(package: DebianPackage, contents: Contents) -> dict[str, Any]:
    purl, (vendor, suite) = contents.purl(package), contents.system
    file = package.file
    hashes = _hashes(file.package.sha256, file.sha512) if file else []
    source = deb_purl(vendor, package.source, package.source_version, "source", suite)
    name = file.package.path.rpartition("/")[2] if file else ""
    return {
        "type": "library",
        "bom-ref": purl,
        "supplier": (DEBIAN if vendor == "debian" else Entity(name=vendor)).document(),
        "manufacturer": package.creator.document(),
        "name": package.name,
        "version": package.version,
        **({"hashes": hashes} if file else {}),
        "licenses": package.licences,
        "purl": purl,
        "externalReferences": [
            {"type": "source-distribution", "url": source},
            *([_distribution(file.package.path, hashes)] if file else []),
        ],
        "properties": [
            *(_file(name, executable=package.executable) if file else [{"name": LOCKED, "value": "false"}]),
            {"name": "gatehouse:source", "value": f"{package.source} {package.source_version}"},
        ],
    }
