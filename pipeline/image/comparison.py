"""Two images side by side: what differs, path by path and field by field.

Builders write other bytes for the same files (order, times, compression), so across builders the files and what the
engine is told count; within one builder every byte does.
"""

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.image.archive import Archive, read_tree
from pipeline.image.layer import Entry, Kind, Tree, sha256, tar
from pipeline.model.documents import canonical_json, parse_json

NOTHING = "nothing"
#: In which a builder tells when and how it built (OCI image specification 1.1, ``config.md``), and of its layers.
_BUILDERS_OWN = ("created", "history", "rootfs")
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
    if not differences:
        differences += compare_shapes(_index(first), _index(second), where="image index")
    for platform in sorted(first.platforms.keys() & second.platforms.keys()):
        differences += compare_trees(first.tree(platform), second.tree(platform), where=platform)
        differences += compare_configs(first.config(platform), second.config(platform), where=platform)
        differences += compare_shapes(first.manifest(platform), second.manifest(platform), where=platform)
        differences += compare_forms(first, second, platform)
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
    """Every field but those in which each builder tells of itself; an empty field and none are the same.

    Unknown fields count: Go, in which engines are written, takes ``user`` for ``User``.
    """
    sides = [_fields(config) for config in (second, first)]
    for name in sorted(sides[0].keys() | sides[1].keys()):
        got, expected = (side.get(name) for side in sides)
        if got != expected:
            place = f"{where} configuration"
            yield Difference(place=place, what=name, got=_short(got or NOTHING), expected=_short(expected or NOTHING))


def _fields(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = config.get("config") or {}
    outer = {name: value for name, value in config.items() if name not in {*_BUILDERS_OWN, "config"}}
    # The layers themselves were compared as files; what else stands beside them is nobody's.
    rootfs = {f"rootfs.{name}": name for name in config.get("rootfs") or {}}
    return {name: value for name, value in {**inner, **outer, **rootfs}.items() if value}


def compare_shapes(first: Mapping[str, Any], second: Mapping[str, Any], *, where: str) -> Iterator[Difference]:
    """Two manifests or indexes but for digests and sizes: no field, and no platform, that only one of them has."""
    got, expected = _shape(second), _shape(first)
    if got != expected:
        yield Difference(place=where, what="manifest", got=_short(got), expected=_short(expected))


def _shape(value: Any) -> Any:
    if isinstance(value, list):
        shapes = [_shape(item) for item in value]
        # Builders differ in how many layers they make: of those that look alike one is enough.
        return [one for number, one in enumerate(shapes) if not _is_layer(one) or one not in shapes[:number]]
    if isinstance(value, Mapping):
        return {name: name if name in {"digest", "size"} else _shape(item) for name, item in value.items()}
    return value


def _is_layer(shape: Any) -> bool:
    return isinstance(shape, Mapping) and "platform" not in shape


def _index(archive: Archive) -> dict[str, Any]:
    """The index over the platforms' manifests, empty where the image is one manifest."""
    document = parse_json(archive.blob(archive.digest), what="image")
    return document if "manifests" in document else {}


def compare_forms(first: Archive, second: Archive, platform: str) -> Iterator[Difference]:
    """Layers of the first that only it has are written as our builders write them.

    Of a tar that is not, other readers may read other files than ours does: a name told twice, a hidden size.
    """
    shared = set(second.config(platform)["rootfs"]["diff_ids"])
    for number, plain in enumerate(first.layers(platform), 1):
        if sha256(plain) not in shared and not _is_ours(plain):
            yield Difference(
                place=f"{platform} layer {number}",
                what="form",
                got="as the builders write it",
                expected="a tar that others may read otherwise",
            )


def _is_ours(plain: bytes) -> bool:
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as opened:
        first = opened.next()
    try:
        return tar(read_tree(plain), time=int(first.mtime) if first else 0) == plain
    except (ValueError, tarfile.TarError):  # among them a link to what is in a layer below
        return False


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
    """The fields that ``compare_configs`` leaves out; the layers' digests are told as layers."""
    for name in ("created", "history"):
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
