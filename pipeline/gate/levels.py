"""What was verified, in SLSA's words: computed from certificates, never taken from what a predicate claims."""

from collections.abc import Iterable

from pipeline.gate.evidence import Piece
from pipeline.model.kinds import Kind
from pipeline.signing.identities import GITHUB_ISSUER

FAILED = "FAILED"


def levels(accepted: Iterable[Piece], *, passed: bool) -> tuple[str, ...]:
    """``verifiedLevels`` of a summary (SLSA v1.2): ``FAILED``, or the highest level of the build track.

    Level 1: provenance is there. Level 2: a hosted platform signed all of it, so that the build's own steps could not.
    A local signer is the machine that built, which is level 1 at most. Level 3 needs a builder of its own behind the
    signature, which the sessions of this pipeline do not have.
    """
    if not passed:
        return (FAILED,)
    provenance = [piece for piece in accepted if piece.kind == Kind.PROVENANCE]
    if not provenance:
        return ("SLSA_BUILD_LEVEL_0",)
    return ("SLSA_BUILD_LEVEL_2" if all(map(_hosted, provenance)) else "SLSA_BUILD_LEVEL_1",)


def _hosted(piece: Piece) -> bool:
    identity = piece.verified.identity
    return piece.verified.root == "public" and identity.issuer == GITHUB_ISSUER and identity.runner == "github-hosted"
