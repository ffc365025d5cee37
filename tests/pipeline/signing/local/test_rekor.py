import base64
import datetime as dt
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as encoding
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.local.authority import certify
from pipeline.signing.local.entries import Entries
from pipeline.signing.local.rekor import ORIGIN_V1, ORIGIN_V2, RekorV1, RekorV2, b64, dsse_digest

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def certificate(keys, key):
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return certify(keys, {"iss": "https://i", "sub": "https://s"}, request, NOW)


def v1_request(key, certificate, payload=b"{}", **changes):
    envelope: dict[str, Any] = {"payload": b64(payload), "payloadType": "application/vnd.in-toto+json"}
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    envelope["signatures"] = [{"sig": b64(key.sign(signed, ec.ECDSA(hashes.SHA256())))}]
    envelope |= changes
    verifier = b64(certificate.public_bytes(encoding.Encoding.PEM))
    content = {"envelope": json.dumps(envelope), "verifiers": [verifier]}
    return {"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": content}}


def v2_request(key, certificate, signed=b"{}"):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"{}")
    verifier = {
        "x509Certificate": {"rawBytes": b64(certificate.public_bytes(encoding.Encoding.DER))},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    signature = {"content": b64(key.sign(signed, ec.ECDSA(hashes.SHA256()))), "verifier": verifier}
    return {"hashedRekordRequestV002": {"digest": b64(digest.finalize()), "signature": signature}}


def test_the_digest_is_that_of_the_dsse_specification():
    # The example of secure-systems-lab/dsse, protocol.md.
    envelope: dict[str, Any] = {"payload": b64(b"hello world"), "payloadType": "http://example.com/HelloWorld"}
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"DSSEv1 29 http://example.com/HelloWorld 11 hello world")
    assert dsse_digest(envelope) == digest.finalize()


def test_v1_answers_with_the_entry_its_time_and_its_proof(keys, key, certificate, tmp_path):
    log = RekorV1(keys, Entries(tmp_path / "log"))
    log.add(v1_request(key, certificate), NOW)
    (answer,) = log.add(v1_request(key, certificate), NOW).values()
    assert (answer["logIndex"], answer["integratedTime"]) == (1, int(NOW.timestamp()))
    assert json.loads(base64.b64decode(answer["body"]))["kind"] == "dsse"
    proof = answer["verification"]["inclusionProof"]
    assert (proof["treeSize"], len(proof["hashes"])) == (2, 1)
    assert proof["checkpoint"].startswith(f"{ORIGIN_V1} - 1\n2\n")


def test_v2_answers_with_an_origin_that_is_the_bare_host_name(keys, key, certificate, tmp_path):
    answer = RekorV2(keys, Entries(tmp_path / "log")).add(v2_request(key, certificate), NOW)
    assert answer["inclusionProof"]["hashes"] == []
    assert answer["inclusionProof"]["checkpoint"]["envelope"].startswith(f"{ORIGIN_V2}\n1\n")


def test_v1_takes_no_signature_over_something_else(keys, key, certificate, tmp_path):
    log = RekorV1(keys, Entries(tmp_path / "log"))
    with pytest.raises(ValueError, match="signature not valid"):
        log.add(v1_request(key, certificate, payload=b"{}", payloadType="text/plain"), NOW)
    assert (tmp_path / "log").read_bytes() == b""


def test_v2_takes_no_signature_over_something_else(keys, key, certificate, tmp_path):
    log = RekorV2(keys, Entries(tmp_path / "log"))
    with pytest.raises(ValueError, match="signature not valid"):
        log.add(v2_request(key, certificate, signed=b"other"), NOW)
    assert (tmp_path / "log").read_bytes() == b""


def test_v1_takes_no_other_kind(keys, tmp_path):
    with pytest.raises(ValueError, match=r"only dsse 0\.0\.1"):
        RekorV1(keys, Entries(tmp_path / "log")).add({"kind": "rpm", "apiVersion": "0.0.1", "spec": {}}, NOW)
