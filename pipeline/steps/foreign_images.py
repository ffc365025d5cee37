"""Fetching a foreign base from its registry: one platform of it, each blob by digest, kept in the clone's cache."""

from typing import Any

from pipeline.image.foreign_base import ForeignImage, Reference, unsound
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.steps.job import Job
from pipeline.store.documents import media_type_of, read_descriptor, read_descriptors, read_object
from pipeline.store.interface import INDEXES, Descriptor, Store
from pipeline.store.layout import OciLayout
from pipeline.store.opening import open_store

#: Bytes of all layers of one platform, compressed.
MAX_BASE = 1 << 30


def pull(job: Job, reference: Reference, platform: str) -> ForeignImage:
    """The image of ``platform`` behind ``reference``, whose digest is an image's or an index's.

    What was fetched before is not asked for again. Raises CannotEvaluate (``base.no-image``, ``registry.*``) and
    Refused (``store.digest``, ``base.platform``, ``base.layer``).
    """
    cache = OciLayout(job.state / "cache" / "bases")
    registry = open_store(reference.address, job.state, docker_config=job.docker_config)
    digest = Digest.parse(reference.digest)
    try:
        document = _manifest(registry, cache, digest)
    except GatehouseError as error:
        raise _absent(reference) if error.code == "store.missing" else error from error
    if "manifests" in document:
        digest = _of_platform(document, reference, platform)
        document = _manifest(registry, cache, digest)
    what = f"manifest {digest}"
    layers = read_descriptors(document, "layers", what=what)
    size = sum(layer.size for layer in layers)
    if size > MAX_BASE:
        raise unsound(reference, f"{size} bytes of layers", f"at most {MAX_BASE}")
    config = read_object(
        _blob(registry, cache, read_descriptor(document.get("config"), what=f"{what}: config")),
        what=f"configuration of {digest}",
    )
    if f"{config.get('os')}/{config.get('architecture')}" != platform:
        raise _other_platform(reference, f"{config.get('os')}/{config.get('architecture')}", platform)
    return ForeignImage(
        reference=reference,
        digest=str(digest),
        config=config,
        layers=tuple((layer.media_type, _blob(registry, cache, layer)) for layer in layers),
    )


def _manifest(registry: Store, cache: OciLayout, digest: Digest) -> dict[str, Any]:
    try:
        content = cache.manifest(digest)
    except GatehouseError:  # not there yet, or damaged
        content = registry.manifest(digest)
        cache.put_blob(content)
    document = read_object(content, what=f"manifest {digest}")
    media_type = media_type_of(document, document.get("mediaType") or _untold(document), what=f"manifest {digest}")
    return document | {"mediaType": media_type}


def _absent(reference: Reference) -> CannotEvaluate:
    return CannotEvaluate(
        "base.no-image",
        f"{reference}: not in its registry (got no such manifest, expected the base)",
        fix="name a digest that the registry holds in `[base] image` of pipeline.toml",
    )


def _untold(document: dict[str, Any]) -> str:
    """OCI's own documents need not name their type (image specification, ``manifest.md``, "mediaType")."""
    return "application/vnd.oci.image." + ("index" if "manifests" in document else "manifest") + ".v1+json"


def _of_platform(index: dict[str, Any], reference: Reference, platform: str) -> Digest:
    found: dict[str, Digest] = {}
    for value, entry in zip(index["manifests"], read_descriptors(index, "manifests", what=str(reference)), strict=True):
        told = value.get("platform") or {}
        if entry.media_type not in INDEXES and isinstance(told, dict):
            found.setdefault(f"{told.get('os')}/{told.get('architecture')}", entry.digest)
    if platform not in found:
        raise _other_platform(reference, ", ".join(sorted(found))[:300] or "none", platform)
    return found[platform]


def _other_platform(reference: Reference, got: str, expected: str) -> Refused:
    return Refused(
        "base.platform",
        f"{reference}: not for every platform of the image (got {got}, expected {expected})",
        fix="name the digest of an index that has it, or take the platform out of `[image] platforms`",
    )


def _blob(registry: Store, cache: OciLayout, descriptor: Descriptor) -> bytes:
    try:
        with cache.open_blob(descriptor) as file:
            return file.read()
    except GatehouseError:  # not there yet, or damaged
        with registry.open_blob(descriptor) as file:
            cache.put_file(file, descriptor)
            file.seek(0)
            return file.read()
