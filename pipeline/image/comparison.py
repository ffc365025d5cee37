"""Two images side by side: what differs, path by path and field by field.

Builders write other bytes for the same files (order, times, compression), so across builders the files and what the
engine is told count; within one builder every byte does.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.image.archive import Archive
from pipeline.image.layer import Entry, Kind, Tree
from pipeline.model.documents import canonical_json

NOTHING = "nothing"
#: What decides how the image runs (OCI image specification 1.1, ``config.md``; the last four are Docker's).
RUN_FIELDS = (
    *("User", "WorkingDir", "Env", "Entrypoint", "Cmd", "ExposedPorts", "Volumes", "StopSignal", "Labels"),
    *("Healthcheck", "Shell", "OnBuild", "StopTimeout"),
)
_SHOWN = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """``place`` is where, ``what`` is which side of it differs; ``expected`` is the first image's, ``got`` the other's.

    ``place`` and the values may hold names out of an image: foreign text.
    """

    place: str
    what: str
    got: str
    expected: str


def compare_files(first: Archive, second: Archive) -> list[Difference]:
    """What a running container could notice: platforms, and for each its files and its configuration.

    Raises CannotEvaluate (``archive.malformed``).
    """
    differences = list(_platforms(first, second))
    for platform in sorted(first.platforms.keys() & second.platforms.keys()):
        differences += compare_trees(first.tree(platform), second.tree(platform), where=platform)
        differences += compare_configs(first.config(platform), second.config(platform), where=platform)
    return differences


def _platforms(first: Archive, second: Archive) -> Iterator[Difference]:
    for platform in sorted(first.platforms.keys() ^ second.platforms.keys()):
        got, expected = (NOTHING, "an image") if platform in first.platforms else ("an image", NOTHING)
        yield Difference(place=platform, what="platform", got=got, expected=expected)


_SIDES: tuple[tuple[str, Callable[[Entry], str]], ...] = (
    ("mode", lambda entry: f"{entry.mode:04o}"),
    ("owner", lambda entry: f"{entry.owner}:{entry.owner if entry.group is None else entry.group}"),
    ("content", lambda entry: _content(entry) if entry.kind is Kind.FILE else ""),
    ("link", lambda entry: entry.target),
)


def compare_trees(first: Tree, second: Tree, *, where: str) -> Iterator[Difference]:
    """By path: type, mode, owner and group, content, target of a link. Times are a builder's own."""
    for path in sorted(first.keys() | second.keys()):
        expected, got = first.get(path), second.get(path)
        if expected == got:
            continue
        place = f"{where} /{path}"
        if expected is None or got is None:
            yield Difference(place=place, what="path", got=_described(got), expected=_described(expected))
        elif expected.kind is not got.kind:
            yield Difference(place=place, what="type", got=got.kind, expected=expected.kind)
        else:
            # A group that is written out and one that is left to the owner are the same.
            sides = ((what, read(got), read(expected)) for what, read in _SIDES)
            yield from (Difference(place=place, what=w, got=g, expected=e) for w, g, e in sides if g != e)


def _content(entry: Entry) -> str:
    return f"sha256:{hashlib.sha256(entry.content).hexdigest()}, {len(entry.content)} bytes"


def _described(entry: Entry | None) -> str:
    return NOTHING if entry is None else f"{entry.kind} {entry.mode:04o}"


def compare_configs(first: Mapping[str, Any], second: Mapping[str, Any], *, where: str) -> Iterator[Difference]:
    """Architecture, system and what the engine is told of how to run it; an empty field and none are the same."""
    fields = [("architecture", first, second), ("os", first, second)]
    inner = [dict(config.get("config") or {}) for config in (first, second)]
    fields += [(name, inner[0], inner[1]) for name in RUN_FIELDS]
    for name, one, other in fields:
        expected, got = _comparable(name, one.get(name)), _comparable(name, other.get(name))
        if expected != got:
            yield Difference(
                place=f"{where} configuration",
                what=name,
                got=_short(got or NOTHING),
                expected=_short(expected or NOTHING),
            )


def _comparable(name: str, value: Any) -> Any:
    # The order of variables with different names says nothing, and builders differ in it.
    return sorted(value) if name == "Env" and isinstance(value, list) else value or None


def compare_bytes(first: Archive, second: Archive) -> list[Difference]:
    """Where two images that are to be the same differ at all: digest, configurations, layers and their compression."""
    if first.digest == second.digest:
        return []
    differences = [Difference(place="image", what="digest", got=second.digest, expected=first.digest)]
    for platform in sorted(first.platforms.keys() & second.platforms.keys()):
        differences += _config_bytes(first.config(platform), second.config(platform), where=platform)
        differences += _layer_bytes(first, second, platform)
    return differences


def _config_bytes(first: Mapping[str, Any], second: Mapping[str, Any], *, where: str) -> Iterator[Difference]:
    """The fields that ``compare_configs`` does not look at, but for the layers' digests, which are told as layers."""
    for name in sorted((first.keys() | second.keys()) - {"architecture", "os", "config", "rootfs"}):
        if first.get(name) != second.get(name):
            got, expected = (_short(config.get(name, NOTHING)) for config in (second, first))
            yield Difference(place=f"{where} configuration", what=name, got=got, expected=expected)


def _layer_bytes(first: Archive, second: Archive, platform: str) -> Iterator[Difference]:
    ones, others = _layers(first, platform), _layers(second, platform)
    if len(ones) != len(others):
        yield Difference(place=platform, what="layers", got=str(len(others)), expected=str(len(ones)))
    for number, (one, other) in enumerate(zip(ones, others, strict=False), 1):
        # Of layers with the same tar only the compression differs.
        for what in ("tar", "compression"):
            if one[what] != other[what]:
                yield Difference(place=f"{platform} layer {number}", what=what, got=other[what], expected=one[what])
                break


def _layers(archive: Archive, platform: str) -> list[dict[str, str]]:
    diff_ids = archive.config(platform)["rootfs"]["diff_ids"]
    digests = [layer["digest"] for layer in archive.manifest(platform)["layers"]]
    return [{"tar": tar, "compression": digest} for tar, digest in zip(diff_ids, digests, strict=True)]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
