"""Moving images between an archive and a store, and with all their evidence between two stores."""

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.errors import CannotEvaluate
from pipeline.store.documents import malformed, media_type_of, read_descriptor, read_descriptors, read_object
from pipeline.store.interface import INDEX, INDEXES, MAX_MANIFEST, Descriptor, Readable, Store, check_bytes, too_large
from pipeline.store.referrers import ensure_listed, publish
from pipeline.store.streams import copy_checked

_MAX_DEPTH = 3


class Archive:
    """An OCI layout in an uncompressed tar, read in place: nothing is unpacked."""

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        self._tar, self._name = tar, name
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in tar:
            if member.name in self._members:
                raise malformed(name, f"two members {member.name}", "each member once")
            self._members[member.name] = member

    def image(self) -> Descriptor:
        """The one image of the archive, whatever its platforms."""
        index = read_object(self._read("index.json"), what=f"{self._name}: index.json")
        found = read_descriptors(index, "manifests", what=f"{self._name}: index.json")
        if len(found) != 1:
            raise malformed(self._name, f"{len(found)} images", "one image")
        return found[0]

    def manifest(self, digest: Digest) -> bytes:
        return check_bytes(self._read(f"blobs/sha256/{digest.hex}"), digest, where=self._name)

    @contextlib.contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with self._open(f"blobs/sha256/{descriptor.digest.hex}") as file:
            copy_checked(file, None, descriptor, where=self._name)
            file.seek(0)
            yield file

    def _open(self, name: str) -> BinaryIO:
        member = self._members.get(name)
        if member is None or not member.isreg():
            raise malformed(self._name, f"no file {name}", "a whole OCI layout")
        return cast("BinaryIO", self._tar.extractfile(member))

    def _read(self, name: str) -> bytes:
        with self._open(name) as file:
            content = file.read(MAX_MANIFEST + 1)
        if len(content) > MAX_MANIFEST:
            raise too_large(f"{self._name}: {name}", MAX_MANIFEST)
        return content


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Raises CannotEvaluate (``image.missing``, ``store.malformed``)."""
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115  # closed below
    except FileNotFoundError as error:
        raise CannotEvaluate(
            "image.missing",
            f"{path}: no image (got no such file, expected the archive of the image step)",
            fix="build it with `scripts/nox -s image`",
        ) from error
    except (tarfile.TarError, OSError) as error:
        raise malformed(path.name, repr(error), "a whole tar") from error
    with tar:
        try:
            yield Archive(tar, path.name)
        except tarfile.TarError as error:
            raise malformed(path.name, repr(error), "a whole tar") from error


def push_archive(archive: Path, store: Store, tag: str) -> Descriptor:
    """Put the archive's image into ``store`` under ``tag``; what is there already is not sent again.

    Raises CannotEvaluate (``image.missing``, ``store.*``, ``registry.*``) and Refused (``store.digest``).
    """
    with open_archive(archive) as source:
        image = source.image()
        _copy_image(source, image, store, depth=0)
        store.tag(tag, image)
        return store.resolve(str(image.digest))


class _Target(Protocol):
    def put_file(self, file: BinaryIO, descriptor: Descriptor) -> None: ...

    def put_manifest(self, content: bytes, media_type: str) -> Any: ...


class _NewArchive:
    """A tar that becomes an OCI layout."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._names: set[str] = set()

    def put_file(self, file: BinaryIO, descriptor: Descriptor) -> None:
        self._add(f"blobs/sha256/{descriptor.digest.hex}", file, descriptor.size)

    def put_manifest(self, content: bytes, media_type: str) -> None:
        del media_type  # stands in the manifest
        self._add(f"blobs/sha256/{Digest.of(content).hex}", io.BytesIO(content), len(content))

    def close(self, image: Descriptor) -> None:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.to_json()]}
        for name, value in (("index.json", index), ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
            content = canonical_json(value)
            self._add(name, io.BytesIO(content), len(content))

    def _add(self, name: str, file: BinaryIO, size: int) -> None:
        # Platforms share layers.
        if name not in self._names:
            self._names.add(name)
            member = tarfile.TarInfo(name)
            member.size = size
            self._tar.addfile(member, file)


def pull_archive(store: Readable, image: Descriptor, archive: Path) -> None:
    """The reverse of ``push_archive``: write ``image``, every byte checked against its digest, into a new file.

    Raises CannotEvaluate (``store.*``, ``registry.*``) and Refused (``store.digest``); the file is then of no use.
    """
    with tarfile.open(archive, "w") as tar:
        target = _NewArchive(tar)
        _copy_image(store, image, target, depth=0)
        target.close(image)


def copy(source: Store, image: Descriptor, target: Store, *, tag: str | None = None) -> list[Descriptor]:
    """Copy ``image`` and everything that refers to it; returns the referrers as the target then lists them.

    Raises CannotEvaluate (``store.not-listed``) where the target does not list each of them afterwards.
    """
    _copy_image(source, image, target, depth=0)
    if tag is not None:
        target.tag(tag, image)
    expected = source.referrers(image.digest)
    for referrer in expected:
        _copy_content(source, referrer, target)
        publish(target, image.digest, source.manifest(referrer.digest))
    return ensure_listed(target, image.digest, [referrer.digest for referrer in expected])


def _copy_image(source: Readable | Archive, image: Descriptor, target: _Target, *, depth: int) -> None:
    """Children before parents: a registry refuses a manifest whose parts it does not hold."""
    document = read_object(source.manifest(image.digest), what=f"manifest {image.digest}")
    media_type = media_type_of(document, image.media_type, what=f"manifest {image.digest}")
    if depth > _MAX_DEPTH:
        raise malformed(f"manifest {image.digest}", "indexes in indexes", f"at most {_MAX_DEPTH} levels")
    if media_type in INDEXES:
        for child in read_descriptors(document, "manifests", what=f"index {image.digest}"):
            _copy_image(source, child, target, depth=depth + 1)
        target.put_manifest(source.manifest(image.digest), media_type)
    else:
        _copy_content(source, image, target)
        target.put_manifest(source.manifest(image.digest), media_type)


def _copy_content(source: Readable | Archive, manifest: Descriptor, target: _Target) -> None:
    what = f"manifest {manifest.digest}"
    document = read_object(source.manifest(manifest.digest), what=what)
    config = [read_descriptor(document["config"], what=f"{what}: config")] if "config" in document else []
    for part in [*config, *read_descriptors(document, "layers", what=what)]:
        with source.open_blob(part) as file:
            target.put_file(file, part)
