"""What an SBOM must say, by two lists that others wrote; each function names what is left out, by component.

Sources: NTIA, "The Minimum Elements For a Software Bill of Materials" (2021), "Data Fields"; BSI TR-03183-2 v2.1.0,
5.2.1 and 5.2.2, with the properties of BSI's CycloneDX taxonomy.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

Document = Mapping[str, Any]
_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "bsi:component:executable": ("executable", "non-executable"),
    "bsi:component:archive": ("archive", "no archive"),
    "bsi:component:structured": ("structured", "unstructured"),
}
#: Components that are no file of their own (BSI TR-03183-2, 3.2.2: logical components).
_LOGICAL = ("operating-system",)


def lacking_ntia(document: Document) -> list[str]:
    """Of NTIA's seven fields: supplier, name, version, other identifiers, relations, author, time."""
    metadata = document.get("metadata", {})
    found = [
        *([] if any(author.get("name") for author in metadata.get("authors", [])) else ["document: author"]),
        *([] if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", str(metadata.get("timestamp"))) else ["document: timestamp"]),
    ]
    related = {item.get("ref") for item in document.get("dependencies", [])}
    for component in _components(document):
        lacks = {
            "supplier": not component.get("supplier", {}).get("name"),
            "name": not component.get("name"),
            "version": not component.get("version"),
            "unique identifier": not component.get("purl") and component.get("type") not in _LOGICAL,
            "dependency relationship": component.get("bom-ref") not in related,
        }
        found += [f"{_name(component)}: {field}" for field, lack in lacks.items() if lack]
    return found


def lacking_bsi(document: Document) -> list[str]:
    """Of BSI's required fields, those of the document and those of each component and its file."""
    metadata = document.get("metadata", {})
    complete = {ref for one in document.get("compositions", []) for ref in one.get("dependencies", [])}
    whole = {
        "format": (document.get("bomFormat"), document.get("specVersion")) != ("CycloneDX", "1.6"),
        "creator": not _reachable(metadata.get("manufacturer")),
        "timestamp": not metadata.get("timestamp"),
        "SBOM-URI": not str(document.get("serialNumber", "")).startswith("urn:uuid:"),
        "no vulnerabilities": "vulnerabilities" in document,
    }
    found = [f"document: {field}" for field, lack in whole.items() if lack]
    for component in _components(document):
        found += [f"{_name(component)}: {field}" for field in _lacking(component, complete)]
    return found


def _components(document: Document) -> list[Mapping[str, Any]]:
    return [document.get("metadata", {}).get("component", {}), *document.get("components", [])]


def _name(component: Mapping[str, Any]) -> str:
    return str(component.get("bom-ref") or component.get("name") or "a component")


def _lacking(component: Mapping[str, Any], complete: set[str]) -> Iterator[str]:
    general = {
        "creator": not _reachable(component.get("manufacturer")),
        "name": not component.get("name"),
        "version": not component.get("version"),
        "completeness of dependencies": component.get("bom-ref") not in complete,
    }
    yield from (field for field, lack in general.items() if lack)
    if component.get("type") not in _LOGICAL:
        yield from _lacking_of_file(component)


def _lacking_of_file(component: Mapping[str, Any]) -> Iterator[str]:
    said = {item["name"]: item["value"] for item in component.get("properties", [])}
    if not re.fullmatch(r"[^/]+", said.get("bsi:component:filename", "")):
        yield "filename"
    yield from (name.rpartition(":")[2] for name, values in _PROPERTIES.items() if said.get(name) not in values)
    if not component.get("purl"):
        yield "other unique identifiers"
    if not all(_is_spdx(choice) for choice in component.get("licenses", [])) or not component.get("licenses"):
        yield "licences by SPDX"
    deployed = [ref for ref in component.get("externalReferences", []) if ref.get("type") == "distribution"]
    if not any(_has_sha512(ref) for ref in deployed) or not _has_sha512(component):
        yield "SHA-512 of the deployable form"


def _reachable(entity: Mapping[str, Any] | None) -> bool:
    """By an address for mail or, failing that, of a page."""
    contacts = (entity or {}).get("contact", [])
    return any(contact.get("email") for contact in contacts) or any((entity or {}).get("url", []))


def _is_spdx(choice: Mapping[str, Any]) -> bool:
    """An identifier or expression of SPDX's, or a reference in its form (5.2.2 with 6.1)."""
    licence = choice.get("license", {})
    text = choice.get("expression") or licence.get("id") or licence.get("name", "")
    try:
        return bool(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return False


def _has_sha512(holder: Mapping[str, Any]) -> bool:
    return any(
        item.get("alg") == "SHA-512" and re.fullmatch(r"[0-9a-f]{128}", item.get("content", ""))
        for item in holder.get("hashes", [])
    )
