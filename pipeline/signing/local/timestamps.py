"""The timestamp authority (RFC 3161) with a CMS signature (RFC 5652)."""

import datetime as dt
import secrets
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.local import der
from pipeline.signing.local.keys import Keys
from pipeline.signing.local.keys import der as der_of

POLICY = "1.3.6.1.4.1.57264.2"
ACCURACY_SECONDS = 1

_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_SHA256_OID = der.elements(der.read(_SHA256)[1])[0][1]


def stamp(keys: Keys, request: bytes, now: dt.datetime) -> bytes:
    """TimeStampResp for a TimeStampReq (sections 2.4.1 and 2.4.2); ValueError for what it does not answer."""
    imprint, nonce, wants_certificate = _read_request(request)
    info = _tst_info(imprint, nonce, now)
    certificates = [der.encode(0xA0, der_of(keys.tsa_certificate))] if wants_certificate else []
    signed_data = der.sequence(
        der.integer(3),
        der.set_of(_SHA256),
        der.sequence(_TST_INFO, der.encode(0xA0, der.octets(info))),
        *certificates,
        der.set_of(_signer_info(keys, info, now)),
    )
    granted = der.sequence(der.integer(0))
    return der.sequence(granted, der.sequence(_SIGNED_DATA, der.encode(0xA0, signed_data)))


def _read_request(request: bytes) -> tuple[bytes, bytes | None, bool]:
    """The message imprint (encoded), the nonce (encoded) if any, and whether the certificate is asked for."""
    tag, body, rest = der.read(request)
    if tag != der.SEQUENCE or rest:
        raise ValueError("timestamp request: not one SEQUENCE")
    version, imprint, *optional = der.elements(body)
    if version != (der.INTEGER, b"\x01") or imprint[0] != der.SEQUENCE:
        raise ValueError("timestamp request: not version 1")
    algorithm, hashed = der.elements(imprint[1])
    if der.elements(algorithm[1])[0][1] != _SHA256_OID or hashed[0] != der.OCTET_STRING or len(hashed[1]) != 32:
        raise ValueError("timestamp request: not a SHA-256 imprint")
    nonces = [der.encode(tag, content) for tag, content in optional if tag == der.INTEGER]
    return (
        der.sequence(imprint[1]),
        nonces[0] if nonces else None,
        (der.BOOLEAN, b"\xff") in optional,
    )


def _tst_info(imprint: bytes, nonce: bytes | None, now: dt.datetime) -> bytes:
    return der.sequence(
        der.integer(1),
        der.oid(POLICY),
        imprint,
        der.integer(secrets.randbits(63)),
        der.encode(0x18, now.strftime("%Y%m%d%H%M%SZ").encode()),
        der.sequence(der.integer(ACCURACY_SECONDS)),
        *([nonce] if nonce else []),
    )


def _signer_info(keys: Keys, info: bytes, now: dt.datetime) -> bytes:
    certificate = keys.tsa_certificate
    certificate_id = der.sequence(der.octets(sha256(der_of(certificate)).digest()))
    attributes = (
        _attribute("1.2.840.113549.1.9.3", _TST_INFO),  # content-type
        _attribute("1.2.840.113549.1.9.5", der.encode(0x17, now.strftime("%y%m%d%H%M%SZ").encode())),  # signing-time
        _attribute("1.2.840.113549.1.9.4", der.octets(sha256(info).digest())),  # message-digest
        # signing-certificate-v2, required by RFC 5816
        _attribute("1.2.840.113549.1.9.16.2.47", der.sequence(der.sequence(certificate_id))),
    )
    # Signed as a SET OF, sent under [0] with the same order (RFC 5652, section 5.4).
    signature = keys.tsa.sign(der.set_of(*attributes), ec.ECDSA(hashes.SHA256()))
    return der.sequence(
        der.integer(1),
        der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number)),
        _SHA256,
        der.encode(0xA0, *sorted(attributes)),
        _ECDSA_SHA256,
        der.octets(signature),
    )


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))
