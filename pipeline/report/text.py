"""Foreign text made safe to show: no terminal control, no invisible or direction-changing characters, one line."""

import re
import unicodedata

# ECMA-48 control sequences and strings (CSI, OSC, DCS, PM, APC, SOS) with what they carry, so that
# "\x1b[2J" leaves nothing behind, not even "[2J".
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]"
)
_SPACES = re.compile(r"\s+")
#: What the symbols of the report become where the terminal is not UTF-8.
_ASCII = str.maketrans(
    {"…": "...", "─": "-", "·": "-", "→": "->", "’": "'", "–": "-", "—": "-", "×": "x", "≥": ">=", "≤": "<="}  # noqa: RUF001
)


def printable(text: str) -> str:
    """One line without escape sequences, control, format (bidi, zero-width), surrogate or unassigned characters."""
    without = _ESCAPES.sub("", text)
    return _SPACES.sub(" ", "".join(c for c in without if c.isspace() or c.isprintable())).strip()


def as_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _columns(character: str) -> int:
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns(text: str) -> int:
    """How many terminal columns ``text`` takes: wide East Asian characters two, combining marks none."""
    return sum(map(_columns, text))


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """``text`` cut to ``width`` columns (at least the ellipsis's), with ``ellipsis`` where something was cut off."""
    taken = 0
    cut = 0  # the last place where an ellipsis still fits behind
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken <= width - len(ellipsis):
            cut = place + 1
        if taken > width:
            return text[:cut].rstrip() + ellipsis
    return text


def wrap(text: str, width: int) -> list[str]:
    """``text`` broken at spaces into lines of at most ``width`` columns; a longer word stands alone, uncut."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and columns(lines[-1]) + 1 + columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def seconds(value: float) -> str:
    """``0.4 s``, ``41.2 s``, ``2 min 05 s``."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """Bytes in decimal units, ``31.2 MB``, as registries and Docker count."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
    return f"{value:.1f} GB"


def split_message(message: str) -> tuple[str, str, str]:
    """``<subject>: <what differs> (got X, expected Y)`` as (what, got, expected); else (message, "", "")."""
    match = re.fullmatch(r"(.*?) \(got (.*), expected (.*)\)", message, re.DOTALL)
    return (match[1], match[2], match[3]) if match else (message, "", "")
