"""Whether an image was revoked: as the verifier remembers from a ledger, or as an entry attached to the image says."""

from collections.abc import Iterable, Iterator

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Memory, Piece
from pipeline.gate.judgement import Finding
from pipeline.gate.policy import Policy
from pipeline.gate.standing import difference
from pipeline.model.kinds import Kind
from pipeline.model.predicates import RevocationPredicate


def revocations(pieces: Iterable[Piece], policy: Policy, here: Environment) -> list[Piece]:
    """The pieces that revoke the image here: by who may write into this environment's ledger."""
    return [
        piece
        for piece in pieces
        if isinstance(piece.predicate, RevocationPredicate)
        and piece.predicate.environment == here.name
        and difference(piece.verified, Kind.REVOCATION, policy, here) is None
    ]


def revocation_findings(
    pieces: Iterable[Piece], memory: Memory, policy: Policy, here: Environment
) -> Iterator[Finding]:
    """``image.revoked``, once: a revocation has no end, so neither its age nor any list matters."""
    found = [piece.predicate for piece in revocations(pieces, policy, here)]
    reasons = [one.reason for one in found if isinstance(one, RevocationPredicate)]
    reason = memory.revoked.get(here.name) or next(iter(sorted(reasons)), None)
    if reason is not None:
        yield Finding(
            code="image.revoked",
            message=f"image: revoked in {here.name} (got {_printable(reason)!r:.120}, expected no revocation)",
            fix="promote another release: a revocation is not taken back",
            kind=Kind.REVOCATION,
        )


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
