"""The certificate authority: one short-lived certificate for a token and a key, with an embedded SCT."""

import datetime as dt
import struct
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from pipeline.signing.local.claims import ARC, alternative_name, extensions
from pipeline.signing.local.der import octets
from pipeline.signing.local.keys import Keys, key_id

LIFETIME = dt.timedelta(minutes=10)

_SHA256_ECDSA = b"\x04\x03"  # HashAlgorithm, SignatureAlgorithm (RFC 5246, section 7.4.1.4.1)


def certify(
    keys: Keys, claims: Mapping[str, Any], request: x509.CertificateSigningRequest, now: dt.datetime
) -> x509.Certificate:
    """A certificate for the key of ``request`` that names who ``claims`` speak of; ValueError for a bad request.

    The SCT covers the certificate without the SCT itself (RFC 6962, section 3.2), so it is signed twice.
    """
    if not request.is_signature_valid:
        raise ValueError("certificate signing request: signature not valid")
    builder = _builder(keys, claims, request, now)
    timed = builder.sign(keys.intermediate, hashes.SHA256()).tbs_certificate_bytes
    # UnrecognizedExtension takes the encoded value as it is.
    sct_list = x509.UnrecognizedExtension(
        ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, octets(_sct_list(keys, timed, now))
    )
    return builder.add_extension(sct_list, critical=False).sign(keys.intermediate, hashes.SHA256())


def _builder(
    keys: Keys, claims: Mapping[str, Any], request: x509.CertificateSigningRequest, now: dt.datetime
) -> x509.CertificateBuilder:
    public = request.public_key()
    start = now.replace(microsecond=0)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    issuer_key = keys.intermediate.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(keys.intermediate_certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        # Critical because the subject is empty (RFC 5280, section 4.2.1.6).
        .add_extension(x509.SubjectAlternativeName([alternative_name(claims)]), critical=True)
    )
    for number, value in extensions(claims):
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier(f"{ARC}.{number}"), value), critical=False
        )
    return builder


def _sct_list(keys: Keys, timed: bytes, now: dt.datetime) -> bytes:
    """SignedCertificateTimestampList with one SCT (RFC 6962, sections 3.2 and 3.3); ``timed`` is the TBS."""
    milliseconds = int(now.timestamp() * 1000)
    version, certificate_timestamp, precert_entry = 0, 0, 1
    signed = struct.pack("!BBQH", version, certificate_timestamp, milliseconds, precert_entry)
    signed += key_id(keys.intermediate) + len(timed).to_bytes(3, "big") + timed + struct.pack("!H", 0)
    signature = keys.ct.sign(signed, ec.ECDSA(hashes.SHA256()))
    sct = struct.pack("!B", version) + key_id(keys.ct) + struct.pack("!QH", milliseconds, 0)
    sct += _SHA256_ECDSA + _vector(signature)
    return _vector(_vector(sct))


def _vector(content: bytes) -> bytes:
    """A TLS vector with a length of two bytes (RFC 8446, section 3.4)."""
    return struct.pack("!H", len(content)) + content
