"""Bundles for tests of what looks at their form only."""

import base64
import json


def unsigned_bundle(name: str = "one", predicate_type: str = "https://slsa.dev/provenance/v1") -> bytes:
    """A bundle v0.3 that nobody signed."""
    payload = base64.b64encode(json.dumps({"predicateType": predicate_type, "name": name}).encode()).decode()
    document = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {},
        "dsseEnvelope": {"payload": payload, "payloadType": "application/vnd.in-toto+json", "signatures": []},
    }
    return json.dumps(document).encode()
