"""The transparency log, as Rekor v1 (``dsse`` entries) and v2 (``hashedrekord`` of rekor-tiles) answer."""

import base64
import datetime as dt
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as encoding
from cryptography.hazmat.primitives.asymmetric import ec, utils

from pipeline.signing.local.entries import Entries
from pipeline.signing.local.keys import Keys, key_id
from pipeline.signing.local.merkle import Tree, leaf_hash

#: Names, not addresses: they stand in the trusted root, which must not change with the port. Verifiers take
#: the origin of v2's checkpoints from the host name in it.
ORIGIN_V1 = "rekor-v1.local.gatehouse.invalid"
ORIGIN_V2 = "rekor-v2.local.gatehouse.invalid"

_TREE_ID = 1


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def log_id_v2(keys: Keys) -> bytes:
    """The key id of a signed note (c2sp.org/signed-note, "Verifier keys"), not cut to four bytes."""
    raw = keys.rekor_v2.public_key().public_bytes(encoding.Encoding.Raw, encoding.PublicFormat.Raw)
    return sha256(f"{ORIGIN_V2}\n".encode() + b"\x01" + raw).digest()


def checkpoint(origin: str, name: str, size: int, root: bytes, key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """A signed tree head (c2sp.org/tlog-checkpoint) in a signed note (c2sp.org/signed-note)."""
    note = f"{origin}\n{size}\n{b64(root)}\n"
    return f"{note}\n\N{EM DASH} {name} {b64(key[:4] + sign(note.encode()))}\n"


def check_signature(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    """Hold an ECDSA signature against a SHA-256 digest; ValueError where it is of something else."""
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError("log entry: not an ECDSA key")  # noqa: TRY004 - foreign input, not a programming error
    try:
        public.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        raise ValueError("log entry: signature not valid") from None


def dsse_digest(envelope: dict[str, Any]) -> bytes:
    """SHA-256 of DSSE's pre-authentication encoding."""
    payload_type, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    encoded = b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)
    return sha256(encoded).digest()


class RekorV1:
    """``POST /api/v1/log/entries``."""

    def __init__(self, keys: Keys, entries: Entries) -> None:
        self._keys, self._entries = keys, entries

    def add(self, request: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
        """Take a ``dsse`` entry (rekor, ``pkg/types/dsse/v0.0.1``) and prove its inclusion; ValueError if bad."""
        if request["kind"] != "dsse" or request["apiVersion"] != "0.0.1":
            raise ValueError("log entry: only dsse 0.0.1 is taken")
        body = rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": self._spec(request["spec"])})
        return self._entries.append(body, lambda tree, index: self._answer(tree, index, body, now))

    def _spec(self, spec: dict[str, Any]) -> dict[str, Any]:
        proposed = spec["proposedContent"]
        text, verifiers = proposed["envelope"], proposed["verifiers"]
        envelope = json.loads(text)
        (signature,), (verifier,) = envelope["signatures"], verifiers
        certificate = x509.load_pem_x509_certificate(base64.b64decode(verifier))
        check_signature(certificate, base64.b64decode(signature["sig"]), dsse_digest(envelope))
        return {
            "envelopeHash": {"algorithm": "sha256", "value": sha256(text.encode()).hexdigest()},
            "payloadHash": {
                "algorithm": "sha256",
                "value": sha256(base64.b64decode(envelope["payload"])).hexdigest(),
            },
            "signatures": [{"signature": signature["sig"], "verifier": verifier}],
        }

    def _answer(self, tree: Tree, index: int, body: bytes, now: dt.datetime) -> dict[str, Any]:
        size, log_id = index + 1, key_id(self._keys.rekor_v1)
        entry: dict[str, Any] = {
            "body": b64(body),
            "integratedTime": int(now.timestamp()),
            "logID": log_id.hex(),
            "logIndex": index,
        }
        root = tree.root(size)
        head = checkpoint(f"{ORIGIN_V1} - {_TREE_ID}", ORIGIN_V1, size, root, log_id, self._sign)
        proof = {
            "logIndex": index,
            "treeSize": size,
            "rootHash": root.hex(),
            "hashes": [node.hex() for node in tree.inclusion_proof(index, size)],
            "checkpoint": head,
        }
        promise = b64(self._sign(rfc8785.dumps(entry)))
        verification = {"signedEntryTimestamp": promise, "inclusionProof": proof}
        return {leaf_hash(body).hex(): {**entry, "verification": verification}}

    def _sign(self, content: bytes) -> bytes:
        return self._keys.rekor_v1.sign(content, ec.ECDSA(hashes.SHA256()))


class RekorV2:
    """``POST /api/v2/log/entries``."""

    def __init__(self, keys: Keys, entries: Entries) -> None:
        self._keys, self._entries, self._log_id = keys, entries, log_id_v2(keys)

    def add(self, request: dict[str, Any], _now: dt.datetime) -> dict[str, Any]:
        """Take a ``hashedRekordRequestV002`` (rekor-tiles, ``docs/openapi``) and prove it; ValueError if bad."""
        asked = request["hashedRekordRequestV002"]
        signature = asked["signature"]
        certificate = x509.load_der_x509_certificate(
            base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"])
        )
        check_signature(certificate, base64.b64decode(signature["content"]), base64.b64decode(asked["digest"]))
        record = {"data": {"algorithm": "SHA2_256", "digest": asked["digest"]}, "signature": signature}
        body = rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": record}})
        return self._entries.append(body, lambda tree, index: self._answer(tree, index, body))

    def _answer(self, tree: Tree, index: int, body: bytes) -> dict[str, Any]:
        size = index + 1
        root = tree.root(size)
        head = checkpoint(ORIGIN_V2, ORIGIN_V2, size, root, self._log_id, self._keys.rekor_v2.sign)
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self._log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {
                "logIndex": str(index),
                "treeSize": str(size),
                "rootHash": b64(root),
                # An empty list has to be there: clients' models are strict.
                "hashes": [b64(node) for node in tree.inclusion_proof(index, size)],
                "checkpoint": {"envelope": head},
            },
            "canonicalizedBody": b64(body),
        }
