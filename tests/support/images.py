"""A small real image: one tar that is an OCI layout, as the image step writes it."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.model.digests import Digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


class ImageWriter:
    """Collects blobs; ``write`` makes the archive."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def blob(self, content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def manifest(self, architecture: str, content: bytes, labels: dict[str, str] | None = None) -> dict[str, object]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as layer:
            _add(layer, "srv/app.py", content)
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": labels} if labels else {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(buffer.getvalue()).hexdigest()}"]},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(buffer.getvalue(), "application/vnd.oci.image.layer.v1.tar")],
        }
        described = self.blob(json.dumps(document).encode(), MANIFEST)
        return {**described, "platform": {"os": "linux", "architecture": architecture}}

    def write(self, path: Path, image: dict[str, object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image]}
        with tarfile.open(path, "w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", json.dumps(index).encode())
            for digest, content in sorted(self.blobs.items()):
                _add(tar, f"blobs/sha256/{digest}", content)


@dataclass(frozen=True)
class Written:
    """``image`` is the index's digest where there are several platforms; ``platforms`` by architecture."""

    image: Digest
    platforms: dict[str, Digest]


def write_archive(
    path: Path,
    *,
    content: bytes = b"print('hello')\n",
    platforms: tuple[str, ...] = ("amd64",),
    labels: dict[str, str] | None = None,
) -> Written:
    writer = ImageWriter()
    manifests = {platform: writer.manifest(platform, content, labels) for platform in platforms}
    image = manifests[platforms[0]]
    if len(manifests) > 1:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests.values())}
        image = writer.blob(json.dumps(document).encode(), INDEX)
    writer.write(path, image)
    return Written(
        Digest.parse(str(image["digest"])),
        {platform: Digest.parse(str(manifest["digest"])) for platform, manifest in manifests.items()},
    )
