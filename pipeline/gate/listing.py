"""Step 5: the evidence lists, so that what is withheld, added, doubled or older than known is noticed.

Each signer's lists are a chain of their own: a clone's local lists and a release's do not know of each other.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.gate.evidence import Piece
from pipeline.gate.judgement import Finding
from pipeline.model.kinds import LISTED, Kind
from pipeline.model.predicates import EvidenceList, EvidenceReference

_AGAIN = "attest again: `scripts/nox -s attest` writes a list of everything that is there"
_FIND_OUT = "find out who removed it, restore it from a copy, or make the evidence again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What the lists say together. ``present`` are the newest lists' digests, ``named`` those of any list."""

    newest: tuple[Piece, ...]
    present: Mapping[str, Kind]
    named: frozenset[str]
    absent: Mapping[tuple[Kind, str | None], str]
    """Kinds, by platform, that the newest lists name as skipped or crashed, with the reason."""

    @property
    def sequences(self) -> dict[str, int]:
        return {piece.by: read_list(piece).sequence for piece in self.newest}


def read_list(piece: Piece) -> EvidenceList:
    if not isinstance(piece.predicate, EvidenceList):
        raise TypeError(f"{piece.kind} is no evidence list")
    return piece.predicate


def read_listing(lists: Iterable[Piece]) -> Listing:
    """The lists of each signer, and the newest of them."""
    chains: dict[str, list[Piece]] = {}
    for piece in lists:
        chains.setdefault(piece.by, []).append(piece)
    newest = tuple(max(chain, key=lambda piece: (read_list(piece).sequence, piece.digest)) for chain in chains.values())
    current = [reference for piece in newest for reference in read_list(piece).references]
    every = [reference for chain in chains.values() for piece in chain for reference in read_list(piece).references]
    return Listing(
        newest=newest,
        present={digest: reference.annotations.kind for reference in current if (digest := digest_of(reference))},
        named=frozenset(digest for reference in every if (digest := digest_of(reference))),
        absent={
            _place(reference): f"{reference.annotations.status}: {reference.annotations.reason or 'no reason'}"
            for reference in current
            if reference.annotations.status != "present"
        },
    )


def digest_of(reference: EvidenceReference) -> str | None:
    """The bundle's SHA-256, None for a kind that is skipped or crashed."""
    if reference.annotations.status != "present" or reference.digest is None:
        return None
    return reference.digest.get("sha256")


def list_findings(
    lists: Sequence[Piece],
    listing: Listing,
    pieces: Sequence[Piece],
    known: Mapping[str, Kind | None],
) -> Iterator[Finding]:
    """``pieces`` are what the checks consider, ``known`` every bundle that is attached, by digest, with its kind."""
    if not lists:
        yield _finding("list.missing", "evidence list: not there (got none, expected one)", _AGAIN)
    yield from _chain_findings(lists)
    newest = {piece.digest for piece in listing.newest}
    audits = [piece.verified.verified_at for piece in pieces if piece.kind == Kind.VULNERABILITIES]
    for piece in lists:
        # A successor that leaves a result out does not take it back. Superseded audits alone may be removed: those
        # that a list names which is older than the audit that counts now.
        superseded = piece.digest not in newest and any(time > piece.verified.verified_at for time in audits)
        yield from _reference_findings(read_list(piece), known, (Kind.VULNERABILITIES,) if superseded else ())
    for digest, kind in listing.present.items():
        signed = known.get(digest) or kind
        if signed != kind:
            message = f"evidence list: names another kind than signed (got {signed}, expected {kind})"
            yield _finding("list.kind", message, _AGAIN, kind)
    for piece in pieces:
        if lists and piece.kind in LISTED and piece.digest not in listing.named:
            message = f"{piece.name}: on no evidence list (got bundle {piece.digest[:12]}, expected it to be listed)"
            yield _finding("evidence.unlisted", message, _AGAIN, piece.kind)


def memory_findings(
    attached: Iterable[Piece], remembered: Mapping[str, int], roots: Container[str]
) -> Iterator[Finding]:
    """Of each signer whose lists were seen before, the highest is still there: nobody else can tell that it is gone.

    ``attached`` are the lists of whoever; ``remembered`` signers of roots that do not count here are left out.
    """
    highest: dict[str, int] = {}
    for piece in attached:
        highest[piece.by] = max(highest.get(piece.by, 0), read_list(piece).sequence)
    for by, before in sorted(remembered.items()):
        sequence = highest.get(by)
        if by.partition(" ")[0] in roots and (sequence or 0) < before:
            got = "none" if sequence is None else f"sequence {sequence}"
            message = f"evidence list of {by}: older than one seen before (got {got}, expected at least {before})"
            yield _finding("list.older-than-known", message, "restore the newer list: somebody removed it")


def _chain_findings(lists: Sequence[Piece]) -> Iterator[Finding]:
    """Within one signer's chain each sequence is there once and follows the one that it names."""
    seen: dict[tuple[str, int], str] = {}
    sequences = {(piece.by, piece.digest): read_list(piece).sequence for piece in lists}
    for piece in lists:
        one = read_list(piece)
        other = seen.setdefault((piece.by, one.sequence), piece.digest)
        if other != piece.digest:
            got = f"bundles {', '.join(sorted((other[:12], piece.digest[:12])))}"
            message = f"evidence list {one.sequence}: there are two (got {got}, expected one)"
            yield _finding("list.fork", message, _AGAIN)
        # Without its predecessor nobody knows what that one named.
        before = sequences.get((piece.by, one.previous)) if one.previous else 0
        if before != one.sequence - 1:
            got, expected = "none" if before is None else str(before), f"predecessor {one.sequence - 1}"
            message = f"evidence list {one.sequence}: does not follow on (got {got}, expected {expected})"
            yield _finding("list.broken", message, _AGAIN)


def _reference_findings(one: EvidenceList, known: Container[str], pruned: Container[Kind]) -> Iterator[Finding]:
    """``pruned`` are the kinds whose bundles may be gone."""
    told: set[str] = set()
    there = {_place(reference) for reference in one.references if reference.annotations.status == "present"}
    for reference in one.references:
        kind, status = reference.annotations.kind, reference.annotations.status
        if status != "present":
            if _place(reference) in there:
                yield _wrong(one, kind, f"present and {status}", "one status")
            continue
        digest = digest_of(reference)
        if digest is None or digest in told:
            got = "no digest" if digest is None else "the same bundle twice"
            yield _wrong(one, kind, got, "one bundle")
        elif digest not in known and kind not in pruned:
            message = f"{kind}: listed and not attached (got nothing, expected bundle {digest[:12]})"
            yield _finding("evidence.withheld", message, _FIND_OUT, kind)
        told.add(digest or "")


def _place(reference: EvidenceReference) -> tuple[Kind, str | None]:
    return reference.annotations.kind, reference.annotations.platform


def _wrong(one: EvidenceList, kind: Kind, got: str, expected: str) -> Finding:
    message = f"evidence list {one.sequence}: entry {kind} is wrong (got {got}, expected {expected})"
    return _finding("list.broken", message, _AGAIN, kind)


def _finding(code: str, message: str, fix: str, kind: Kind = Kind.EVIDENCE_LIST) -> Finding:
    return Finding(code=code, message=message, fix=fix, kind=kind)
