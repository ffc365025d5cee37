r"""Hash locks (``requirements.txt``), read so strictly that pip, uv and we cannot understand them differently.

The grammar is what pip-compile and uv write (pip documentation, "Requirements File Format" and "Secure installs"):
``name==version [; marker] \\`` followed by lines of ``--hash=sha256:...``. Anything else is refused: a line with
``-r`` makes pip-audit audit nothing, one with an address installs what no index has seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pipeline.files import read_limited
from pipeline.model.errors import Refused

_LIMIT = 8 * 1024 * 1024
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)(?: ; ([^\\#]+?))?( \\)?")
_HASH = re.compile(r"    --hash=sha256:([0-9a-f]{64})( \\)?")
_FIX = "write the locks again: `scripts/nox -s lock -- update`"


@dataclass(frozen=True, slots=True)
class Locked:
    """One requirement of a lock. ``name`` is canonical (PEP 503), ``hashes`` are SHA-256 in hexadecimal."""

    name: str
    version: str
    hashes: frozenset[str]
    marker: str | None = None


def read_lock(root: Path, path: str) -> dict[str, Locked]:
    """The requirements of the lock at ``path`` below ``root``, by name; raises Refused (``lock.*``)."""
    try:
        content = read_limited(root / path, _LIMIT)
    except OSError as error:
        raise Refused(
            "lock.missing",
            f"{path}: not readable (got {error.strerror or error}, expected a lock with hashes)",
            fix=_FIX,
        ) from error
    return parse_lock(content, what=path)


def parse_lock(content: bytes, *, what: str) -> dict[str, Locked]:
    """Requirements by canonical name, in the file's order.

    Raises Refused: ``lock.include`` (-r, -c), ``lock.url`` (addresses, paths, -e, index options), ``lock.option``,
    ``lock.floating`` (no exact version), ``lock.unhashed``, ``lock.hash`` (not sha256), ``lock.duplicate``,
    ``lock.empty``, ``lock.malformed``.
    """
    found: dict[str, Locked] = {}
    for number, lines in _blocks(_text(content, what), what):
        locked = _requirement(lines, f"{what}:{number}")
        if locked.name in found:
            raise _refused("lock.duplicate", f"{what}:{number}", "named twice", locked.name, "each package once")
        found[locked.name] = locked
    if not found:
        raise _refused("lock.empty", what, "locks nothing", "no requirement", "at least one")
    return found


def _text(content: bytes, what: str) -> str:
    if len(content) > _LIMIT:
        raise _refused("lock.malformed", what, "too large", f"more than {_LIMIT} bytes", "a lock")
    # pip splits lines at characters such as U+2028 and form feed too: with ASCII and \n alone there is one reading.
    strange = next((byte for byte in content if byte != 0x0A and not 0x20 <= byte <= 0x7E), None)
    if strange is not None:
        raise _refused("lock.malformed", what, "strange character", f"byte 0x{strange:02x}", "printable ASCII")
    return content.decode("ascii")


def _blocks(text: str, what: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and lines of each requirement: joined while they end in a backslash; comments are left out."""
    block: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not block and (not line.strip() or line.lstrip().startswith("#")):
            if line.endswith("\\"):  # pip and uv differ on whether such a comment swallows the next line
                raise _refused("lock.malformed", f"{what}:{number}", "comment goes on", "a backslash", "none")
            continue
        first = first if block else number
        if not line.strip():
            break  # what was to go on does not
        block.append(line)
        if not line.endswith("\\"):
            yield first, block
            block = []
    if block:
        raise _refused("lock.malformed", f"{what}:{first}", "cut off", "a backslash and nothing behind it", "a pin")


def _requirement(lines: list[str], where: str) -> Locked:
    pin = _PIN.fullmatch(lines[0])
    if pin is None:
        raise _reason(lines[0], where)
    name, version, marker, _ = pin.groups()
    try:
        Version(version)
        if marker:
            Marker(marker)
    except (InvalidVersion, InvalidMarker) as error:
        raise _refused("lock.floating", where, "no exact version", lines[0], "name==version") from error
    hashes = [_HASH.fullmatch(line) for line in lines[1:]]
    if not hashes:
        raise _refused("lock.unhashed", where, f"{name} has no hash", "none", "at least one --hash=sha256:...")
    bad = next((line for line, match in zip(lines[1:], hashes, strict=True) if match is None), None)
    if bad is not None:
        raise _refused("lock.hash", where, f"hash of {name} not readable", bad.strip(), "--hash=sha256:<64 digits>")
    digests = frozenset(match[1] for match in hashes if match)
    return Locked(str(canonicalize_name(name)), version, digests, marker)


def _reason(line: str, where: str) -> Refused:
    """Which kind of line that is no pin, most telling first."""
    word = line.strip()
    if re.match(r"(-r|-c|--requirement|--constraint)\b", word):
        return _refused("lock.include", where, "includes another file", word, "requirements only")
    if re.match(r"(-e|-i|-f|--editable|--(extra-)?index-url|--find-links|--no-index)\b", word):
        return _refused("lock.url", where, "names another source", word, "requirements only")
    if "://" in word or re.search(r"\s@\s|^[./]|\.(whl|tar\.gz|zip)\b", word):
        return _refused("lock.url", where, "names an address", word, "name==version")
    if word.startswith("-"):
        return _refused("lock.option", where, "option in a lock", word, "requirements only")
    if "--hash=" in word and "==" in word:
        return _refused("lock.malformed", where, "not as pip-compile writes it", word, "one hash a line")
    return _refused("lock.floating", where, "no exact version", word, "name==version")


def _refused(code: str, where: str, differs: str, got: str, expected: str) -> Refused:
    return Refused(code, f"{where}: {differs} (got {got[:120]}, expected {expected})", fix=_FIX)
