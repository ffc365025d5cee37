"""A store in one file: an OCI layout in a tar, image and referrers, read in place. Nothing is unpacked or written."""

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.store.documents import malformed, media_type_of, parse_reference, read_descriptors, read_object
from pipeline.store.interface import (
    INDEXES,
    MAX_BUNDLE,
    Descriptor,
    check_bytes,
    missing,
    too_large,
    unique,
)
from pipeline.store.layout import REF_NAME
from pipeline.store.referrers import find_referrers
from pipeline.store.transfer import Archive

#: An export holds the blobs of one image and of at most 500 referrers, and the files of a policy.
MAX_MEMBERS = 5000


class ArchivedStore(Archive):
    """What ``export`` wrote, as a store to read from. ``names`` are all members of the tar."""

    @property
    def address(self) -> str:
        return "an export"

    @property
    def names(self) -> list[str]:
        return sorted(self._members)

    def read(self, name: str, limit: int) -> bytes:
        """A member of at most ``limit`` bytes; raises CannotEvaluate (``store.malformed``, ``store.too-large``)."""
        with self._open(name) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise too_large(f"{self._name}: {name}", limit)
        return content

    def resolve(self, reference: str) -> Descriptor:
        """By digest alone: a tag in a file is the word of whoever wrote the file."""
        if not reference.startswith("sha256:"):
            raise missing(f"tag {reference[:90]}", where=self.address)
        digest = parse_reference(reference)
        content = self.manifest(digest)
        what = f"manifest {digest}"
        return Descriptor(media_type_of(read_object(content, what=what), None, what=what), digest, len(content))

    def manifest(self, digest: Digest) -> bytes:
        self._needs(digest)
        return super().manifest(digest)

    def blob(self, digest: Digest, limit: int = MAX_BUNDLE) -> bytes:
        self._needs(digest)
        return check_bytes(self.read(_blob(digest), limit), digest, where=self._name)

    def has_blob(self, digest: Digest) -> bool:
        return _blob(digest) in self._members

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return find_referrers(self, digest)

    def listed(self, digest: Digest) -> list[Digest] | None:
        """The untagged manifests of index.json, as in a layout."""
        del digest  # find_referrers reads each one's subject
        return unique(entry.digest for entry in self._entries() if REF_NAME not in entry.annotations)

    def tags(self) -> list[str]:
        return sorted(entry.annotations[REF_NAME] for entry in self._entries() if REF_NAME in entry.annotations)

    def check_whole(self, image: Descriptor) -> None:
        """Every part of ``image`` is here and undamaged: who loads it from this file gets what was judged.

        Raises Refused (``store.digest``) and CannotEvaluate (``store.missing``, ``store.malformed``).
        """
        for part in parts(self, image):
            self._needs(part.digest)
            with self.open_blob(part):
                pass

    def _needs(self, digest: Digest) -> None:
        if not self.has_blob(digest):
            raise missing(str(digest), where=self.address)

    def _entries(self) -> list[Descriptor]:
        what = f"{self._name}: index.json"
        return read_descriptors(read_object(self._read("index.json"), what=what), "manifests", what=what)


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def parts(store: Any, image: Descriptor, depth: int = 0) -> list[Descriptor]:
    """``image`` itself and everything that it is made of, each once: manifests, configurations, layers."""
    what = f"manifest {image.digest}"
    document = read_object(store.manifest(image.digest), what=what)
    found = [image]
    if media_type_of(document, image.media_type, what=what) in INDEXES:
        if depth > 2:
            raise malformed(what, "indexes in indexes", "at most 2 levels")
        for child in read_descriptors(document, "manifests", what=what):
            found += parts(store, child, depth + 1)
    else:
        config = [document["config"]] if "config" in document else []
        found += read_descriptors({"config": config}, "config", what=what)
        found += read_descriptors(document, "layers", what=what)
    return list({part.digest: part for part in found}.values())


@contextlib.contextmanager
def open_archived(path: Path) -> Iterator[ArchivedStore]:
    """Raises CannotEvaluate (``export.missing``, ``store.malformed``); what a tar reader may say is one of these."""
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise CannotEvaluate(
            "export.missing",
            f"{path.name}: no export (got no such file, expected what `export` wrote)",
            fix="name the file that was handed over: --offline FILE",
        ) from error
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise _no_tar(path, error) from error
    with tar:
        try:
            yield _archived(tar, path)
        except (tarfile.TarError, EOFError) as error:
            raise _no_tar(path, error) from error


def _archived(tar: tarfile.TarFile, path: Path) -> ArchivedStore:
    try:
        store = ArchivedStore(tar, path.name)
    except (ValueError, OSError) as error:
        raise _no_tar(path, error) from error
    if len(store.names) > MAX_MEMBERS:
        raise malformed(path.name, f"{len(store.names)} files", f"at most {MAX_MEMBERS}")
    return store


def _no_tar(path: Path, error: Exception) -> CannotEvaluate:
    return malformed(path.name, f"{type(error).__name__}: {error}", "a whole tar, as `export` writes it")
