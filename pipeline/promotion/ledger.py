"""An environment's ledger: signed entries, each with the digest of the one before, verified whenever they are read.

``<environment>.jsonl`` of a LedgerStore holds one sigstore bundle a line; the line is what is hashed. An entry is a
promotion, a rollback (a promotion with a grant), or the revocation of an image.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Memory
from pipeline.gate.memory import Head
from pipeline.gate.policy import Policy
from pipeline.gate.standing import difference
from pipeline.model.documents import parse_json
from pipeline.model.errors import GatehouseError, Refused
from pipeline.model.kinds import Kind
from pipeline.model.predicates import PromotionPredicate, RevocationPredicate, parse_predicate
from pipeline.model.statement import Statement, parse_statement
from pipeline.promotion.ledger_store import MAX_FILE, LedgerStore

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

_RESTORE = (
    "restore the ledger from a copy; a clone that means to begin anew moves ledger, memory.json, sigstore and store "
    "of .gatehouse away"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry, verified. ``line`` is its bundle, ``digest`` the SHA-256 of that in hexadecimal."""

    predicate: PromotionPredicate | RevocationPredicate
    line: bytes
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """A whole chain, oldest first. What comes after is decided over it."""

    environment: str
    entries: tuple[Entry, ...]

    @property
    def head(self) -> Entry | None:
        return self.entries[-1] if self.entries else None

    @property
    def promotions(self) -> tuple[PromotionPredicate, ...]:
        """What ran here, one after the other, rollbacks among them."""
        return tuple(entry.predicate for entry in self.entries if isinstance(entry.predicate, PromotionPredicate))

    @property
    def running(self) -> PromotionPredicate | None:
        """What runs here now."""
        return self.promotions[-1] if self.promotions else None

    @property
    def last_promotion(self) -> Entry:
        """The entry of what runs, to be asked only where something does."""
        return next(one for one in reversed(self.entries) if isinstance(one.predicate, PromotionPredicate))

    @property
    def revoked(self) -> Mapping[str, str]:
        """Images (SHA-256 in hexadecimal) that may not run here again, with the reason."""
        found = (entry.predicate for entry in self.entries)
        return {one.image: one.reason for one in found if isinstance(one, RevocationPredicate)}

    @property
    def lists(self) -> Mapping[str, Mapping[str, int]]:
        """Of each image the highest evidence list of each signer with which it was promoted."""
        found: dict[str, Memory] = {}
        for one in self.promotions:
            found[one.image] = found.get(one.image, Memory()).joined(one.lists)
        return {image: memory.sequences for image, memory in found.items() if memory.sequences}

    def holds(self, image: str) -> bool:
        """Whether an image (SHA-256 in hexadecimal) was ever promoted here."""
        return any(one.image == image for one in self.promotions)

    def spent(self, grant: str) -> bool:
        """Whether a grant (its ``Grant.digest``) was used here."""
        return any(entry.predicate.grant == grant for entry in self.entries)


def ledger_file(environment: str) -> str:
    return f"{environment}.jsonl"


def read_ledger(
    store: LedgerStore,
    environment: str,
    policy: Policy,
    roots: "Mapping[str, TrustedRoot]",
    known: Head | None = None,
) -> Ledger:
    """Read and verify the whole chain; no file is an empty ledger.

    What ``known``, a head that this verifier verified by this same policy, has before it is verified by its hashes.
    Raises Refused (``ledger.broken``, ``ledger.signature`` naming the entry) and CannotEvaluate
    (``ledger.unreadable``, ``policy.environment``).
    """
    content = store.read(ledger_file(policy.environment(environment).name)) or b""
    return parse_ledger(content, policy.environment(environment), policy, roots, known)


def check_known(ledger: Ledger, known: Head | None, where: str = "this clone's memory") -> None:
    """A chain that was cut short, or begun anew, is whole in itself: only who saw the longer one can tell.

    Raises Refused (``ledger.older-than-known``) where ``known``, an entry seen at ``where``, is not in the chain.
    """
    if known is None:
        return
    there = ledger.entries[known.sequence - 1].digest if len(ledger.entries) >= known.sequence else "nothing"
    if there != known.digest:
        raise Refused(
            "ledger.older-than-known",
            f"ledger {ledger.environment}: not the chain that {where} knows (got {there[:12]} as entry "
            f"{known.sequence}, expected {known.digest[:12]})",
            fix=_RESTORE,
        )


def head_of(ledger: Ledger, policy: Policy) -> Head | None:
    """What to remember of a ledger that was verified by ``policy``."""
    head = ledger.head
    return Head(sequence=len(ledger.entries), digest=head.digest, policy=policy.digest) if head else None


def parse_ledger(
    content: bytes,
    environment: Environment,
    policy: Policy,
    roots: "Mapping[str, TrustedRoot]",
    known: Head | None = None,
) -> Ledger:
    """``read_ledger`` on bytes."""
    if len(content) > MAX_FILE or (content and not content.endswith(b"\n")):
        raise _broken(environment.name, content.count(b"\n") + 1, "a line that is cut off", "whole lines")
    lines = content.split(b"\n")[:-1]
    verified = _verified_before(lines, policy, known)
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        read = _remembered if number <= verified else _reading(environment, policy, roots)
        entries.append(_next(entries, line, read, environment.name))
    return Ledger(environment=environment.name, entries=tuple(entries))


def _verified_before(lines: Sequence[bytes], policy: Policy, known: Head | None) -> int:
    """How many entries were verified by this policy before: each names the hash of the one before it."""
    if known is None or known.policy != policy.digest or known.sequence > len(lines):
        return 0
    there = hashlib.sha256(lines[known.sequence - 1]).hexdigest()
    return known.sequence if there == known.digest else 0


def extended(
    ledger: Ledger, line: bytes, environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]"
) -> Ledger:
    """The ledger with one more entry, held against the chain. Raises Refused (``ledger.*``)."""
    entry = _next(ledger.entries, line, _reading(environment, policy, roots), environment.name)
    return Ledger(environment=environment.name, entries=(*ledger.entries, entry))


def _reading(environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]") -> Callable[[bytes], Entry]:
    return lambda line: read_entry(line, environment, policy, roots)


def _next(entries: Sequence[Entry], line: bytes, read: Callable[[bytes], Entry], environment: str) -> Entry:
    """The entry in ``line``, held against the chain of ``entries`` before it."""
    number = len(entries) + 1
    if b"\n" in line:
        raise _broken(environment, number, "several lines", "one line")
    try:
        entry = read(line)
    except GatehouseError as error:
        raise _unsigned(environment, number, error.message) from error
    got = (entry.predicate.environment, entry.predicate.sequence, entry.predicate.previous)
    expected = (environment, number, entries[-1].digest if entries else None)
    if got != expected:
        raise _broken(environment, number, _place(got), _place(expected))
    return entry


def _remembered(line: bytes) -> Entry:
    """An entry whose signature was verified before, and whose hash is vouched for by the entries after it."""
    try:
        statement = parse_statement(base64.b64decode(parse_json(line, what="entry")["dsseEnvelope"]["payload"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _no_entry("entry: edited since it was verified", type(error).__name__, "a bundle") from error
    return Entry(predicate=_predicate(statement), line=line, digest=hashlib.sha256(line).hexdigest())


def ledger_bytes(ledger: Ledger) -> bytes:
    """The file of a ledger."""
    return b"".join(entry.line + b"\n" for entry in ledger.entries)


def read_entry(line: bytes, environment: Environment, policy: Policy, roots: "Mapping[str, TrustedRoot]") -> Entry:
    """One verified entry by who may write it; raises Refused and CannotEvaluate that say why it is none."""
    from pipeline.gate.verification import verify_bundle  # noqa: PLC0415 - imports sigstore

    verified = verify_bundle(line, roots)
    predicate = _predicate(verified.statement)
    differing = difference(verified, verified.statement.kind or Kind.PROMOTION, policy, environment)
    if differing is not None:
        raise _no_entry(f"entry: by somebody else ({differing})", verified.identity.san, "an allowed signer")
    subjects = [digest.hex for digest in verified.statement.digests()]
    if subjects != [predicate.image]:
        raise _no_entry("entry: about another image", _short(subjects), predicate.image[:12])
    digest = hashlib.sha256(line).hexdigest()
    return Entry(predicate=predicate, line=line, digest=digest)


def _predicate(statement: Statement) -> PromotionPredicate | RevocationPredicate:
    kind = statement.kind
    predicate = None
    if kind in (Kind.PROMOTION, Kind.REVOCATION):
        predicate = parse_predicate(kind, statement.predicate)
    if not isinstance(predicate, PromotionPredicate | RevocationPredicate):
        raise _no_entry("statement: no entry", f"{statement.predicate_type!r:.80}", "promotion or revocation")
    return predicate


def _place(place: tuple[str, int, str | None]) -> str:
    return f"{place[0]} {place[1]} after {(place[2] or 'nothing')[:12]}"


def _short(digests: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in digests[:3])


def _no_entry(what: str, got: str, expected: str) -> Refused:
    return Refused("ledger.signature", f"{what} (got {got}, expected {expected})", fix=_RESTORE)


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
