"""One file that holds a release and all that a verdict about it needs: image, evidence, trust roots, policy.

It is an OCI layout in a tar (image specification, ``image-layout.md``), which skopeo and oras read, with ours beside
it below ``gatehouse/``. The same content gives the same bytes, whenever and wherever it is written.
"""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.files import sha256_file, writing
from pipeline.gate.gathering import read_image, root_files
from pipeline.gate.policy import load_policy, policy_digest, policy_files
from pipeline.model.context import Sha256Hex
from pipeline.model.digests import Digest
from pipeline.model.documents import Document, canonical_json
from pipeline.store.archived import parts
from pipeline.store.interface import INDEX, Descriptor, Readable
from pipeline.store.layout import REF_NAME

FORMAT = "gatehouse-export/1"
ABOUT = "gatehouse/export.json"
POLICY = "gatehouse/policy/"
TRUST = "gatehouse/trust/"
#: The image's tag in the file, so that tools which want a name have one.
TAG = "image"


class About(Document):
    """``gatehouse/export.json``: what the file says of itself. Nothing that it says is believed."""

    format: str
    image: str
    policy: Sha256Hex
    trust_roots: dict[str, Sha256Hex]


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a receiver should be told by another way than the file: digests of policy, trust roots and the file."""

    path: Path
    sha256: str
    size: int
    image: Digest
    referrers: int
    policy: str
    trust_roots: Mapping[str, str]


def write_export(store: Readable, reference: str, policies: Path, state: Path, target: Path) -> Written:
    """Write what ``reference`` is in ``store``, with everything that refers to it, the policy and the trust roots.

    Raises CannotEvaluate and Refused (``policy.*``, ``store.*``, ``registry.*``, ``files.*``), and leaves no
    half-written file.
    """
    load_policy(policies)  # whatever else the folder is, it is no policy
    image, _ = read_image(store, reference)
    referrers = sorted(store.referrers(image.digest), key=lambda one: one.digest)
    blobs = {part.digest: part for one in (image, *referrers) for part in parts(store, one)}
    roots = {name: path.read_bytes() for name, path in root_files(policies, state).items()}
    about = About(
        format=FORMAT,
        image=str(image.digest),
        policy=policy_digest(policies),
        trust_roots={name: Digest.of(content).hex for name, content in roots.items()},
    )
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _index(image, referrers),
        ABOUT: canonical_json(about.model_dump(mode="json")),
        **{f"{TRUST}{name}.json": content for name, content in roots.items()},
        **{f"{POLICY}{name}": path.read_bytes() for name, path in policy_files(policies).items()},
    }
    _write(target, files, blobs, store)
    return Written(
        path=target,
        sha256=sha256_file(target),
        size=target.stat().st_size,
        image=image.digest,
        referrers=len(referrers),
        policy=about.policy,
        trust_roots=about.trust_roots,
    )


def _index(image: Descriptor, referrers: list[Descriptor]) -> bytes:
    """The image under its tag, then the referrers untagged, as ``oras cp --to-oci-layout`` lists them."""
    named = Descriptor(image.media_type, image.digest, image.size, None, {REF_NAME: TAG})
    entries = [entry.to_json() for entry in (named, *referrers)]
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def _write(target: Path, files: Mapping[str, bytes], blobs: Mapping[Digest, Descriptor], store: Readable) -> None:
    """A tar without times, owners and modes of its own, its members in the order of their names."""
    with writing(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for digest, blob in sorted(blobs.items()):
            with store.open_blob(blob) as content:
                _add(tar, f"blobs/sha256/{digest.hex}", content, blob.size)
        for name, data in sorted(files.items()):
            _add(tar, name, io.BytesIO(data), len(data))


def _add(tar: tarfile.TarFile, name: str, content: BinaryIO, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    tar.addfile(member, content)
