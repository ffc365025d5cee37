"""An environment's ledger: signed entries, each with the digest of the one before, verified whenever they are read.

``<state>/ledger/<environment>.jsonl`` holds one sigstore bundle a line; the line is what is hashed. The locked state
folder is the store with a compare-and-swap that a clone has; a team's is a git branch.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import read_limited, write_atomic
from pipeline.gate.identity import Verified
from pipeline.gate.memory import Head, recall_head, remember_head
from pipeline.gate.policy import Environment, Policy
from pipeline.gate.standing import difference
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import Kind
from pipeline.model.predicates import PromotionPredicate, parse_predicate

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

#: Some ten thousand promotions.
MAX_LEDGER_BYTES = 128 * 1024 * 1024

_RESTORE = (
    "restore the ledger from a copy; a clone begins anew by moving .gatehouse/ledger and .gatehouse/memory.json away"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One promotion, verified. ``line`` is its bundle, ``digest`` the SHA-256 of that in hexadecimal."""

    predicate: PromotionPredicate
    line: bytes
    digest: str
    signer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """A whole chain, oldest first. What comes after is decided over it; newer, rollback and grants look here too."""

    environment: str
    entries: tuple[Entry, ...]

    @property
    def head(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    def holds(self, image: str) -> bool:
        """Whether an image (SHA-256 in hexadecimal) was ever promoted here."""
        return any(entry.predicate.image == image for entry in self.entries)


def ledger_path(state: Path, environment: str) -> Path:
    return state / "ledger" / f"{environment}.jsonl"


def lock_path(state: Path, environment: str) -> Path:
    """Held from reading the head until the new entry is written, so that of two promotions one sees the other's."""
    return state / "locks" / f"ledger-{environment}.lock"


def read_ledger(state: Path, environment: str, policy: Policy, roots: "Mapping[str, TrustedRoot]") -> Ledger:
    """Read and verify the whole chain; no file is an empty ledger.

    Raises Refused (``ledger.broken``, ``ledger.signature`` naming the entry, ``ledger.older-than-known``) and
    CannotEvaluate (``ledger.unreadable``, ``memory.unreadable``).
    """
    path = ledger_path(state, environment)
    try:
        content = read_limited(path, MAX_LEDGER_BYTES)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise CannotEvaluate(
            "ledger.unreadable",
            f"ledger {environment}: not readable (got {error.strerror}, expected a file of this user)",
            fix=f"make {path} readable for this user",
        ) from error
    ledger = parse_ledger(content, policy.environment(environment), policy, roots)
    _check_memory(ledger, recall_head(state, environment))
    return ledger


def _check_memory(ledger: Ledger, known: Head | None) -> None:
    """A chain that was cut short, or begun anew, is whole in itself: only who saw the longer one can tell."""
    if known is None:
        return
    there = ledger.entries[known.sequence - 1].digest if len(ledger.entries) >= known.sequence else "nothing"
    if there != known.digest:
        raise Refused(
            "ledger.older-than-known",
            f"ledger {ledger.environment}: not the chain seen before (got {there[:12]} as entry {known.sequence}, "
            f"expected {known.digest[:12]})",
            fix=_RESTORE,
        )


def parse_ledger(
    content: bytes, environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]"
) -> Ledger:
    """``read_ledger`` on bytes."""
    if len(content) > MAX_LEDGER_BYTES or (content and not content.endswith(b"\n")):
        raise _broken(environment.name, content.count(b"\n") + 1, "a line that is cut off", "whole lines")
    ledger = Ledger(environment=environment.name, entries=())
    for line in content.split(b"\n")[:-1]:
        ledger = extended(ledger, line, environment, policy, roots)
    return ledger


def extended(
    ledger: Ledger, line: bytes, environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]"
) -> Ledger:
    """The ledger with one more entry, held against the chain. Raises Refused (``ledger.*``)."""
    number = len(ledger.entries) + 1
    if b"\n" in line:
        raise _broken(environment.name, number, "several lines", "one line")
    entry = _read_entry(line, number, environment, policy, roots)
    head = ledger.head
    got = (entry.predicate.environment, entry.predicate.sequence, entry.predicate.previous)
    expected = (environment.name, number, head.digest if head else None)
    if got != expected:
        raise _broken(environment.name, number, _place(got), _place(expected))
    return Ledger(environment=environment.name, entries=(*ledger.entries, entry))


def append(state: Path, ledger: Ledger) -> None:
    """Write the ledger whole: a crash leaves the old file or the new one. Under the lock of ``lock_path``."""
    content = b"".join(entry.line + b"\n" for entry in ledger.entries)
    write_atomic(ledger_path(state, ledger.environment), content)
    remember_ledger(state, ledger)


def remember_ledger(state: Path, ledger: Ledger) -> None:
    """Keep the head of a verified chain; again at the next promotion, should a crash come before it."""
    if ledger.head is not None:
        remember_head(state, ledger.environment, Head(sequence=len(ledger.entries), digest=ledger.head.digest))


def _read_entry(
    line: bytes, number: int, environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]"
) -> Entry:
    from pipeline.gate.verification import verify_bundle  # noqa: PLC0415 - imports sigstore

    try:
        verified = verify_bundle(line, roots)
        predicate = _promotion(verified)
    except GatehouseError as error:
        raise _unsigned(environment.name, number, error.message) from error
    differing = difference(verified, Kind.PROMOTION, policy, environment)
    if differing is not None:
        raise _unsigned(environment.name, number, differing)
    subjects = [digest.hex for digest in verified.statement.digests()]
    if subjects != [predicate.image]:
        raise _broken(environment.name, number, f"subjects {_short(subjects)}", f"image {predicate.image[:12]}")
    digest = hashlib.sha256(line).hexdigest()
    return Entry(predicate=predicate, line=line, digest=digest, signer=verified.identity.san)


def _promotion(verified: Verified) -> PromotionPredicate:
    predicate = None
    if verified.statement.kind == Kind.PROMOTION:
        predicate = parse_predicate(Kind.PROMOTION, verified.statement.predicate)
    if not isinstance(predicate, PromotionPredicate):
        raise Refused(
            "ledger.signature",
            f"statement: no promotion (got {verified.statement.predicate_type!r:.80}, expected a promotion)",
            fix=_RESTORE,
        )
    return predicate


def _place(place: tuple[str, int, str | None]) -> str:
    return f"{place[0]} {place[1]} after {(place[2] or 'nothing')[:12]}"


def _short(digests: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in digests[:3])


def _broken(environment: str, number: int, got: str, expected: str) -> Refused:
    return Refused(
        "ledger.broken",
        f"ledger {environment}: chain broken at entry {number} (got {got}, expected {expected})",
        fix=_RESTORE,
    )


def _unsigned(environment: str, number: int, got: str) -> Refused:
    return Refused(
        "ledger.signature",
        f"ledger {environment}: entry {number} not signed by who may promote (got {got}, expected an allowed signer)",
        fix=_RESTORE,
    )
