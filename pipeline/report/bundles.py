"""What the bundles below ``dist/bundles`` say of themselves, for the evidence table.

Nothing is verified here, and nothing is decided by it: that is the gate's, and the table says which it verified.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from pipeline.files import read_limited
from pipeline.model.digests import Digest
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.model.statement import Statement, parse_statement
from pipeline.report.run import Bundle

MAX_BUNDLES = 256
MAX_BYTES = 24 * 1024 * 1024
#: Fulcio, ``docs/oid-info.md``: the OIDC issuer, as a DER UTF8String.
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
UNREADABLE = "unreadable"


def _signer(bundle: Any) -> tuple[str, str]:
    """(identity, issuer) of the leaf certificate."""
    raw = base64.b64decode(bundle["verificationMaterial"]["certificate"]["rawBytes"], validate=True)
    extensions = x509.load_der_x509_certificate(raw).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    issuer = extensions.get_extension_for_oid(_ISSUER).value
    encoded = issuer.value if isinstance(issuer, x509.UnrecognizedExtension) else b""
    return str(next(iter(names)).value), _utf8_string(encoded)


def _utf8_string(encoded: bytes) -> str:
    """The text of a DER UTF8String shorter than 64 KiB (X.690, 8.1.3): tag 12, length, bytes."""
    if encoded[:1] != b"\x0c" or len(encoded) < 2:
        raise ValueError("not a UTF8String")
    wide = encoded[1] - 0x80 if encoded[1] > 0x80 else 0
    length = int.from_bytes(encoded[2 : 2 + wide], "big") if wide else encoded[1]
    text = encoded[2 + wide :]
    if len(text) != length:
        raise ValueError("length differs")
    return text.decode("utf-8")


def _statement(bundle: Any) -> Statement:
    return parse_statement(base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True))


def _platform(statement: Statement) -> str:
    """The platform that a per-platform statement names, ``linux/amd64``, from the name of its subjects."""
    names = [subject.name for subject in statement.subject]
    found = {part for name in names for part in ("linux/amd64", "linux/arm64") if part in name}
    return found.pop() if len(found) == 1 else ""


def read_bundle(name: str, content: bytes) -> Bundle:
    """One line of the table; a bundle that cannot be read is a line that says so."""
    digest = str(Digest.of(content))
    try:
        bundle = parse_json(content, what=name, limit=MAX_BYTES)
        statement = _statement(bundle)
        signer, issuer = _signer(bundle)
    except (CannotEvaluate, KeyError, TypeError, ValueError, binascii.Error, x509.ExtensionNotFound, StopIteration):
        return Bundle(file=name, digest=digest, kind=UNREADABLE, signer="", issuer="")
    stated = statement.predicate.get("result") or statement.predicate.get("verificationResult")
    return Bundle(
        file=name,
        digest=digest,
        kind=str(statement.kind or statement.predicate_type),
        signer=signer,
        issuer=issuer,
        result=stated if stated in ("PASSED", "WARNED", "FAILED") else "",
        platform=_platform(statement),
        image=str(statement.digests()[0]),
    )


def read_bundles(folder: Path) -> list[Bundle]:
    """The bundles of ``folder`` by file name, at most ``MAX_BUNDLES``; an empty list where there is no folder."""
    files = sorted(path for path in folder.glob("*.json") if path.is_file())[:MAX_BUNDLES]
    return [read_bundle(path.name, read_limited(path, MAX_BYTES)) for path in files]
