"""Old images leave the clone's own store: those that no tag names, nobody asked to keep, and nobody wrote of for weeks.

A registry has its own retention; this is for the layout in the state folder, which otherwise only grows.
"""

from collections.abc import Callable, Collection, Iterator

from pipeline.model.digests import Digest
from pipeline.store.documents import read_descriptor, read_descriptors, read_object
from pipeline.store.interface import MANIFESTS, Descriptor
from pipeline.store.layout import REF_NAME, OciLayout
from pipeline.store.referrers import fallback_image, fallback_tag

UNUSED_AFTER = 30 * 24 * 3600
"""Seconds."""
BATCH = 20
"""Images that must have grown old before any is removed: to know what they share, all others are looked through."""


def prune(store: OciLayout, *, keep: Callable[[], Collection[Digest]], now: float) -> list[Digest]:
    """Remove old images with their evidence, and every blob that then is part of nothing; returns the images.

    An image stays that a tag names, that ``keep`` gives (asked only where something may go), or of which something
    was attached in the weeks before ``now`` (seconds since the epoch). Raises CannotEvaluate (``store.*``) and Refused
    (``store.digest``) where the store is damaged, and then has removed nothing.
    """
    before = now - UNUSED_AFTER
    with store.serialised():
        tagged = [(fallback_image(entry.annotations.get(REF_NAME, "")), entry.digest) for entry in store.entries()]
        evidence = {image: index for image, index in tagged if image is not None}
        young = {image for image, index in evidence.items() if _written(store, image, index) >= before}
        named = {digest for image, digest in tagged if image is None}
        if len(evidence.keys() - named - young) < BATCH:
            return []
        parts = _parts(store, {*named, *young, *(image for image in keep() if store.has_blob(image))})
        # Evidence of a part, as of one platform's manifest, stays with the whole.
        gone = sorted(evidence.keys() - parts)
        parts |= _parts(store, {index for image, index in evidence.items() if image in parts})
        store.remove([fallback_tag(image) for image in gone], keeping=parts, before=before)
    return gone


def _written(store: OciLayout, *digests: Digest) -> float:
    return max(store.last_written(digest) for digest in digests)


def _parts(store: OciLayout, roots: Collection[Digest]) -> set[Digest]:
    """``roots``, which are manifests and indexes, and everything that they are made of."""
    found: set[Digest] = set()
    ahead = set(roots)
    while ahead:
        digest = ahead.pop()
        found.add(digest)
        for part in _children(store, digest):
            if part.media_type in MANIFESTS:
                ahead |= {part.digest} - found
            else:
                found.add(part.digest)
    return found


def _children(store: OciLayout, digest: Digest) -> Iterator[Descriptor]:
    what = f"manifest {digest}"
    document = read_object(store.manifest(digest), what=what)
    for field in ("manifests", "layers"):
        if field in document:
            yield from read_descriptors(document, field, what=what)
    if "config" in document:
        yield read_descriptor(document["config"], what=f"{what}: config")
