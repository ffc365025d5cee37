"""One tar that is an OCI image layout and a ``docker load`` archive, written, and read as an outsider would.

Source: OCI image specification 1.1 (``image-layout.md``, ``manifest.md``, ``layer.md``).
"""

import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.files import write_atomic
from pipeline.image.layer import MEDIA_TYPE, Entry, Kind, Packed, Tree, file, sha256, tar
from pipeline.model.documents import canonical_json, parse_json
from pipeline.model.errors import CannotEvaluate

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
MAX_ARCHIVE = 2 << 30
MAX_LAYER = 2 << 30
WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """An image for one platform, ready to be written. ``platform`` is ``linux/amd64``."""

    platform: str
    config: Mapping[str, Any]
    layers: Sequence[Packed]


@dataclass(frozen=True, slots=True)
class Written:
    """What an archive holds: the digest that everything attaches to, and the manifest of each platform."""

    digest: str
    media_type: str
    size: int
    platforms: dict[str, str]


def write_archive(path: Path, images: Sequence[PlatformImage], *, name: str, tag: str) -> Written:
    """Write the archive whole or not at all; raises CannotEvaluate (``files.*``)."""
    blobs: dict[str, bytes] = {}
    manifests, loadable = [], []
    for image in images:
        config = _add(blobs, CONFIG, canonical_json(image.config))
        layers = [_add(blobs, MEDIA_TYPE, layer.content) for layer in image.layers]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        manifests.append({**_add(blobs, MANIFEST, canonical_json(manifest)), "platform": _platform(image.platform)})
        suffix = "" if image is images[0] else "-" + image.platform.rpartition("/")[2]
        loadable.append(
            {
                "Config": _blob_path(config["digest"]),
                "RepoTags": [f"{name}:{tag}{suffix}"],
                "Layers": [_blob_path(layer["digest"]) for layer in layers],
            }
        )
    top = manifests[0]
    if len(manifests) > 1:
        top = _add(blobs, INDEX, canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    reference = {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": f"{_whole_name(name)}:{tag}"}
    files: dict[str, Any] = {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**top, "annotations": reference}]},
        "manifest.json": loadable,
    }
    tree = {_blob_path(digest): file(content) for digest, content in blobs.items()}
    write_atomic(path, tar(tree | {name: file(canonical_json(value)) for name, value in files.items()}, time=0))
    platforms = {image.platform: manifest["digest"] for image, manifest in zip(images, manifests, strict=True)}
    return Written(top["digest"], top["mediaType"], top["size"], platforms)


def _whole_name(name: str) -> str:
    """As containerd has it, whose store reads no ``RepoTags``: a host that is not named is Docker's."""
    host, separator, _ = name.partition("/")
    return name if separator and "." in host else f"docker.io/library/{name}"


def _add(blobs: dict[str, bytes], media_type: str, content: bytes) -> dict[str, Any]:
    digest = sha256(content)
    blobs[digest] = content
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _platform(text: str) -> dict[str, str]:
    system, _, architecture = text.partition("/")
    variant = {"variant": "v8"} if architecture == "arm64" else {}
    return {"architecture": architecture, "os": system, **variant}


class Archive:
    """An archive that is read: every blob is held against its digest, every layer against its diff_id.

    Everything here raises CannotEvaluate (``archive.malformed``) for what is not a sound archive.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        try:
            if path.stat().st_size > MAX_ARCHIVE:
                raise self._malformed(f"more than {MAX_ARCHIVE} bytes", "an image")
            with tarfile.open(path, mode="r:") as opened:
                members = [member for member in opened if member.isfile()]
                self._files = {m.name: body.read() for m in members if (body := opened.extractfile(m))}
        except (OSError, tarfile.TarError, EOFError) as error:
            raise self._malformed(str(error), "a tar archive") from error
        index = self._json("index.json", self._files.get("index.json"))
        try:
            (self.descriptor,) = index["manifests"]
            self._manifests = self._find_manifests(self.descriptor)
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed("an index without its one image", "an OCI image layout") from error

    def _malformed(self, got: str, expected: str) -> CannotEvaluate:
        return CannotEvaluate(
            "archive.malformed",
            f"{self._name}: not a sound image archive (got {got[:200]}, expected {expected})",
            fix="build the image again with `scripts/nox -s image`",
        )

    def _json(self, what: str, content: bytes | None) -> Any:
        if content is None:
            raise self._malformed(f"no {what}", f"{what} inside")
        return parse_json(content, what=f"{self._name}: {what}")

    def _find_manifests(self, descriptor: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
        digest = descriptor["digest"]
        document = self._json(digest, self.blob(digest))
        if descriptor["mediaType"] == INDEX:
            entries = [(f"{e['platform']['os']}/{e['platform']['architecture']}", e) for e in document["manifests"]]
            return {name: (entry["digest"], self._json(name, self.blob(entry["digest"]))) for name, entry in entries}
        config = self._json("config", self.blob(document["config"]["digest"]))
        return {f"{config['os']}/{config['architecture']}": (digest, document)}

    @property
    def digest(self) -> str:
        """The index's where there are several platforms, else the manifest's."""
        return str(self.descriptor["digest"])

    @property
    def platforms(self) -> dict[str, str]:
        """Platform to the digest of its manifest."""
        return {name: digest for name, (digest, _) in self._manifests.items()}

    def blob(self, digest: str) -> bytes:
        content = self._files.get(_blob_path(digest))
        if content is None or sha256(content) != digest:
            raise self._malformed(f"blob {digest[:80]} {'damaged' if content else 'absent'}", "its content")
        return content

    def manifest(self, platform: str) -> dict[str, Any]:
        if platform not in self._manifests:
            raise self._malformed(f"platforms {sorted(self._manifests)}", platform)
        return dict(self._manifests[platform][1])

    def config(self, platform: str) -> dict[str, Any]:
        """The image configuration (``config.md``), as it was written."""
        digest = self.manifest(platform)["config"]["digest"]
        return dict(self._json("config", self.blob(digest)))

    def layers(self, platform: str) -> list[bytes]:
        """The layers' tars, base first, each held against the configuration's diff_id."""
        descriptors = self.manifest(platform)["layers"]
        diff_ids = self.config(platform)["rootfs"]["diff_ids"]
        if len(descriptors) != len(diff_ids):
            raise self._malformed(f"{len(descriptors)} layers", f"{len(diff_ids)} as the configuration says")
        return [self._layer(item, diff_id) for item, diff_id in zip(descriptors, diff_ids, strict=True)]

    def _layer(self, descriptor: Mapping[str, Any], diff_id: str) -> bytes:
        content = self.blob(descriptor["digest"])
        try:
            plain = gunzip(content) if descriptor["mediaType"].endswith("gzip") else content
        except (ValueError, zlib.error) as error:
            raise self._malformed(f"layer {descriptor['digest']}: {error}", "a gzip stream") from error
        if sha256(plain) != diff_id:
            raise self._malformed(f"layer {descriptor['digest']} of other content", diff_id)
        return plain

    def layer_trees(self, platform: str) -> list[dict[str, Entry]]:
        """Each layer's own entries, base first; whiteouts are still the files that stand for them."""
        trees: list[dict[str, Entry]] = []
        for plain in self.layers(platform):
            try:
                trees.append(read_tree(plain, below=trees))
            except (ValueError, tarfile.TarError, EOFError) as error:
                raise self._malformed(str(error), "layers of files, folders and links") from error
        return trees

    def tree(self, platform: str) -> dict[str, Entry]:
        """Every path of the image."""
        try:
            return merge(self.layer_trees(platform))
        except ValueError as error:
            raise self._malformed(str(error), "layers that fit together") from error


def gunzip(content: bytes) -> bytes:
    """One gzip stream, bounded; ValueError where there is more behind it or too much in it."""
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    plain = decompressor.decompress(content, MAX_LAYER)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("not exactly one gzip stream")
    return plain


def read_tree(plain: bytes, *, below: Sequence[Tree] = ()) -> dict[str, Entry]:
    """The entries of one layer's tar, ``below`` being where its hard links may point.

    ValueError or TarError for what is no sound layer.
    """
    tree: dict[str, Entry] = {}
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as opened:
        for member in opened:
            path = member.name.removeprefix("./").rstrip("/")
            if path in {"", "."}:
                continue
            # One path, one way to write it: "a/./b" would be another file to us, and the same one to an engine.
            if {"..", ".", ""} & set(path.split("/")) or "\0" in path:
                raise ValueError(f"the path {member.name!r}")
            tree[path] = _entry([*below, tree], opened, member)
    return tree


def merge(trees: Sequence[Tree]) -> dict[str, Entry]:
    """Upper layers over lower ones, whiteouts applied (``layer.md``); ValueError where they do not fit."""
    merged: dict[str, Entry] = {}
    for tree in trees:
        for path in tree:
            folder, _, name = path.rpartition("/")
            if name.startswith(WHITEOUT):
                _remove(merged, folder, name)
        for path, entry in tree.items():
            if not path.rpartition("/")[2].startswith(WHITEOUT):
                _set(merged, path, entry)
    return merged


def _remove(tree: dict[str, Entry], folder: str, name: str) -> None:
    opaque = name == ".wh..wh..opq"
    gone = folder if opaque else f"{folder}/{name.removeprefix(WHITEOUT)}".strip("/")
    for path in [path for path in tree if path.startswith(f"{gone}/") or (path == gone and not opaque)]:
        del tree[path]


def _set(tree: dict[str, Entry], path: str, entry: Entry) -> None:
    before = tree.get(path)
    if before is not None and before.kind is Kind.FOLDER and entry.kind is not Kind.FOLDER:
        for below in [other for other in tree if other.startswith(f"{path}/")]:
            del tree[below]
    parent = path.rpartition("/")[0]
    if parent and tree.get(parent, Entry(Kind.FOLDER)).kind is not Kind.FOLDER:
        raise ValueError(f"{path} below something that is no folder")
    tree[path] = entry


def _entry(trees: Sequence[Tree], opened: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    mode = member.mode & 0o7777
    if any(name.startswith("SCHILY.xattr.security.") for name in member.pax_headers):
        raise ValueError(f"{member.name}, which has security attributes (file capabilities)")
    owner, group = member.uid, None if member.gid == member.uid else member.gid
    if member.isdir():
        return Entry(Kind.FOLDER, mode, owner=owner, group=group)
    if member.issym():
        return Entry(Kind.LINK, 0o777, target=member.linkname, owner=owner, group=group)
    if member.islnk():
        target = member.linkname.removeprefix("./")
        found = [tree[target] for tree in trees if target in tree]
        if not found:
            raise ValueError(f"{member.name}, a hard link to nothing")
        return found[-1]
    if member.isfile() and (body := opened.extractfile(member)):
        return Entry(Kind.FILE, mode, body.read(), owner=owner, group=group)
    raise ValueError(f"{member.name}, which is a device or pipe")


def read_config(path: Path, platform: str) -> dict[str, Any]:
    """The configuration of the image for ``platform`` in the archive at ``path``."""
    return Archive(path).config(platform)


def unpack_rootfs(path: Path, platform: str, folder: Path) -> None:
    """Lay the image's files out below the empty ``folder``, as this user owns them, modes kept.

    Nothing is written outside: every path was checked, and links are made after all files. Raises CannotEvaluate
    (``archive.malformed``, ``files.*``).
    """
    tree = Archive(path).tree(platform)
    links = {name: entry for name, entry in tree.items() if entry.kind is Kind.LINK}
    folders = {name: entry for name, entry in tree.items() if entry.kind is Kind.FOLDER}
    for name, entry in tree.items():
        if entry.kind is Kind.FOLDER:
            (folder / name).mkdir(parents=True, exist_ok=True)
        elif entry.kind is Kind.FILE:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(entry.content)
            (folder / name).chmod(entry.mode & 0o1777)
    for name, entry in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(entry.target)
    # Last, so that a folder that nobody may write does not stop its own files from being written.
    for name, entry in sorted(folders.items(), reverse=True):
        (folder / name).chmod(entry.mode & 0o1777)
