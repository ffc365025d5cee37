"""From a store to what the judge needs: the image, its evidence and the trust roots."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.gate.evidence import Evidence, Flaw, ImageFacts, read_piece
from pipeline.gate.signers import LOCAL_ROOT
from pipeline.model.digests import Digest
from pipeline.model.errors import GatehouseError
from pipeline.store.documents import malformed, read_descriptor, read_object
from pipeline.store.interface import INDEXES, Descriptor, Readable
from pipeline.store.referrers import Attached, attached_bundles

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

#: How BuildKit marks entries of an index that are no image: nothing runs them.
NO_PLATFORM = "unknown/unknown"
_ROOT_FILE = re.compile(r"sigstore-([a-z0-9]+(?:-[a-z0-9]+)*)\.json")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?")


def read_image(store: Readable, reference: str) -> tuple[Descriptor, ImageFacts]:
    """Step 1: what ``reference`` is now, and its platform manifests. Raises CannotEvaluate, Refused (``store.*``)."""
    image = store.resolve(reference)
    manifest = read_object(store.manifest(image.digest), what=f"image {image.digest}")
    if image.media_type in INDEXES:
        platforms = _index_platforms(manifest)
        first = read_object(store.manifest(min(platforms.items())[1]), what=f"image {image.digest}")
        return image, ImageFacts(digest=image.digest, platforms=platforms, labels=_labels(_config(store, first)))
    config = _config(store, manifest)
    platform = _platform_name(config)
    return image, ImageFacts(digest=image.digest, platforms={platform: image.digest}, labels=_labels(config))


def _config(store: Readable, manifest: dict[str, Any]) -> dict[str, Any]:
    config = read_descriptor(manifest.get("config"), what="image config")
    return read_object(store.blob(config.digest), what="image config")


def _labels(config: dict[str, Any]) -> dict[str, str]:
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}


def _index_platforms(index: dict[str, Any]) -> dict[str, Digest]:
    """Platform to manifest; raises CannotEvaluate where one is nameless or there twice."""
    platforms: dict[str, Digest] = {}
    entries = index.get("manifests")
    if not isinstance(entries, list):
        raise malformed("image index", f"manifests = {entries!r}", "a list of manifests")
    for entry in entries:
        name = _platform_name(entry.get("platform") if isinstance(entry, dict) else None)
        if name == NO_PLATFORM:
            continue
        if name in platforms:
            raise malformed("image index", f"{name} twice", "each platform once")
        platforms[name] = read_descriptor(entry, what="image index").digest
    if not platforms:
        raise malformed("image index", "no platform", "at least one")
    return platforms


def _platform_name(described: Any) -> str:
    parts = described if isinstance(described, dict) else {}
    words = [parts.get("os"), parts.get("architecture"), *([parts["variant"]] if parts.get("variant") else [])]
    name = "/".join(str(word) for word in words)
    if not _PLATFORM.fullmatch(name):
        raise malformed("image platform", name, "os/architecture")
    return name


def load_roots(state: Path, policies: Path) -> "dict[str, TrustedRoot]":
    """The trust roots by name: ``local`` where this clone has one, each ``trust/sigstore-<name>.json`` of the policy.

    Raises CannotEvaluate (``trust.*``): a root that cannot be read would turn its evidence into a stranger's.
    """
    from pipeline.signing.trust import load_trusted_root  # noqa: PLC0415 - imports sigstore

    return {name: load_trusted_root(path) for name, path in root_files(policies, state).items()}


def root_files(policies: Path, state: Path | None = None) -> dict[str, Path]:
    """The files that ``load_roots`` reads, by the name of the root; without ``state`` those of the policy alone."""
    named = ((_ROOT_FILE.fullmatch(path.name), path) for path in sorted((policies / "trust").glob("*.json")))
    files = {match[1]: path for match, path in named if match and match[1] != LOCAL_ROOT}
    own = state / "sigstore" / "trusted_root.json" if state else None
    return {LOCAL_ROOT: own, **files} if own and own.is_file() else files


def gather(store: Readable, image: ImageFacts, roots: "Mapping[str, TrustedRoot]") -> tuple[Evidence, ...]:
    """Every bundle on the image, verified and read. Raises CannotEvaluate, Refused where the store does."""
    return examine((found.bundle for found in _sorted(attached_bundles(store, image.digest))), image, roots)


def _sorted(found: Iterable[Attached]) -> list[Attached]:
    # The order in which a registry lists referrers is nobody's word.
    return sorted(found, key=lambda one: one.digest)


def examine(bundles: Iterable[bytes], image: ImageFacts, roots: "Mapping[str, TrustedRoot]") -> tuple[Evidence, ...]:
    """Steps 3, 4 and 6 for each bundle: a Piece, or the Flaw that says why not."""
    from pipeline.gate.verification import verify_bundle  # noqa: PLC0415 - imports sigstore

    found: list[Evidence] = []
    for bundle in bundles:
        try:
            verified = verify_bundle(bundle, roots)
        except GatehouseError as error:
            found.append(Flaw(digest=Digest.of(bundle).hex, error=error))
        else:
            found.append(read_piece(verified, image))
    return tuple(found)
