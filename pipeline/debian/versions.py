"""The order of Debian versions (Debian policy 5.6.12)."""

import re
from functools import total_ordering


def _weight(character: str) -> int:
    """``~`` sorts before the end of the part, letters before everything else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _key(part: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    # The end of a run of non-digits weighs 0, which stands after ~ and before every letter.
    pairs = re.findall(r"(\D*)(\d*)", part)
    return tuple(((*(_weight(c) for c in text), 0), int(digits or 0)) for text, digits in pairs)


@total_ordering
class DebianVersion:
    """``[epoch:]upstream[-revision]``; ValueError for an epoch that is no number."""

    def __init__(self, text: str) -> None:
        epoch, colon, rest = text.partition(":")
        if not colon:
            epoch, rest = "0", text
        upstream, dash, revision = rest.rpartition("-")
        if not dash:
            upstream, revision = rest, "0"
        self._order = (int(epoch), _key(upstream), _key(revision))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebianVersion) and self._order == other._order

    def __lt__(self, other: "DebianVersion") -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)
