"""A base that somebody else made, named by digest: its layers as ours, and where its Python looks for packages."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.image.archive import gunzip
from pipeline.image.dockerfile import NAME
from pipeline.image.layer import Kind, Packed, Tree, compress, sha256
from pipeline.model.errors import Refused

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]*(?::\d{1,5})?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@(?P<digest>sha256:[0-9a-f]{64})"
)
_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image by digest. ``address`` is ``host/repository``; a tag beside a digest says nothing and is left out."""

    address: str
    digest: str

    def __str__(self) -> str:
        return f"{self.address}@{self.digest}"


@dataclass(frozen=True, slots=True)
class ForeignImage:
    """One platform's image as its registry has it, every blob held against its digest already.

    ``layers`` are (media type, content), base first; ``digest`` is the platform's manifest's.
    """

    reference: Reference
    digest: str
    config: Mapping[str, Any]
    layers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """``version`` is ``3.13``; ``packages`` the folder on its path for what is installed beside it."""

    version: str
    packages: str


def read_reference(text: str) -> Reference:
    """``name[:tag]@sha256:...`` as engines read it; raises Refused (``dockerfile.base-without-digest``)."""
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise Refused(
            "dockerfile.base-without-digest",
            f"{NAME}: FROM a base without a digest (got {text[:300]}, expected ${{BASE_IMAGE}} or name@sha256:...)",
            fix="write `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`, or name the image by its digest",
        )
    host, separator, path = match["name"].partition("/")
    if separator and ("." in host or ":" in host or host == "localhost"):
        return Reference(f"{host}/{path}", match["digest"])
    # Docker's own reading of names without a host (reference.go, "ParseNormalizedNamed").
    return Reference(f"{_HUB}/{match['name'] if separator else 'library/' + match['name']}", match["digest"])


def read_layers(image: ForeignImage) -> list[Packed]:
    """Its layers, compressed as they are where that is gzip; raises Refused (``base.layer``)."""
    diff_ids = image.config.get("rootfs", {}).get("diff_ids", [])
    if len(diff_ids) != len(image.layers):
        raise unsound(image.reference, f"{len(image.layers)} layers", f"{len(diff_ids)}, as its configuration says")
    return [
        _read_layer(image.reference, *layer, diff_id) for layer, diff_id in zip(image.layers, diff_ids, strict=True)
    ]


def _read_layer(reference: Reference, media_type: str, content: bytes, diff_id: str) -> Packed:
    if media_type.endswith("gzip"):
        try:
            plain, packed = gunzip(content), content
        except (ValueError, zlib.error) as error:
            raise unsound(reference, f"a layer: {error}", "one gzip stream") from error
    elif media_type.endswith("tar"):
        plain, packed = content, compress(content)
    else:
        raise unsound(reference, f"a layer of type {media_type[:100]}", "a tar, gzipped or plain")
    if sha256(plain) != diff_id:
        raise unsound(reference, f"a layer of content {sha256(plain)}", f"{diff_id}, as its configuration says")
    return Packed(packed, sha256(packed), diff_id)


def unsound(reference: Reference, got: str, expected: str) -> Refused:
    """``base.layer``: the image was fetched whole, and nothing can stand on it."""
    return Refused(
        "base.layer",
        f"{reference}: not a base to build on (got {got}, expected {expected})",
        fix="take another image, or copy this one with `skopeo copy --format oci`, which compresses its layers anew",
    )


def find_interpreter(tree: Tree, reference: Reference) -> Interpreter:
    """The base's one Python; raises Refused (``base.python``) where it has none or several."""
    found = sorted(
        match.groups()
        for path, entry in tree.items()
        if entry.kind is Kind.FILE and (match := re.fullmatch(r"usr/((?:local/)?)bin/python(3\.\d+)", path))
    )
    if len(found) != 1:
        names = ", ".join(f"/usr/{prefix}bin/python{version}" for prefix, version in found) or "none"
        raise Refused(
            "base.python",
            f"{reference}: which Python runs the service is not clear (got {names}, expected one in /usr/bin or "
            "/usr/local/bin)",
            fix="take a base with one Python 3",
        )
    prefix, version = found[0]
    if prefix:
        return Interpreter(version, f"usr/local/lib/python{version}/site-packages")
    # Debian's own Python keeps what is not Debian's apart (Debian Python policy, "Paths").
    place = (
        f"usr/local/lib/python{version}/dist-packages" if _is_debian(tree) else f"usr/lib/python{version}/site-packages"
    )
    return Interpreter(version, place)


def _is_debian(tree: Tree) -> bool:
    """By os-release(5), whose first place may be a link to the second."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        entry = tree.get(path)
        if entry is not None and entry.kind is Kind.FILE:
            lines = entry.content.decode("utf-8", "replace").splitlines()
            words = [
                word for line in lines if line.startswith(("ID=", "ID_LIKE=")) for word in re.findall(r"\w+", line)
            ]
            return "debian" in words
    return False
