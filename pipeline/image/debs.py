"""Debian binary packages (deb(5)), read without running anything of theirs."""

import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.image.layer import Entry, Kind
from pipeline.model.errors import CannotEvaluate

MAX_UNPACKED = 1 << 30


@dataclass(frozen=True, slots=True)
class Deb:
    """A package's control file and its files, by path without leading slash; hard links are copies."""

    control: bytes
    files: dict[str, Entry]


def read_deb(content: bytes, *, what: str) -> Deb:
    """Raises CannotEvaluate (``base.package``) for anything that is not a plain Debian package."""
    try:
        members = dict(_members(content))
        control = dict(_entries(_tar(members, "control.tar")))
        return Deb(control["control"].content, dict(_entries(_tar(members, "data.tar"))))
    except (ValueError, KeyError, tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise CannotEvaluate(
            "base.package",
            f"{what}: not a package that can be unpacked (got {error}, expected deb(5) with files, folders and links)",
            fix="take the package out of requirements/base.in: the image cannot hold it",
        ) from error


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    if not content.startswith(b"!<arch>\n"):
        raise ValueError("no ar archive")
    position = 8
    while position < len(content):
        header = content[position : position + 60]
        if len(header) < 60 or header[58:] != b"`\n":
            raise ValueError("a damaged member header")
        size = int(header[48:58])
        body = content[position + 60 : position + 60 + size]
        if len(body) != size or size < 0:
            raise ValueError("a truncated member")
        yield header[:16].decode("ascii").rstrip(" /"), body
        position += 60 + size + size % 2


def _tar(members: dict[str, bytes], stem: str) -> tarfile.TarFile:
    names = [name for name in members if name in {stem, f"{stem}.gz", f"{stem}.xz", f"{stem}.bz2"}]
    if len(names) != 1:
        raise ValueError(f"members {sorted(members)}")
    return tarfile.open(fileobj=io.BytesIO(members[names[0]]), mode="r:*")


def _entries(archive: tarfile.TarFile) -> Iterator[tuple[str, Entry]]:
    files: dict[str, Entry] = {}
    total = 0
    with archive:
        for member in archive:
            path = _path(member.name)
            if not path:
                continue
            total += member.size
            if total > MAX_UNPACKED:
                raise ValueError(f"more than {MAX_UNPACKED} bytes")
            files[path] = _entry(archive, member, files)
            yield path, files[path]


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, before: dict[str, Entry]) -> Entry:
    if member.isfile():
        opened = archive.extractfile(member)
        return Entry(Kind.FILE, member.mode & 0o7777, opened.read() if opened else b"")
    if member.isdir():
        return Entry(Kind.FOLDER, member.mode & 0o7777)
    if member.issym():
        return Entry(Kind.LINK, 0o777, target=member.linkname)
    if member.islnk():
        return before[_path(member.linkname)]
    raise ValueError(f"{member.name}, which is a device or pipe")


def _path(name: str) -> str:
    path = name.removeprefix("./").rstrip("/")
    parts = path.split("/")
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"the path {name!r}")
    return "" if path == "." else path
