"""Reading OCI manifests and indexes, strictly where we rely on them and leniently elsewhere."""

import re
from typing import Any

from pipeline.model.digests import Digest
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.store.interface import INDEXES, MANIFESTS, MAX_MANIFEST, Descriptor

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


def malformed(what: str, got: object, expected: str) -> CannotEvaluate:
    return CannotEvaluate(
        "store.malformed",
        f"{what}: not readable (got {str(got)[:120]}, expected {expected})",
        fix="push the image and its evidence again: `scripts/nox -s image attest`",
    )


def read_object(content: bytes, *, what: str) -> dict[str, Any]:
    """A JSON object of at most ``MAX_MANIFEST`` bytes; raises CannotEvaluate (``document.*``, ``store.malformed``)."""
    document = parse_json(content, what=what, limit=MAX_MANIFEST)
    if not isinstance(document, dict):
        raise malformed(what, type(document).__name__, "a JSON object")
    return document


def read_descriptor(value: Any, *, what: str) -> Descriptor:
    """A descriptor out of a manifest or an index; raises CannotEvaluate (``store.malformed``)."""
    try:
        media_type, size = value["mediaType"], value["size"]
        digest = Digest.parse(value["digest"])
        artifact_type, annotations = value.get("artifactType"), value.get("annotations") or {}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise malformed(what, repr(error), "a descriptor with mediaType, sha256 digest and size") from error
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise malformed(what, repr(media_type), "a media type")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise malformed(what, repr(size), "a size in bytes")
    if not isinstance(annotations, dict) or not all(isinstance(item, str) for item in annotations.values()):
        raise malformed(what, repr(annotations), "annotations that are strings")
    return Descriptor(media_type, digest, size, artifact_type if isinstance(artifact_type, str) else None, annotations)


def read_descriptors(document: dict[str, Any], field: str, *, what: str) -> list[Descriptor]:
    values = document.get(field)
    if not isinstance(values, list):
        raise malformed(what, f"{field} = {values!r}", f"a list of {field}")
    return [read_descriptor(value, what=f"{what}: {field}") for value in values]


def media_type_of(document: dict[str, Any], told: str | None, *, what: str) -> str:
    """The media type that the manifest itself states, else the one the store ``told``; both must agree.

    One body that is read as manifest by one client and as index by another is an attack (CVE-2021-41190).
    """
    stated = document.get("mediaType")
    told = told.partition(";")[0].strip() if told else None
    found = stated if stated is not None else told
    if found not in MANIFESTS or (stated is not None and told in MANIFESTS and told != stated):
        raise malformed(what, f"mediaType {stated!r}, sent as {told!r}", "an image manifest or index")
    if ("manifests" in document) != (found in INDEXES) or ("layers" in document) == (found in INDEXES):
        raise malformed(what, f"mediaType {found!r} with fields {sorted(document)}", "the fields of that type")
    return str(found)


def artifact_type_of(document: dict[str, Any]) -> str | None:
    """``artifactType``, else the config's media type (distribution specification, "Listing Referrers")."""
    stated = document.get("artifactType")
    if isinstance(stated, str) and stated:
        return stated
    config = document.get("config")
    found = config.get("mediaType") if isinstance(config, dict) else None
    return found if isinstance(found, str) else None


def parse_reference(reference: str) -> Digest:
    """A reference of the form ``sha256:<hex>``; raises CannotEvaluate (``store.malformed``)."""
    try:
        return Digest.parse(reference)
    except ValueError as error:
        raise malformed(f"reference {reference[:90]}", error, "sha256:<64 hexadecimal digits>") from error
