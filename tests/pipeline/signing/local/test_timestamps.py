import datetime as dt
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization as encoding
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import TimestampRequestBuilder, VerificationError, VerifierBuilder, decode_timestamp_response
from rfc3161_client.base import HashAlgorithm

from pipeline.signing.local import der, timestamps

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


def request(content=b"signature", *, nonce=True, algorithm=HashAlgorithm.SHA256):
    builder = TimestampRequestBuilder().hash_algorithm(algorithm).data(content)
    return builder.nonce(nonce=nonce).build().as_bytes()


@pytest.fixture(scope="session")
def verifier(keys):
    builder = VerifierBuilder().tsa_certificate(keys.tsa_certificate)
    return builder.add_root_certificate(keys.tsa_root_certificate).build()


@pytest.mark.parametrize("nonce", [True, False])
def test_a_stamp_verifies_and_names_the_time(keys, verifier, nonce):
    response = decode_timestamp_response(timestamps.stamp(keys, request(nonce=nonce), NOW))
    assert verifier.verify_message(response, b"signature")
    assert response.tst_info.gen_time == NOW


def test_a_stamp_answers_the_nonce(keys):
    asked = request()
    nonce = next(content for tag, content in der.elements(der.read(asked)[1])[2:] if tag == der.INTEGER)
    response = decode_timestamp_response(timestamps.stamp(keys, asked, NOW))
    assert response.tst_info.nonce == int.from_bytes(nonce, "big")


def test_a_stamp_is_of_its_message_only(keys, verifier):
    response = decode_timestamp_response(timestamps.stamp(keys, request(b"one"), NOW))
    with pytest.raises(VerificationError):
        verifier.verify_message(response, b"another")


def test_another_hash_is_refused(keys):
    with pytest.raises(ValueError, match="not a SHA-256 imprint"):
        timestamps.stamp(keys, request(algorithm=HashAlgorithm.SHA512), NOW)


@given(content=st.binary(max_size=60))
def test_foreign_bytes_are_refused_never_worse(content, keys):
    with pytest.raises(ValueError, match=r"timestamp request|der|unpack"):
        timestamps.stamp(keys, content, NOW)


@given(place=st.integers(0, 58), bit=st.integers(0, 7))
def test_a_changed_request_is_answered_as_asked_or_refused(place, bit, keys):
    content = bytearray(request())
    content[place % len(content)] ^= 1 << bit
    try:
        answer = timestamps.stamp(keys, bytes(content), NOW)
    except ValueError:
        return
    assert decode_timestamp_response(answer).status == 0


@pytest.mark.interop
def test_openssl_accepts_a_stamp_and_refuses_one_of_other_data(keys, tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine")
    pem = encoding.Encoding.PEM
    (tmp_path / "root.pem").write_bytes(keys.tsa_root_certificate.public_bytes(pem))
    (tmp_path / "tsa.pem").write_bytes(keys.tsa_certificate.public_bytes(pem))
    (tmp_path / "data").write_bytes(b"signature")
    (tmp_path / "other").write_bytes(b"something else")
    (tmp_path / "reply.tsr").write_bytes(timestamps.stamp(keys, request(), dt.datetime.now(dt.UTC)))

    def verify(data):
        command = [openssl, "ts", "-verify", "-data", data, "-in", "reply.tsr", "-CAfile", "root.pem"]
        command += ["-untrusted", "tsa.pem"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert verify("data") == 0
    assert verify("other") != 0
