"""A wheel laid out by ourselves: every file is listed in RECORD with its hash, and nothing else is in it."""

import base64
import csv
import hashlib
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from packaging.utils import canonicalize_name, canonicalize_version, parse_wheel_filename

from pipeline.image.layer import Entry, file
from pipeline.model.errors import CannotEvaluate, Refused

MAX_UNPACKED = 1 << 30
# Not needed at run time: byte code (ours is made from the sources), sources of extension modules, own tests.
_LEFT_OUT = re.compile(r"(?:^|/)__pycache__/|\.(?:py[co]|c|cc|cpp|h|hpp|pyx|pxd)$|^[^/]+/tests?/")
#: What ``site`` imports at every start, where it lies on the path (the library's reference, "site").
_RUN_BY_SITE = re.compile(r"^(?:[^/]+\.data/(?:purelib|platlib)/)?(?:sitecustomize|usercustomize)(?:/__init__)?\.")
#: What ``zipfile`` raises for damaged, encrypted and unknown content.
_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError)
_UNHASHED = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class WheelFiles:
    """``files`` by path below the folder of installed packages, ``shared`` by path below the prefix (``share/...``).

    ``time`` is the newest time inside, in seconds since the epoch; the zip's times have no zone and count as UTC.
    """

    files: dict[str, Entry]
    shared: dict[str, Entry]
    time: int


def read_wheel(path: Path) -> WheelFiles:
    """Unpack a wheel whose hash was checked (Binary distribution format; PEP 376 and 427 on RECORD).

    Raises Refused (``wheel.record``, ``wheel.pth``, ``wheel.path``) and CannotEvaluate (``wheel.malformed``).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
            contents = {name: archive.read(member) for name, member in members.items()}
            # A zip can hold a 75th minute.
            times = [datetime(*member.date_time, tzinfo=UTC) for member in members.values()]
    except _UNREADABLE as error:
        raise CannotEvaluate(
            "wheel.malformed",
            f"{path.name}: not readable (got {error}, expected a zip archive)",
            fix="delete the download cache in the state folder and run the command again",
        ) from error
    info = _info_folder(path.name, contents)
    _check_record(path.name, info, contents)
    executable = {name for name, member in members.items() if (member.external_attr >> 16) & 0o111}
    files, shared = _placed(info, contents, executable)
    return WheelFiles(files | _new_record(info, files), shared, int(max(times).timestamp()))


def _refuse(code: str, wheel: str, name: str, got: str, expected: str) -> Refused:
    return Refused(
        code,
        f"{wheel}: {name}: not acceptable (got {got}, expected {expected})",
        fix="report it to the package's maintainers, and lock another release of it: this one can run foreign code",
    )


def _members(archive: zipfile.ZipFile, wheel: str) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED:
        raise _refuse("wheel.path", wheel, "the archive", f"more than {MAX_UNPACKED} bytes", "a wheel of usual size")
    for member in archive.infolist():
        name = member.filename
        parts = name.rstrip("/").split("/")
        if name.startswith("/") or "\\" in name or {"", ".", ".."} & set(parts):
            raise _refuse("wheel.path", wheel, repr(name), "a path outside the wheel", "a path inside")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refuse("wheel.path", wheel, name, "a symbolic link", "a file")
        if name in members:
            raise _refuse("wheel.path", wheel, name, "the same path twice", "one file a path")
        if name.endswith(".pth") or _RUN_BY_SITE.search(name):
            raise _refuse("wheel.pth", wheel, name, "a file that Python runs at every start", "none")
        if not member.is_dir():
            members[name] = member
    return members


def _info_folder(wheel: str, contents: Mapping[str, bytes]) -> str:
    name, version, _, _ = parse_wheel_filename(wheel)
    found = sorted({path.split("/")[0] for path in contents if path.split("/")[0].endswith(".dist-info")})
    stem = found[0].removesuffix(".dist-info").partition("-") if len(found) == 1 else ("", "", "")
    if canonicalize_name(stem[0]) != name or canonicalize_version(stem[2]) != canonicalize_version(version):
        raise _refuse("wheel.record", wheel, "*.dist-info", f"{found}", f"one folder of {name} {version}")
    return found[0]


def _check_record(wheel: str, info: str, contents: Mapping[str, bytes]) -> None:
    """Every file is in RECORD with its SHA-256, and every line has its file."""
    record = contents.get(f"{info}/RECORD")
    if record is None:
        raise _refuse("wheel.record", wheel, f"{info}/RECORD", "no such file", "the list of its files")
    listed: dict[str, str] = {}
    for row in _rows(wheel, record):
        if len(row) != 3 or row[0] in listed:
            raise _refuse("wheel.record", wheel, "RECORD", f"the line {','.join(row)[:120]!r}", "path,hash,size once")
        listed[row[0]] = row[1]
    unhashed = {f"{info}/{name}" for name in _UNHASHED}
    for name, content in contents.items():
        if name in unhashed:
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if listed.get(name) != f"sha256={digest}":
            got = f"RECORD says {listed[name]!r}" if name in listed else "a file that RECORD does not list"
            raise _refuse("wheel.record", wheel, name, got, f"sha256={digest} in RECORD")
    absent = sorted(listed.keys() - contents.keys() - unhashed)
    if absent:
        raise _refuse("wheel.record", wheel, absent[0], "a line of RECORD without its file", "every listed file")


def _rows(wheel: str, record: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(record.decode("utf-8", "replace"))))
    except csv.Error as error:
        raise _refuse("wheel.record", wheel, "RECORD", str(error), "comma-separated values") from error


def _placed(
    info: str, contents: Mapping[str, bytes], executable: set[str]
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Where installers put things: ``*.data/purelib`` beside the rest; programs and headers have no use here."""
    data = info.removesuffix(".dist-info") + ".data/"
    files: dict[str, Entry] = {}
    shared: dict[str, Entry] = {}
    for name, content in sorted(contents.items()):
        entry = file(content, executable=name in executable)
        scheme, _, rest = name.removeprefix(data).partition("/")
        if not name.startswith(data):
            if not _LEFT_OUT.search(name):
                files[name] = entry
        elif scheme in {"purelib", "platlib"}:
            files[rest] = entry
        elif scheme == "data" and not rest.startswith(("bin/", "etc/")):
            shared[rest] = entry
    return files, shared


def _new_record(info: str, files: Mapping[str, Entry]) -> dict[str, Entry]:
    """RECORD of what is really there, sorted, so that importlib.metadata and scanners see no absent file."""
    rows = []
    for name, entry in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(entry.content).digest()).rstrip(b"=").decode()
        own = name.removeprefix(f"{info}/") in _UNHASHED
        rows.append((name, "", "") if own else (name, f"sha256={digest}", str(len(entry.content))))
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return {f"{info}/RECORD": file(written.getvalue().encode())}
