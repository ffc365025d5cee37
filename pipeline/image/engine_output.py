"""What an engine built, read back: its layers held against their diff_ids, and laid anew as one of ours.

Engines write times, orders and empty files of their own; files, owners, modes and links are what was built.
"""

import posixpath
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.image.archive import MAX_ARCHIVE, MAX_LAYER, WHITEOUT, gunzip, merge, read_tree
from pipeline.image.layer import Entry, Kind, Tree, file, sha256
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate, GatehouseError

MAX_DOCUMENT = 4 << 20
_GZIP = b"\x1f\x8b"
#: What engines mount into a container that runs; buildah leaves the empty places behind.
_MOUNTED = ("etc/hostname", "etc/hosts", "etc/resolv.conf", "run/.containerenv", ".dockerenv")
_MOUNT_POINTS = ("dev", "etc", "proc", "run", "sys")


@dataclass(frozen=True, slots=True)
class Saved:
    """An image as ``docker save`` and its like write it: configuration, and the tars of its layers, base first."""

    config: Mapping[str, Any]
    layers: tuple[bytes, ...]

    @property
    def diff_ids(self) -> list[str]:
        return list(self.config["rootfs"]["diff_ids"])


def read_saved(path: Path) -> Saved:
    """Raises CannotEvaluate (``image.engine-output``) for what is not a whole image of a readable form."""
    try:
        if path.stat().st_size > MAX_ARCHIVE:
            raise ValueError(f"more than {MAX_ARCHIVE} bytes")
        with tarfile.open(path, mode="r:") as opened:
            return _read(opened)
    except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise unreadable(f"{type(error).__name__}: {error}") from error
    except GatehouseError as error:
        raise unreadable(error.message) from error


def unreadable(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "image.engine-output",
        f"engine: what it built is not a sound image (got {got[:300]}, expected layers and a configuration that agree)",
        fix='build it again; where it comes again, use another engine, or `[image] builder = "composer"`',
    )


def _read(opened: tarfile.TarFile) -> Saved:
    members = {posixpath.normpath(member.name): member for member in opened}
    (image,) = parse_json(_member(opened, members, "manifest.json", MAX_DOCUMENT), what="manifest.json")
    config = parse_json(_member(opened, members, image["Config"], MAX_DOCUMENT), what="configuration")
    layers = tuple(_layer(_member(opened, members, name, MAX_LAYER)) for name in image["Layers"])
    saved = Saved(config, layers)
    if saved.diff_ids != [sha256(layer) for layer in layers]:
        raise ValueError("layers of other content than the configuration names")
    return saved


def _member(opened: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str, limit: int) -> bytes:
    """A file of the tar, or the one that a link of the tar names (older engines save equal layers once)."""
    member = members[name]
    if member.issym():
        member = members[posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))]
    body = opened.extractfile(member) if member.isreg() else None
    if body is None or member.size > limit:
        raise ValueError(f"{name[:200]}: no file of at most {limit} bytes")
    return body.read()


def _layer(content: bytes) -> bytes:
    return gunzip(content) if content.startswith(_GZIP) else content


def built_tree(saved: Saved) -> dict[str, Entry]:
    """Every path of the image, less what the engine itself put there; raises CannotEvaluate."""
    trees: list[dict[str, Entry]] = []
    try:
        for plain in saved.layers:
            trees.append(read_tree(plain, below=trees))
        return merge(trees)
    except (ValueError, tarfile.TarError, EOFError) as error:
        raise unreadable(str(error)) from error


def difference(lower: Tree, whole: Tree) -> dict[str, Entry]:
    """The layer that makes ``whole`` out of ``lower`` (OCI image specification, ``layer.md``, "Whiteouts").

    Folders above a changed path come with it, as ``whole`` has them.
    """
    changed = _without_left_overs({path: entry for path, entry in whole.items() if lower.get(path) != entry}, lower)
    parents = {parent for path in changed for parent in _parents(path)}
    gone = {_whiteout(path): file(b"") for path in lower if path not in whole and _was_in_folder(path, whole)}
    parents |= {parent for path in gone for parent in _parents(path)}
    return {**{path: whole[path] for path in parents}, **changed, **gone}


def _without_left_overs(changed: Tree, lower: Tree) -> dict[str, Entry]:
    """Less the empty files and folders that are new where an engine mounts its own."""
    empty = {path for path in _MOUNTED if path in changed and path not in lower and not changed[path].content}
    kept = {path: entry for path, entry in changed.items() if path not in empty or entry.kind is not Kind.FILE}
    used = {path.partition("/")[0] for path in kept if "/" in path}
    return {path: entry for path, entry in kept.items() if path not in _MOUNT_POINTS or path in lower or path in used}


def _was_in_folder(path: str, whole: Tree) -> bool:
    """Whether the folder of a path that is gone is still one: else the path went with it."""
    parent = posixpath.dirname(path)
    return not parent or (parent in whole and whole[parent].kind is Kind.FOLDER)


def _parents(path: str) -> Sequence[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _whiteout(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{WHITEOUT}{name}".removeprefix("/")
