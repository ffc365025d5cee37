"""Trusted roots: read strictly, and asked when what is in them ends."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sigstore.models import TrustedRoot
from sigstore_models.trustroot import v1 as models

from pipeline.model.documents import canonical_json, parse_json
from pipeline.model.errors import CannotEvaluate

MAX_BYTES = 4 * 1024 * 1024
WARNING = dt.timedelta(days=30)

#: Without a current one of each, nothing that is signed now can be verified.
NEEDED = ("certificate authority", "certificate log", "transparency log")


@dataclass(frozen=True, kw_only=True, order=True)
class Part:
    """One key or authority of a trusted root. ``end`` is None where the root names none."""

    kind: str
    name: str
    start: dt.datetime
    end: dt.datetime | None

    def current(self, now: dt.datetime) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


def load_trusted_root(
    content: bytes | Path, *, what: str = "trusted root", now: dt.datetime | None = None
) -> TrustedRoot:
    """Read a ``trustedroot+json`` document (sigstore/protobuf-specs) and every key and certificate in it.

    With ``now`` it also has to be good for what is signed today. Raises CannotEvaluate
    (``trust.unreadable``, ``trust.expired``).
    """
    if isinstance(content, Path):
        what, content = str(content), _read(content)
    root = _parsed(content, what)
    if now:
        _check_current(parts(root), what, now)
    return root


@lru_cache(maxsize=8)
def _parsed(content: bytes, what: str) -> TrustedRoot:
    """The same bytes are the same root, so that what is made from it once is kept."""
    try:
        # sigstore-python's models let a duplicate key win silently, hence the parser of ours first.
        inner = models.TrustedRoot.from_json(canonical_json(parse_json(content, what=what, limit=MAX_BYTES)))
        root = TrustedRoot(inner)
        found = {part.kind for part in parts(root)}
    except Exception as error:
        raise unreadable(what, f"{type(error).__name__}: {str(error).splitlines()[0]:.200}") from error
    missing = sorted(set(NEEDED) - found)
    if missing:
        raise unreadable(what, f"no {missing[0]} in it")
    return root


def unreadable(what: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "trust.unreadable",
        f"{what}: not usable (got {got}, expected a trusted root of Sigstore)",
        fix="restore it (`git checkout policies/trust`), or fetch it again (`scripts/nox -s trust`)",
    )


def parts(root: TrustedRoot) -> list[Part]:
    """Every key and authority of ``root``; ValueError and its like where one cannot be read."""
    inner = root._inner  # noqa: SLF001 - sigstore-python has no public way to it; the version is pinned
    return [
        *(_log_part("transparency log", log) for log in inner.tlogs),
        *(_log_part("certificate log", log) for log in inner.ctlogs),
        *(_authority_part("certificate authority", authority) for authority in inner.certificate_authorities),
        *(_authority_part("timestamp authority", authority) for authority in inner.timestamp_authorities or ()),
    ]


def expiring(root: TrustedRoot, now: dt.datetime, within: dt.timedelta = WARNING) -> list[Part]:
    """The parts that are good now and end ``within`` that time. What ended before was retired, and is no news."""
    return [part for part in parts(root) if part.current(now) and part.end and part.end - now <= within]


def warnings(root: TrustedRoot, now: dt.datetime, what: str = "trusted root") -> list[str]:
    """One line for each part that ends within 30 days."""
    return [
        f"{what}: {part.kind} {part.name} ends on {part.end:%Y-%m-%d}; refresh it with `scripts/nox -s trust`"
        for part in expiring(root, now)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error.strerror or type(error).__name__) from error


def _check_current(found: Sequence[Part], what: str, now: dt.datetime) -> None:
    for kind in NEEDED:
        if not any(part.current(now) for part in found if part.kind == kind):
            ends = ", ".join(f"{part.end:%Y-%m-%d}" for part in found if part.kind == kind and part.end)
            raise CannotEvaluate(
                "trust.expired",
                f"{what}: no {kind} is good at {now:%Y-%m-%d} "
                f"(got ends {ends or 'before their start'}, expected later)",
                fix="fetch the current trusted root (`scripts/nox -s trust`), or set the clock if it is wrong",
            )


def _log_part(kind: str, log: models.TransparencyLogInstance) -> Part:
    key = log.public_key
    if not key.raw_bytes or key.valid_for is None:
        raise ValueError(f"{kind} {log.base_url}: no key, or no time")
    load_der_public_key(key.raw_bytes)
    return Part(kind=kind, name=log.base_url, start=key.valid_for.start, end=key.valid_for.end)


def _authority_part(kind: str, authority: models.CertificateAuthority) -> Part:
    chain = [x509.load_der_x509_certificate(item.raw_bytes) for item in authority.cert_chain.certificates]
    if not chain or authority.valid_for is None:
        raise ValueError(f"{kind} {authority.uri}: no certificate, or no time")
    starts = (authority.valid_for.start, *(certificate.not_valid_before_utc for certificate in chain))
    ends = (authority.valid_for.end, *(certificate.not_valid_after_utc for certificate in chain))
    name = authority.uri or authority.subject.common_name
    return Part(kind=kind, name=name, start=max(starts), end=_earliest(ends))


def _earliest(moments: Iterable[dt.datetime | None]) -> dt.datetime | None:
    return min((moment for moment in moments if moment), default=None)
