"""One sigstore bundle held against trust roots: who signed which statement, and when.

Everything that sigstore-python leaves to its caller is done here: the payload type, the strict statement,
the choice of the root, and an end to whatever a parser of foreign bytes may raise.
"""

import copy
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sigstore._internal.timestamp import TimestampVerificationResult
from sigstore._internal.trust import CertificateAuthority, CTKeyring, KeyringPurpose, RekorKeyring
from sigstore.errors import VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify.verifier import Verifier

from pipeline.gate.identity import FOREIGN, Identity, Verified
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, PAYLOAD_TYPE
from pipeline.model.statement import parse_statement

# NOTE: importing sigstore takes half of the time that a run of the gate may take. Import this module late.

MAX_BUNDLE_BYTES = 16 * 1024 * 1024

_NEW_EVIDENCE = "attach the bundle as it was signed, or make the evidence again with `scripts/pipeline`"

#: What sigstore-python 4 says, to our code. The first that occurs in its message counts.
_CODES = (
    ("SCT", "bundle.certificate"),
    ("certificate chain", "bundle.certificate"),
    ("Key usage", "bundle.certificate"),
    ("Extended usage", "bundle.certificate"),
    ("expired at time of signing", "bundle.time"),
    ("verified time", "bundle.time"),
    ("imestamp", "bundle.time"),
    ("Integrated time", "bundle.time"),
    ("log entry", "bundle.log"),
    ("inclusion", "bundle.log"),
    ("invalid signature", "bundle.signature"),
)
#: Fulcio's extensions (fulcio ``docs/oid-info.md``) below this arc, to the field that holds them.
_ARC = "1.3.6.1.4.1.57264.1"
_EXTENSIONS = {
    8: "issuer",
    9: "workflow",
    10: "workflow_digest",
    11: "runner",
    12: "repository",
    13: "commit",
    14: "ref",
    18: "caller",
    19: "caller_digest",
    20: "trigger",
    21: "run",
    22: "visibility",
}
_PARTS = {
    "bundle.certificate": "certificate chain with its SCT",
    "bundle.time": "time of signing inside the certificate's life",
    "bundle.log": "entry in the transparency log for these bytes",
    "bundle.signature": "signature over the statement",
    "bundle.unverified": "bundle",
}


def verify_bundle(bundle: bytes, roots: Mapping[str, TrustedRoot]) -> Verified:
    """Verify ``bundle`` against whichever of ``roots`` issued its certificate.

    1. size, JSON without duplicate keys, bundle v0.3;
    2. the root whose authority issued the leaf (none: ``bundle.root``);
    3. time, chain, SCT, log inclusion, signature (``bundle.time``, ``.certificate``, ``.log``, ``.signature``);
    4. payload type (``bundle.payload-type``) and the statement (``document.*``);
    5. the signer's identity (``bundle.identity``).

    Raises Refused where a check said no, CannotEvaluate where the bytes cannot be read (``bundle.malformed``,
    ``bundle.too-large``, ``document.*``), and nothing else.
    """
    digest = hashlib.sha256(bundle).hexdigest()
    what = f"bundle {digest[:12]}"
    try:
        parsed = _parse(bundle, what)  # 1
        name = _root_of(parsed.signing_certificate, roots, what)  # 2
        verifier = copy.copy(_verifier(roots[name]))
        payload_type, payload = _verify(verifier, parsed, what)  # 3
        _check_payload_type(payload_type, what)  # 4
        return Verified(
            statement=parse_statement(payload),
            identity=_identity(parsed.signing_certificate, what),  # 5
            verified_at=verifier.earliest,
            root=name,
            bundle_digest=digest,
        )
    except GatehouseError:
        raise
    except Exception as error:
        # NOTE: sigstore, cryptography and pydantic raise plain Exceptions, TypeErrors and AttributeErrors on some
        # foreign bytes (`ExpiredCertificate` is a bare Exception). Whatever it was, the bundle proves nothing.
        raise _malformed(what, error) from error


def _check_payload_type(payload_type: str, what: str) -> None:
    if payload_type != PAYLOAD_TYPE:
        raise Refused(
            "bundle.payload-type",
            f"{what}: signs something else than a statement (got {payload_type!r:.80}, expected {PAYLOAD_TYPE!r})",
            fix="attach in-toto statements only",
        )


def _parse(bundle: bytes, what: str) -> Bundle:
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise CannotEvaluate(
            "bundle.too-large",
            f"{what}: too large (got {len(bundle)} bytes, expected at most {MAX_BUNDLE_BYTES})",
            fix="remove it from the image: nothing that the pipeline signs is that large",
        )
    try:
        document = parse_json(bundle, what=what, limit=MAX_BUNDLE_BYTES)
    except CannotEvaluate as error:
        raise _malformed(what, error) from error
    media_type = document.get("mediaType") if isinstance(document, dict) else None
    if media_type != BUNDLE_MEDIA_TYPE:
        raise CannotEvaluate(
            "bundle.malformed",
            f"{what}: not a bundle that is read here (got media type {media_type!r:.80}, expected {BUNDLE_MEDIA_TYPE})",
            fix="sign with a client that writes sigstore bundles v0.3",
        )
    return Bundle.from_json(bundle)


def _malformed(what: str, error: Exception) -> CannotEvaluate:
    said = error.message if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
    line = " ".join(said.split())[:200]
    return CannotEvaluate(
        "bundle.malformed", f"{what}: not readable (got {line}, expected a sigstore bundle v0.3)", fix=_NEW_EVIDENCE
    )


class _KeptRoot(TrustedRoot):
    """A trusted root that makes its key rings once: sigstore-python makes them for every bundle anew."""

    @cached_property
    def _logs(self) -> RekorKeyring:
        return super().rekor_keyring(KeyringPurpose.VERIFY)

    @cached_property
    def _certificate_logs(self) -> CTKeyring:
        return super().ct_keyring(KeyringPurpose.VERIFY)

    @cached_property
    def _stampers(self) -> list[CertificateAuthority]:
        return super().get_timestamp_authorities()

    def rekor_keyring(self, purpose: KeyringPurpose) -> RekorKeyring:
        return self._logs if purpose is KeyringPurpose.VERIFY else super().rekor_keyring(purpose)

    def ct_keyring(self, purpose: KeyringPurpose) -> CTKeyring:
        return self._certificate_logs if purpose is KeyringPurpose.VERIFY else super().ct_keyring(purpose)

    def get_timestamp_authorities(self) -> list[CertificateAuthority]:
        return self._stampers


@lru_cache(maxsize=8)
def _verifier(root: TrustedRoot) -> "_TimedVerifier":
    return _TimedVerifier(trusted_root=_KeptRoot(root._inner))  # noqa: SLF001 - no public way; the version is pinned


@lru_cache(maxsize=8)
def _authorities(root: TrustedRoot) -> tuple[x509.Certificate, ...]:
    return tuple(root.get_fulcio_certs())


@lru_cache(maxsize=1024)
def _issued(leaf: x509.Certificate, root: TrustedRoot) -> bool:
    """Whether an authority of ``root`` signed ``leaf``. One certificate signs most of a release."""
    for authority in _authorities(root):
        try:
            leaf.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _root_of(leaf: x509.Certificate, roots: Mapping[str, TrustedRoot], what: str) -> str:
    """The name of the root with an authority that signed ``leaf``; Refused (``bundle.root``) where there is none."""
    for name, root in roots.items():
        if _issued(leaf, root):
            return name
    issuer = leaf.issuer.rfc4514_string()[:120]
    raise Refused(
        FOREIGN,
        f"{what}: certificate of an unknown authority (got {issuer}, expected one of the roots {', '.join(roots)})",
        fix="add its trusted root to the policy's trust roots if you mean to trust it, else remove the bundle",
    )


class _TimedVerifier(Verifier):
    """Keeps the earliest time that a verification established, which sigstore-python has no public way to ask for.

    NOTE: it is verified only once verify_dsse has returned, as the log's promise of its time is checked after this.
    Timestamps of unknown authorities are left out by then.
    """

    earliest: datetime

    def _establish_time(self, bundle: Bundle) -> list[TimestampVerificationResult]:
        times = super()._establish_time(bundle)
        self.earliest = min((result.time for result in times), default=datetime.max.replace(tzinfo=UTC))
        return times


class _JudgedLater:
    """Who may sign depends on the kind of evidence and on the environment: the judge asks, with the whole identity."""

    def verify(self, cert: x509.Certificate) -> None:
        """Sigstore's VerificationPolicy."""


def _verify(verifier: "_TimedVerifier", bundle: Bundle, what: str) -> tuple[str, bytes]:
    try:
        return verifier.verify_dsse(bundle, _JudgedLater())
    except VerificationError as error:
        said = " ".join(str(error).split())[:200]
        code = next((code for words, code in _CODES if words in said), "bundle.unverified")
        raise Refused(
            code, f"{what}: does not verify (got {said!r}, expected a valid {_PARTS[code]})", fix=_NEW_EVIDENCE
        ) from error


def _identity(leaf: x509.Certificate, what: str) -> Identity:
    try:
        return read_identity(leaf)
    except ValueError as error:
        raise Refused(
            "bundle.identity",
            f"{what}: signer not stated (got {error}, expected one identity and its issuer)",
            fix="sign with a certificate of a Fulcio instance",
        ) from error


def _text(value: bytes) -> str:
    """The content of a DER UTF8String (X.690, 8.23); ValueError for anything else."""
    if len(value) < 2 or value[0] != 0x0C:
        raise ValueError("extension is not a UTF8String")
    length, start = value[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(value[2:start], "big")
    if len(value) != start + length:
        raise ValueError("extension is longer or shorter than it says")
    return value[start:].decode("utf-8")


def read_identity(certificate: x509.Certificate) -> Identity:
    """The identity in a leaf certificate; ValueError where it is ambiguous or not stated."""
    names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier | x509.RFC822Name):
        raise ValueError(f"certificate has {len(names)} subject alternative names that may be an identity, not one")
    stated: dict[str, str] = {}
    for extension in certificate.extensions:
        arc, _, number = extension.oid.dotted_string.rpartition(".")
        if arc == _ARC and int(number) in _EXTENSIONS and isinstance(extension.value, x509.UnrecognizedExtension):
            stated[_EXTENSIONS[int(number)]] = _text(extension.value.value)
    if "issuer" not in stated:
        raise ValueError("certificate names no issuer")
    return Identity(san=names[0].value, **stated)
