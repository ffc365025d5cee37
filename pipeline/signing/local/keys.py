"""The instance's keys and CA certificates: one file, made once, written whole."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as encoding
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from pipeline.files import write_atomic
from pipeline.signing.local.state import damaged, read_secret

FILE = "keys.json"
LIFETIME = dt.timedelta(days=3650)

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_EC_KEYS = ("oidc", "root", "intermediate", "ct", "tsa-root", "tsa", "rekor-v1")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Everything secret, and the certificates that belong to it."""

    oidc: ec.EllipticCurvePrivateKey
    root: ec.EllipticCurvePrivateKey
    intermediate: ec.EllipticCurvePrivateKey
    ct: ec.EllipticCurvePrivateKey
    tsa_root: ec.EllipticCurvePrivateKey
    tsa: ec.EllipticCurvePrivateKey
    rekor_v1: ec.EllipticCurvePrivateKey
    rekor_v2: ed25519.Ed25519PrivateKey
    root_certificate: x509.Certificate
    intermediate_certificate: x509.Certificate
    tsa_root_certificate: x509.Certificate
    tsa_certificate: x509.Certificate

    @property
    def start(self) -> dt.datetime:
        """Since when all of it is valid."""
        return self.root_certificate.not_valid_before_utc


def spki(key: PrivateKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(encoding.Encoding.DER, encoding.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PrivateKey) -> bytes:
    """The log id of RFC 6962, section 3.2: SHA-256 of the public key."""
    return sha256(spki(key)).digest()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(encoding.Encoding.DER)


def load_or_create(folder: Path, now: dt.datetime) -> Keys:
    """The keys in ``folder``, made and stored on first use. The caller holds the folder's lock.

    Raises Misuse (``state.keys-exposed``), CannotEvaluate (``state.*``, ``files.*``).
    """
    path = folder / FILE
    content = read_secret(path)
    if content is None:
        content = _create(now)
        write_atomic(path, content, mode=0o600)
    try:
        return _load(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        # The parser's own words could hold a piece of a key.
        raise damaged(path, f"{type(error).__name__} while reading it") from None


def _load(stored: Mapping[str, Mapping[str, str]]) -> Keys:
    keys = {name: encoding.load_pem_private_key(pem.encode(), None) for name, pem in stored["keys"].items()}
    certificates = {name: x509.load_pem_x509_certificate(pem.encode()) for name, pem in stored["certificates"].items()}
    ec_keys = {name: key for name in _EC_KEYS if isinstance(key := keys[name], ec.EllipticCurvePrivateKey)}
    rekor_v2 = keys["rekor-v2"]
    if not isinstance(rekor_v2, ed25519.Ed25519PrivateKey):
        raise TypeError("rekor-v2 is not an Ed25519 key")
    for name, certificate in certificates.items():
        if certificate.public_key() != ec_keys[name].public_key():
            raise ValueError(f"certificate of another key: {name}")
    return Keys(
        oidc=ec_keys["oidc"],
        root=ec_keys["root"],
        intermediate=ec_keys["intermediate"],
        ct=ec_keys["ct"],
        tsa_root=ec_keys["tsa-root"],
        tsa=ec_keys["tsa"],
        rekor_v1=ec_keys["rekor-v1"],
        rekor_v2=rekor_v2,
        root_certificate=certificates["root"],
        intermediate_certificate=certificates["intermediate"],
        tsa_root_certificate=certificates["tsa-root"],
        tsa_certificate=certificates["tsa"],
    )


def _create(now: dt.datetime) -> bytes:
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in _EC_KEYS}
    # validFor.start must lie in the past when the first signature is made.
    start = now.replace(microsecond=0) - dt.timedelta(minutes=1)
    code_signing, time_stamping = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.TIME_STAMPING
    certificates = {
        "root": _certify(keys, "root", "root", start, ca=True, purpose=None),
        "intermediate": _certify(keys, "intermediate", "root", start, ca=True, purpose=code_signing),
        "tsa-root": _certify(keys, "tsa-root", "tsa-root", start, ca=True, purpose=None),
        "tsa": _certify(keys, "tsa", "tsa-root", start, ca=False, purpose=time_stamping),
    }
    every: dict[str, PrivateKey] = {**keys, "rekor-v2": ed25519.Ed25519PrivateKey.generate()}
    stored = {
        "keys": {name: _private_pem(key) for name, key in every.items()},
        "certificates": {
            name: certificate.public_bytes(encoding.Encoding.PEM).decode() for name, certificate in certificates.items()
        },
    }
    return json.dumps(stored, indent=1).encode()


def _private_pem(key: PrivateKey) -> str:
    return key.private_bytes(encoding.Encoding.PEM, encoding.PrivateFormat.PKCS8, encoding.NoEncryption()).decode()


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Gatehouse local instance"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certify(
    keys: Mapping[str, ec.EllipticCurvePrivateKey],
    name: str,
    issuer: str,
    start: dt.datetime,
    *,
    ca: bool,
    purpose: ObjectIdentifier | None,
) -> x509.Certificate:
    path_length = (1 if name == issuer else 0) if ca else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(keys[name].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        .add_extension(_key_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[issuer].public_key()), critical=False)
    )
    if purpose:
        # RFC 3161, section 2.3: the purpose of a timestamp authority's certificate is critical.
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=not ca)
    return builder.sign(keys[issuer], hashes.SHA256())


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
