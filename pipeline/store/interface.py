"""What every store can do, and the descriptors that it speaks in."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse, Refused

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
BYTES = "application/octet-stream"
EMPTY = "application/vnd.oci.empty.v1+json"
INDEXES = (INDEX, DOCKER_INDEX)
MANIFESTS = (MANIFEST, DOCKER_MANIFEST, *INDEXES)

#: Registries take manifests of 4 MiB at least (distribution specification, "Pushing Manifests"); ours are far smaller.
MAX_MANIFEST = 4 * 1024 * 1024
#: A bundle holds its statement in base64. Anything near it is no evidence of ours.
MAX_BUNDLE = 16 * 1024 * 1024

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An OCI content descriptor (image specification, ``descriptor.md``). ``size`` is in bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.artifact_type is not None:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document


class Readable(Protocol):
    """Content by digest, tags, and referrers. Every read is checked against its digest.

    Methods raise CannotEvaluate (``store.*``, ``registry.*``) where the store cannot answer, and Refused
    (``store.digest``) where it answers with other bytes than were asked for.
    """

    @property
    def address(self) -> str:
        """What people type to reach the store: ``host/repository``, or the layout's folder."""

    def resolve(self, reference: str) -> Descriptor:
        """The manifest behind a tag or ``sha256:<hex>``; the tag is not to be trusted again afterwards."""

    def manifest(self, digest: Digest) -> bytes: ...

    def blob(self, digest: Digest, limit: int = MAX_BUNDLE) -> bytes:
        """A blob of at most ``limit`` bytes, else ``store.too-large``."""

    def open_blob(self, descriptor: Descriptor) -> contextlib.AbstractContextManager[BinaryIO]:
        """A blob of any size as a file whose content was checked before it is handed out."""

    def has_blob(self, digest: Digest) -> bool: ...

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """Manifests whose ``subject`` is ``digest``: each was opened, in the order in which they were listed."""

    def listed(self, digest: Digest) -> list[Digest] | None:
        """What the store itself says refers to ``digest`` (the referrers API); None where it has no such answer."""

    def tags(self) -> list[str]:
        """Every tag, sorted, the fallback tags of referrers among them."""


class Store(Readable, Protocol):
    """What can be written to as well."""

    def put_blob(self, content: bytes) -> Descriptor: ...

    def put_file(self, file: BinaryIO, descriptor: Descriptor) -> None:
        """Store ``file`` (seekable, from its start) as the blob ``descriptor``."""

    def put_manifest(self, content: bytes, media_type: str, tag: str | None = None) -> Descriptor: ...

    def tag(self, name: str, descriptor: Descriptor) -> None: ...

    def serialised(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes of this machine from attaching at the same time."""


def unique(digests: Iterable[Digest]) -> list[Digest]:
    return list(dict.fromkeys(digests))


def check_tag(name: str) -> str:
    """The tag as it is; raises Misuse (``store.tag``) for what no registry takes (distribution specification)."""
    if not _TAG.fullmatch(name):
        raise Misuse(
            "store.tag",
            f"tag: not a tag (got {name[:140]!r}, expected at most 128 of A-Z a-z 0-9 . _ -)",
            fix="use a tag of letters, digits, dots, dashes and underscores",
        )
    return name


def check_bytes(content: bytes, digest: Digest, *, where: str) -> bytes:
    """The content itself; raises Refused (``store.digest``) where it is not what ``digest`` names."""
    if Digest.of(content) != digest:
        raise other_bytes(digest, where=where, got=str(Digest.of(content)))
    return content


def other_bytes(digest: Digest, *, where: str, got: str) -> Refused:
    return Refused(
        "store.digest",
        f"{digest} in {where}: content was changed or damaged (got {got}, expected {digest})",
        fix="push the content again from a copy that you trust, and find out who changed it",
    )


def missing(what: str, *, where: str) -> CannotEvaluate:
    return CannotEvaluate(
        "store.missing",
        f"{what}: not in {where} (got nothing, expected it there)",
        fix="check the name and the digest, or push it with `scripts/nox -s attest`",
    )


def too_large(what: str, limit: int, *, got: int | None = None) -> CannotEvaluate:
    return CannotEvaluate(
        "store.too-large",
        f"{what}: too large (got {'more' if got is None else f'{got} bytes'}, expected at most {limit} bytes)",
        fix="remove it from the store: nothing that the pipeline writes is that large",
    )
