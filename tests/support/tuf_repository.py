"""A TUF repository with one target, ``trusted_root.json``: how clients of the public Sigstore instance get it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer._crypto_signer import CryptoSigner
from tuf.api._payload import MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import JSONSerializer

ROLES = ("root", "targets", "snapshot", "timestamp")


def write_repository(folder: Path, trusted_root: bytes) -> Path:
    """Metadata in ``folder``, targets below it, each by its digest; returns the file of the first root."""
    signer = CryptoSigner.generate_ecdsa()
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    target = TargetFile.from_data("trusted_root.json", trusted_root, ["sha256"])
    root = Root(expires=expires, consistent_snapshot=True)
    for role in ROLES:
        root.add_key(signer.public_key, role)
    parts: dict[str, Signed] = {
        "1.root.json": root,
        "1.targets.json": Targets(expires=expires, targets={"trusted_root.json": target}),
        "1.snapshot.json": Snapshot(expires=expires, meta={"targets.json": MetaFile(version=1)}),
        "timestamp.json": Timestamp(expires=expires, snapshot_meta=MetaFile(version=1)),
    }
    folder.mkdir(parents=True)
    for name, part in parts.items():
        metadata: Metadata[Any] = Metadata(part)
        metadata.sign(signer)
        metadata.to_file(str(folder / name), JSONSerializer(compact=False))
    stored = folder / "targets" / f"{target.hashes['sha256']}.trusted_root.json"
    stored.parent.mkdir()
    stored.write_bytes(trusted_root)
    return folder / "1.root.json"
