"""Referrers: evidence that hangs on an image (distribution specification 1.1; cosign ``specs/BUNDLE_SPEC.md``).

Listed by the referrers API and by the fallback tag ``sha256-<hex>``, united: registries answer the API with 404, or
with an empty list. Neither list is believed: each manifest is opened and its ``subject`` checked, and
``artifactType`` in an index decides nothing (go-containerregistry leaves it out).
"""

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json, parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE
from pipeline.store.documents import artifact_type_of, malformed, read_descriptor, read_descriptors, read_object
from pipeline.store.interface import EMPTY, INDEX, MANIFEST, MAX_BUNDLE, Descriptor, Readable, Store, too_large, unique

#: Admission controllers stop at 50 referrers (Kyverno): people hear of it before.
WARN_AT = 40
#: More than any image of ours has; a longer list is not walked.
MAX_REFERRERS = 500
#: Bytes of all bundles of an image together: so much may be held in memory.
MAX_TOTAL = 128 * 1024 * 1024
ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Attached:
    """A bundle as found on an image. ``manifest`` is the referrer's digest, ``annotations`` are its own, unverified."""

    manifest: Digest
    bundle: bytes
    annotations: Mapping[str, str]

    @property
    def digest(self) -> Digest:
        """Of the bundle's bytes, as an evidence list names it."""
        return Digest.of(self.bundle)


def fallback_tag(image: Digest) -> str:
    """Distribution specification, "Referrers Tag Schema"."""
    return f"sha256-{image.hex}"


def fallback_image(tag: str) -> Digest | None:
    """The image whose referrers ``tag`` lists, None for a tag that people gave."""
    match = re.fullmatch(r"sha256-([0-9a-f]{64})", tag)
    return Digest(match[1]) if match else None


def attach(
    store: Store, image: Descriptor, bundle: bytes, now: datetime, *, wait: Callable[[float], None] = time.sleep
) -> Descriptor:
    """Attach a sigstore bundle v0.3 to ``image`` and see it listed; attaching the same again changes nothing.

    ``now`` becomes ``org.opencontainers.image.created``. Raises CannotEvaluate (``bundle.*``, ``store.*``,
    ``registry.*``).
    """
    annotations = {**_bundle_annotations(bundle), "org.opencontainers.image.created": f"{now.astimezone(UTC):%FT%TZ}"}
    with store.serialised():
        layer = store.put_blob(bundle)
        content = _attached_as(store, image.digest, layer.digest)
        if content is None:
            content = _manifest(store.put_blob(b"{}"), layer, image, annotations)
        return _publish(store, image.digest, content, wait)


def _attached_as(store: Store, image: Digest, bundle: Digest) -> bytes | None:
    for referrer, document in open_referrers(store, image):
        if any(layer.digest == bundle for layer in _bundle_layers(referrer, document)):
            return store.manifest(referrer.digest)
    return None


def _bundle_annotations(bundle: bytes) -> dict[str, str]:
    if len(bundle) > MAX_BUNDLE:
        raise too_large("bundle", MAX_BUNDLE, got=len(bundle))
    document = parse_json(bundle, what="bundle", limit=MAX_BUNDLE)
    try:
        media_type = document["mediaType"]
        statement = parse_json(base64.b64decode(document["dsseEnvelope"]["payload"], validate=True), what="statement")
        predicate_type = str(statement["predicateType"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_a_bundle(repr(error)) from error
    if media_type != BUNDLE_MEDIA_TYPE:
        raise _not_a_bundle(repr(media_type))
    return {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": predicate_type,
    }


def _not_a_bundle(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "bundle.malformed",
        f"bundle: not a DSSE bundle (got {got[:120]}, expected {BUNDLE_MEDIA_TYPE} with a dsseEnvelope)",
        fix="sign the evidence again with `scripts/nox -s attest`",
    )


def _manifest(config: Descriptor, layer: Descriptor, image: Descriptor, annotations: Mapping[str, str]) -> bytes:
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE_MEDIA_TYPE,
            "config": {**config.to_json(), "mediaType": EMPTY},
            "layers": [{**layer.to_json(), "mediaType": BUNDLE_MEDIA_TYPE}],
            "subject": Descriptor(image.media_type, image.digest, image.size).to_json(),
            "annotations": dict(annotations),
        }
    )


def publish(store: Store, image: Digest, content: bytes) -> Descriptor:
    """Store a referrer's manifest, whose blobs are there already, and see it listed.

    Raises CannotEvaluate (``store.not-listed``).
    """
    with store.serialised():
        return _publish(store, image, content, time.sleep)


def ensure_listed(
    store: Store, image: Digest, expected: Iterable[Digest], *, wait: Callable[[float], None] = time.sleep
) -> list[Descriptor]:
    """The referrers of ``image``, after those of ``expected`` that another writer's update lost were listed again.

    To be called when all was attached: a machine with other locks can overwrite what was seen to stand.
    Raises CannotEvaluate (``store.not-listed``) naming what stays lost.
    """
    expected = set(expected)
    for attempt in range(ATTEMPTS):
        listed = store.referrers(image)
        lost = sorted(expected - {referrer.digest for referrer in listed})
        if not lost:
            return listed
        for digest in lost:
            publish(store, image, store.manifest(digest))
        wait(0.05 * 2**attempt)
    raise _not_listed(", ".join(str(digest) for digest in lost), image)


def _publish(store: Store, image: Digest, content: bytes, wait: Callable[[float], None]) -> Descriptor:
    """Registries have no compare-and-swap: two writers of a fallback tag lose each other's entries.

    So writers of this machine take turns, and what was written is read again until it stands.
    """
    document = read_object(content, what="referrer")
    media_type = str(document.get("mediaType", MANIFEST))
    stored = store.put_manifest(content, media_type)
    annotations = document.get("annotations") or {}
    entry = Descriptor(media_type, stored.digest, stored.size, artifact_type_of(document), annotations)
    for attempt in range(ATTEMPTS):
        if entry.digest in (store.listed(image) or []):
            return entry
        entries = _fallback(store, image)
        if _names(entries, entry):
            return entry
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, entry.to_json()]}
        store.put_manifest(canonical_json(index), INDEX, fallback_tag(image))
        if attempt:
            wait(0.05 * 2**attempt)
    if _names(_fallback(store, image), entry):
        return entry
    raise _not_listed(str(entry.digest), image)


def _not_listed(lost: str, image: Digest) -> CannotEvaluate:
    return CannotEvaluate(
        "store.not-listed",
        f"{image}: referrers not listed after {ATTEMPTS} attempts (got a list without {lost}, expected them there)",
        fix="let no other job attach to this image at the same time, then run `scripts/nox -s attest` again",
    )


def _names(entries: list[dict[str, Any]], referrer: Descriptor) -> bool:
    return any(entry["digest"] == str(referrer.digest) for entry in entries)


def _fallback(store: Readable, image: Digest) -> list[dict[str, Any]]:
    """The entries of the fallback tag's index as they stand, so that other writers' fields survive."""
    try:
        found = store.resolve(fallback_tag(image))
    except CannotEvaluate as error:
        if error.code == "store.missing":
            return []
        raise
    what = f"fallback tag {fallback_tag(image)}"
    document = read_object(store.manifest(found.digest), what=what)
    read_descriptors(document, "manifests", what=what)
    return list(document["manifests"])


def find_referrers(store: Readable, image: Digest) -> list[Descriptor]:
    """The body of every store's ``referrers``."""
    return [referrer for referrer, _ in open_referrers(store, image)]


def open_referrers(store: Readable, image: Digest) -> list[tuple[Descriptor, dict[str, Any]]]:
    """API and fallback tag united, each with its manifest, which says what it is and of what it speaks."""
    fallback = [Digest.parse(entry["digest"]) for entry in _fallback(store, image)]
    candidates = unique([*(store.listed(image) or []), *fallback])
    if len(candidates) > MAX_REFERRERS:
        raise _too_many(image, "referrers", len(candidates))
    opened = (_open_referrer(store, image, candidate) for candidate in candidates)
    return [found for found in opened if found is not None]


def _too_many(image: Digest, what: str, got: object) -> CannotEvaluate:
    return CannotEvaluate(
        "store.too-many-referrers",
        f"{image}: too many {what} (got {got}, expected at most {MAX_REFERRERS})",
        fix="remove what does not belong to the image from the registry",
    )


def _open_referrer(store: Readable, image: Digest, candidate: Digest) -> tuple[Descriptor, dict[str, Any]] | None:
    """The referrer as its own manifest describes it, None where it speaks of something else."""
    content = store.manifest(candidate)
    what = f"referrer {candidate}"
    document = read_object(content, what=what)
    subject = document.get("subject")
    if subject is None or read_descriptor(subject, what=f"{what}: subject").digest != image:
        return None
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise malformed(what, annotations, "annotations that are strings")
    media_type = str(document.get("mediaType", MANIFEST))
    return Descriptor(media_type, candidate, len(content), artifact_type_of(document), annotations), document


def attached_bundles(store: Readable, image: Digest) -> list[Attached]:
    """Every bundle v0.3 on ``image``, whatever its manifest claims to be: a layer's own media type counts.

    The bundles are unverified bytes of at most ``MAX_BUNDLE``, each once. Raises CannotEvaluate
    (``store.too-many-referrers``, ``store.too-large``) for more than any image of ours has.
    """
    found: dict[Digest, Attached] = {}
    total = 0
    for referrer, document in open_referrers(store, image):
        for layer in _bundle_layers(referrer, document):
            if layer.digest not in found:
                if len(found) == MAX_REFERRERS:
                    raise _too_many(image, "bundles", "more")
                content = store.blob(layer.digest, MAX_BUNDLE)
                total += len(content)
                if total > MAX_TOTAL:
                    raise too_large(f"bundles of {image}", MAX_TOTAL)
                found[layer.digest] = Attached(referrer.digest, content, referrer.annotations)
    return list(found.values())


def _bundle_layers(referrer: Descriptor, document: dict[str, Any]) -> list[Descriptor]:
    what = f"referrer {referrer.digest}"
    if not isinstance(document.get("layers"), list):
        return []
    layers = read_descriptors(document, "layers", what=what)
    return [layer for layer in layers if layer.media_type == BUNDLE_MEDIA_TYPE]
