"""A store in a folder: an OCI image layout 1.0 (image specification, ``image-layout.md``) that oras and skopeo read."""

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.files import locked, mark_used, read_limited, write_atomic
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.store.documents import malformed, media_type_of, parse_reference, read_descriptors, read_object
from pipeline.store.interface import (
    BYTES,
    INDEX,
    MAX_BUNDLE,
    MAX_MANIFEST,
    Descriptor,
    check_bytes,
    check_tag,
    missing,
    too_large,
    unique,
)
from pipeline.store.referrers import find_referrers
from pipeline.store.streams import copy_checked

REF_NAME = "org.opencontainers.image.ref.name"


class OciLayout:
    """The folder need not be there yet. Lock files beside it (``<folder>.lock``) order writers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blobs = path / "blobs" / "sha256"

    @property
    def address(self) -> str:
        return str(self._path)

    # Reading

    def resolve(self, reference: str) -> Descriptor:
        if reference.startswith("sha256:"):
            return self._describe(parse_reference(reference))
        check_tag(reference)
        entries = [entry for entry in self._entries() if entry.annotations.get(REF_NAME) == reference]
        if not entries:
            raise missing(f"tag {reference}", where=self.address)
        if len(entries) > 1:
            raise malformed(f"{self._path}/index.json", f"{len(entries)} entries named {reference}", "one")
        return self._describe(entries[0].digest)

    def manifest(self, digest: Digest) -> bytes:
        return self.blob(digest, MAX_MANIFEST)

    def blob(self, digest: Digest, limit: int = MAX_BUNDLE) -> bytes:
        with self._reading(digest):
            content = read_limited(self._blob_path(digest), limit)
        if len(content) > limit:
            raise too_large(f"{digest} in {self.address}", limit)
        return check_bytes(content, digest, where=self.address)

    @contextlib.contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with self._reading(descriptor.digest):
            file = self._blob_path(descriptor.digest).open("rb")
        with file:
            copy_checked(file, None, descriptor, where=self.address)
            file.seek(0)
            yield file

    def has_blob(self, digest: Digest) -> bool:
        return self._blob_path(digest).is_file()

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return find_referrers(self, digest)

    def listed(self, digest: Digest) -> list[Digest] | None:
        """Untagged manifests of index.json: how ``oras cp --to-oci-layout`` keeps referrers."""
        del digest  # find_referrers reads each one's subject
        return unique(entry.digest for entry in self._entries() if REF_NAME not in entry.annotations)

    def tags(self) -> list[str]:
        return sorted(entry.annotations[REF_NAME] for entry in self._entries() if REF_NAME in entry.annotations)

    def entries(self) -> tuple[Descriptor, ...]:
        """The index's own: each is tagged by its annotation REF_NAME, or not at all."""
        return self._entries()

    def last_written(self, digest: Digest) -> float:
        """When a blob was last put, in seconds since the epoch; 0 for one that is not there."""
        try:
            return self._blob_path(digest).stat().st_mtime
        except OSError:
            return 0

    # Writing

    def put_blob(self, content: bytes) -> Descriptor:
        descriptor = Descriptor(BYTES, Digest.of(content), len(content))
        if not self._holds(descriptor):
            write_atomic(self._blob_path(descriptor.digest), content)
        return descriptor

    def put_file(self, file: BinaryIO, descriptor: Descriptor) -> None:
        if self._holds(descriptor):
            return
        target = self._blob_path(descriptor.digest)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as temporary:
                try:
                    copy_checked(file, temporary, descriptor, where="the file given")
                    temporary.flush()
                    os.fsync(temporary.fileno())
                    os.chmod(temporary.name, 0o644)
                    os.replace(temporary.name, target)
                except BaseException:
                    os.unlink(temporary.name)
                    raise
        except OSError as error:
            raise _unwritable(target, error) from error

    def put_manifest(self, content: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        if len(content) > MAX_MANIFEST:
            raise too_large("manifest", MAX_MANIFEST, got=len(content))
        stored = self.put_blob(content)
        descriptor = Descriptor(media_type, stored.digest, stored.size)
        if tag is not None:
            self.tag(tag, descriptor)
        return descriptor

    def tag(self, name: str, descriptor: Descriptor) -> None:
        check_tag(name)
        entry = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, None, {REF_NAME: name})
        with self._locked("lock"):
            kept = [item for item in self._index()["manifests"] if _name(item) != name]
            # A listed manifest without a name is a root; once it has one, the nameless entry says nothing more.
            kept = [item for item in kept if _name(item) or item["digest"] != str(descriptor.digest)]
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*kept, entry.to_json()]}
            if not (self._path / "oci-layout").exists():
                write_atomic(self._path / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            write_atomic(self._path / "index.json", canonical_json(index))

    @contextlib.contextmanager
    def serialised(self) -> Iterator[None]:
        with self._locked("attach.lock"):
            yield

    def remove(self, tags: Collection[str], *, keeping: Collection[Digest], before: float) -> None:
        """Take ``tags`` away, then the blobs that are not in ``keeping`` and were last put before ``before``.

        The index comes first: blobs that nothing names do no harm, and the next time they go.
        """
        with self._locked("lock"):
            kept = [item for item in self._index()["manifests"] if _name(item) not in tags]
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": kept}
            write_atomic(self._path / "index.json", canonical_json(index))
            names = {digest.hex for digest in keeping}
            for path in self._blobs.iterdir():
                if path.name not in names and path.stat().st_mtime < before:
                    path.unlink(missing_ok=True)

    # Inside

    def _locked(self, suffix: str) -> contextlib.AbstractContextManager[None]:
        return locked(self._path.with_name(f"{self._path.name}.{suffix}"))

    def _blob_path(self, digest: Digest) -> Path:
        return self._blobs / digest.hex

    def _holds(self, descriptor: Descriptor) -> bool:
        """Already there and undamaged; a damaged blob is written anew."""
        if not self.has_blob(descriptor.digest):
            return False
        try:
            with self.open_blob(descriptor):
                mark_used(self._blob_path(descriptor.digest))
                return True
        except Refused:
            return False

    @contextlib.contextmanager
    def _reading(self, digest: Digest) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise missing(str(digest), where=self.address) from error
        except OSError as error:
            raise CannotEvaluate(
                "store.unreadable",
                f"{digest} in {self.address}: not readable (got {error.strerror or error}, expected a file)",
                fix=f"make {self._path} readable for this user",
            ) from error

    def _index(self) -> dict[str, Any]:
        return self._read_index()[0]

    def _entries(self) -> tuple[Descriptor, ...]:
        return self._read_index()[1]

    def _read_index(self) -> tuple[dict[str, Any], tuple[Descriptor, ...]]:
        path = self._path / "index.json"
        try:
            content = read_limited(path, MAX_MANIFEST)
        except FileNotFoundError:
            return {"schemaVersion": 2, "manifests": []}, ()
        except OSError as error:
            raise malformed(str(path), error.strerror or error, "a readable file") from error
        return _parsed_index(content, str(path))

    def _describe(self, digest: Digest) -> Descriptor:
        content = self.manifest(digest)
        what = f"manifest {digest}"
        return Descriptor(media_type_of(read_object(content, what=what), None, what=what), digest, len(content))


@lru_cache(maxsize=4)
def _parsed_index(content: bytes, what: str) -> tuple[dict[str, Any], tuple[Descriptor, ...]]:
    """The index and its entries. It is asked again and again, and grows with every image of a store."""
    document = read_object(content, what=what)
    return document, tuple(read_descriptors(document, "manifests", what=what))


def _name(entry: dict[str, Any]) -> str | None:
    name = (entry.get("annotations") or {}).get(REF_NAME)
    return str(name) if name is not None else None


def _unwritable(path: Path, error: OSError) -> CannotEvaluate:
    return CannotEvaluate(
        "store.unwritable",
        f"{path}: not written (got {error.strerror or error}, expected room and permission to write)",
        fix=f"free some disk space, and make {path.parent} writable for this user",
    )
