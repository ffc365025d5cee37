"""A layer as data: path to entry, packed so that equal entries give equal bytes on every machine."""

import hashlib
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LEVEL = 6
BLOCK = 1 << 22
"""Bytes that are compressed at a time; a change of it changes every layer."""
#: What zlib 1.2.13 and 1.3.1 make of the sample below, at this level.
_SAMPLE = "sha256:ec624dfc3adf3525f2b8b34b8d64db4af6613530daf0eb4f94a47bd944c60d4b"


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a layer. ``mode`` holds permission bits with setuid, setgid and sticky; ``target`` is a link's."""

    kind: Kind
    mode: int = 0o644
    content: bytes = b""
    target: str = ""
    owner: int = 0
    """The user's number, and the group's where that is not another."""
    group: int | None = None
    """The group's number, None where it is the owner's."""


Tree = Mapping[str, Entry]
"""Path without leading or final slash to its entry."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A compressed layer. ``diff_id`` is the SHA-256 of the tar, ``digest`` that of the compressed bytes."""

    content: bytes
    digest: str
    diff_id: str


def file(content: bytes, *, executable: bool = False) -> Entry:
    return Entry(Kind.FILE, 0o755 if executable else 0o644, content)


def folder(mode: int = 0o755, *, owner: int = 0) -> Entry:
    return Entry(Kind.FOLDER, mode, owner=owner)


def link(target: str) -> Entry:
    return Entry(Kind.LINK, 0o777, target=target)


def with_folders(tree: Tree) -> dict[str, Entry]:
    """``tree`` and every folder above its paths, in the one order that is packed."""
    parents = {str(parent): folder() for path in tree for parent in PurePosixPath(path).parents if str(parent) != "."}
    return dict(sorted({**parents, **tree}.items()))


def pack(tree: Tree, *, time: int) -> Packed:
    """Tar and gzip (RFC 1952) of ``tree``, every entry with ``time`` in seconds since the epoch."""
    plain = tar(tree, time=time)
    compressed = compress(plain)
    return Packed(compressed, sha256(compressed), sha256(plain))


def tar(tree: Tree, *, time: int) -> bytes:
    """A POSIX.1-2001 (pax) archive of ``tree`` and the folders above its paths, sorted."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in with_folders(tree).items():
            archive.addfile(_header(path, entry, time), io.BytesIO(entry.content))
    return packed.getvalue()


def compress(plain: bytes) -> bytes:
    """Gzip (RFC 1952), the same bytes on every machine.

    The header is our own: Python 3.13 writes another operating-system byte than 3.11 does. Blocks of a fixed size
    are compressed side by side, each with the end of the one before as its dictionary, as pigz does it.
    """
    starts = range(0, len(plain), BLOCK) or range(1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        body = b"".join(pool.map(lambda start: _deflate(plain, start), starts))
    header = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return header + body + struct.pack("<II", zlib.crc32(plain), len(plain) & 0xFFFFFFFF)


@lru_cache(maxsize=1)
def compressor() -> str:
    """``zlib`` where this machine writes zlib's own bytes, else what it has in its place (zlib-ng gives others).

    Layers are then the same files and their digests are not: provenance says so.
    """
    sample = "\n".join(str(number * number) for number in range(20_000)).encode()
    return "zlib" if sha256(_deflate(sample, 0)) == _SAMPLE else f"not zlib: {zlib.ZLIB_RUNTIME_VERSION}"


def _deflate(plain: bytes, start: int) -> bytes:
    window = plain[max(0, start - (1 << zlib.MAX_WBITS)) : start]
    last = start + BLOCK >= len(plain)
    arguments = (LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    compressor = zlib.compressobj(*arguments, window) if window else zlib.compressobj(*arguments)
    compressed = compressor.compress(plain[start : start + BLOCK])
    return compressed + compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


_TYPES = {Kind.FILE: tarfile.REGTYPE, Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}


def _header(path: str, entry: Entry, time: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type = _TYPES[entry.kind]
    header.mode = entry.mode
    header.size = len(entry.content)
    header.linkname = entry.target
    header.uid = entry.owner
    header.gid = entry.owner if entry.group is None else entry.group
    header.mtime = time
    return header
