"""Debian control data: stanzas of ``Field: value`` lines (deb822(5)), and the relations between packages."""

import re
from collections.abc import Iterator

Stanza = dict[str, str]


def stanzas(text: str) -> Iterator[Stanza]:
    """Each paragraph as a dict; continuation lines keep their line break. ValueError for a line that is neither."""
    current: Stanza = {}
    field = ""
    for line in text.splitlines():
        if not line.strip():
            if current:
                yield current
            current, field = {}, ""
        elif line.startswith("#"):
            continue
        elif line[0] in " \t":
            if not field:
                raise ValueError(f"continuation without a field (got {line[:80]!r})")
            current[field] += "\n" + line.strip()
        else:
            field, colon, value = line.partition(":")
            if not colon or field in current:
                raise ValueError(f"neither a new field nor its continuation (got {line[:80]!r})")
            current[field] = value.strip()
    if current:
        yield current


def alternatives(relations: str) -> list[list[str]]:
    """``a (>= 1) | b, c`` as ``[["a", "b"], ["c"]]``: names only (Debian policy 7.1)."""
    groups = (group.split("|") for group in relations.replace("\n", " ").split(",") if group.strip())
    return [[re.split(r"[\s(:\[<]", name.strip(), maxsplit=1)[0] for name in group] for group in groups]
