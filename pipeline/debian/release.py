"""Debian's signed indexes: InRelease (signature, Date, Valid-Until) and the Packages file that it names."""

import hashlib
import lzma
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.debian.control import Stanza, stanzas
from pipeline.model.errors import CannotEvaluate, Refused

if TYPE_CHECKING:
    from pysequoia import Cert

KEYS = Path("requirements/keys")
MAX_RELEASE = 4 << 20
MAX_PACKAGES = 64 << 20
#: What a lock says of a package; Debian's own indexes have all of it (deb-src-control(5), repository format).
REQUIRED = frozenset({"Package", "Version", "Architecture", "Filename", "Size", "SHA256"})
_FIX = "fetch again from another mirror; if it stays so, the mirror is wrong: do not lock from it"


@dataclass(frozen=True, slots=True)
class Suite:
    """``archive`` is where its keys and paths belong (``debian``), ``name`` its folder below ``dists/``."""

    archive: str
    name: str
    expires: bool
    """The suite's InRelease must carry Valid-Until: updates and security do, a released suite itself does not."""
    component: str = "main"


@dataclass(frozen=True, slots=True)
class Release:
    """What a verified InRelease says. ``hashes`` maps a path below the suite to its SHA-256."""

    suite: Suite
    date: datetime
    hashes: dict[str, str]
    by_hash: bool
    """Index files are also served under their hash, so that a mirror in the middle of an update does no harm."""


def suites_of(name: str) -> tuple[Suite, ...]:
    """The suite, its updates and its security updates."""
    return (
        Suite("debian", name, expires=False),
        Suite("debian", f"{name}-updates", expires=True),
        Suite("debian-security", f"{name}-security", expires=True),
    )


def load_keys(folder: Path, archive: str) -> list["Cert"]:
    """The vendored keys that may sign ``archive``, each held against its listed fingerprint.

    Raises CannotEvaluate (``base.keys``).
    """
    from pysequoia import Cert  # noqa: PLC0415

    try:
        lines = (folder / "fingerprints.txt").read_text(encoding="ascii").splitlines()
        listed = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        certs = []
        for fingerprint, of, file in listed:
            if of == archive:
                cert = Cert.from_bytes((folder / file).read_bytes())
                if cert.fingerprint.upper() != fingerprint:
                    raise ValueError(f"{file} has fingerprint {cert.fingerprint.upper()}")
                certs.append(cert)
        if not certs:
            raise ValueError(f"no key for {archive}")
    except (OSError, ValueError, RuntimeError) as error:
        raise CannotEvaluate(
            "base.keys",
            f"{KEYS}: archive keys not usable (got {str(error).splitlines()[0]}, "
            "expected the keys and fingerprints of fingerprints.txt)",
            fix=f"restore the folder with `git checkout {KEYS}`",
        ) from error
    return certs


def verify_signature(content: bytes, certs: Sequence["Cert"], *, what: str) -> bytes:
    """The signed part of a clear-signed message; raises Refused (``base.signature``)."""
    from pysequoia import verify  # noqa: PLC0415

    allowed = {cert.fingerprint for cert in certs}
    try:
        verified = verify(bytes=content, store=lambda _: list(certs))
        signers = {signature.certificate for signature in verified.valid_sigs}
    except Exception as error:  # (the library raises what its parser meets, and never says which)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refuse("base.signature", what, reason, "a valid signature of a vendored key") from error
    if not signers & allowed or verified.bytes is None:
        raise _refuse("base.signature", what, f"signers {sorted(signers)}", f"one of {sorted(allowed)}")
    return bytes(verified.bytes)


def read_release(signed: bytes, suite: Suite, *, now: datetime, not_before: datetime | None) -> Release:
    """Parse the *verified* text of an InRelease.

    Raises Refused: ``base.other-suite``, ``base.expired`` (Valid-Until), ``base.future`` and ``base.rollback``
    (Date before ``not_before``, the one that the lock at hand was made from).
    """
    what = f"InRelease of {suite.name}"
    try:
        (fields,) = stanzas(signed.decode("utf-8"))
        date = _time(fields["Date"])
        valid_until = _time(fields["Valid-Until"]) if "Valid-Until" in fields else None
        hashes = dict(_hashes(fields["SHA256"]))
    except (KeyError, ValueError) as error:
        raise _refuse("base.malformed", what, str(error), "fields Codename, Date and SHA256") from error
    if fields.get("Codename") != suite.name:
        raise _refuse("base.other-suite", what, f"Codename {fields.get('Codename')}", suite.name)
    if (suite.expires and valid_until is None) or (valid_until and valid_until < now):
        raise _refuse("base.expired", what, f"Valid-Until {fields.get('Valid-Until')}", f"a time after {now:%F %T} UTC")
    if date > now:
        raise _refuse("base.future", what, f"Date {fields['Date']}", f"a time before {now:%F %T} UTC")
    if not_before and date < not_before:
        raise _refuse("base.rollback", what, f"Date {fields['Date']}", f"not before {not_before:%F %T} UTC")
    return Release(suite, date, hashes, fields.get("Acquire-By-Hash") == "yes")


def read_packages(release: Release, architecture: str, fetch: Callable[[str], bytes]) -> list[Stanza]:
    """The suite's packages, each with the fields that a lock needs; ``fetch`` takes a path below the suite.

    Raises Refused (``base.index-hash``, ``base.malformed``).
    """
    path = f"{release.suite.component}/binary-{architecture}/Packages.xz"
    what = f"{path} of {release.suite.name}"
    expected = release.hashes.get(path)
    if expected is None:
        raise _refuse("base.index-hash", what, "no hash in InRelease", f"one for {path}")
    content = fetch(f"{path.rpartition('/')[0]}/by-hash/SHA256/{expected}" if release.by_hash else path)
    got = hashlib.sha256(content).hexdigest()
    if got != expected:
        raise _refuse("base.index-hash", what, f"sha256 {got}", expected)
    try:
        found = list(stanzas(_unpack(content).decode("utf-8")))
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise _refuse("base.malformed", what, str(error), "stanzas of packages") from error
    for stanza in found:
        if not stanza.keys() >= REQUIRED:
            missing = ", ".join(sorted(REQUIRED - stanza.keys()))
            raise _refuse(
                "base.malformed", what, f"{stanza.get('Package', 'a stanza')} without {missing}", "all fields"
            )
    return found


def _unpack(content: bytes) -> bytes:
    """One xz stream; ValueError or LZMAError for less than a whole one, or for more than any index has."""
    decompressor = lzma.LZMADecompressor(memlimit=512 << 20)
    unpacked = decompressor.decompress(content, max_length=4 * MAX_PACKAGES)
    if not decompressor.eof:
        raise ValueError(f"an end before the index's, or more than {4 * MAX_PACKAGES} bytes")
    return unpacked


def _time(text: str) -> datetime:
    """``Fri, 20 Nov 2026 02:11:10 UTC``; ValueError otherwise."""
    return parsedate_to_datetime(text.replace("UTC", "+0000")).astimezone(UTC)


def _hashes(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"^([0-9a-f]{64}) +\d+ (\S+)$", text, re.MULTILINE)
    return [(path, digest) for digest, path in found]


def _refuse(code: str, what: str, got: str, expected: str) -> Refused:
    return Refused(code, f"{what}: not trusted (got {got}, expected {expected})", fix=_FIX)
