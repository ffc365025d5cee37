"""What was verified, in words that others compare: computed from certificates and evidence, never from a claim.

SLSA's levels of the build track (SLSA v1.2, "Build: Track basics"), and three of our own (``OWN``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import ImageFacts, Piece
from pipeline.gate.judgement import Finding
from pipeline.gate.policy import Policy
from pipeline.gate.signers import LOCAL_ROOT, GithubSigner
from pipeline.gate.standing import usable
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import Hardening, Provenance, TestResult
from pipeline.signing.identities import GITHUB_ISSUER

FAILED = "FAILED"
#: Our levels; SLSA keeps names that start with ``SLSA_`` for itself.
REPRODUCED = "GATEHOUSE_REPRODUCED"
HARDENED = "GATEHOUSE_HARDENED"
DEADLINES_MET = "GATEHOUSE_DEADLINES_MET"
OWN = (REPRODUCED, HARDENED, DEADLINES_MET)

#: Every property that an image can be seen to have, whichever of them an environment asks for.
HARDENING_ATTRIBUTES = frozenset(
    {
        "ELF_CLOSURE",
        "NON_ROOT_USER",
        "NO_DANGLING_LINKS",
        "NO_PACKAGE_MANAGER",
        "NO_SECRETS",
        "NO_SETUID_FILES",
        "NO_SHELL",
        "NO_WORLD_WRITABLE_FILES",
        "PACKAGES_UNALTERED",
    }
)
#: ``<these><name>/<platform>``, as provenance names them.
OUR_BUILDERS = "https://gatehouse.dev/builders/"
DEADLINE_RULES = frozenset({"vulnerabilities.deadline", "vulnerabilities.undated"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Standings:
    """What levels are computed from, once nothing refused."""

    image: ImageFacts
    pieces: Sequence[Piece]
    """By allowed signers and on the newest lists; of vulnerabilities the newest alone."""
    noted: Sequence[Finding]
    """What was found and did not refuse: softened by the environment, or excused by an exception."""


def levels(seen: Standings, policy: Policy, here: Environment) -> tuple[str, ...]:
    """``verifiedLevels`` of a PASSED summary: the highest level of the build track, then those of ``OWN`` that hold.

    - ``SLSA_BUILD_LEVEL_1``: there is provenance.
    - ``SLSA_BUILD_LEVEL_2``: a hosted platform signed all of it, and its builder is that platform's. What jobs that
      ran the repository's code hand to the workflow that signs comes as far as this.
    - ``SLSA_BUILD_LEVEL_3``: besides, the workflow that signed is one that the policy names as a builder, at a commit
      that was reviewed, called by another workflow: no step of the build could have written the provenance.
    - ``GATEHOUSE_REPRODUCED``: a second build gave the same, and nothing was found against it.
    - ``GATEHOUSE_HARDENED``: each platform has every property of ``HARDENING_ATTRIBUTES``.
    - ``GATEHOUSE_DEADLINES_MET``: every package was asked about, and nothing is past this environment's deadlines.
    """
    own = {
        REPRODUCED: _clean(seen, Kind.REPRODUCTION) and all(map(_reproduced, _of(seen, Kind.REPRODUCTION))),
        HARDENED: _clean(seen, Kind.HARDENING) and all(map(_hardened, _of(seen, Kind.HARDENING))),
        DEADLINES_MET: _clean(seen, Kind.VULNERABILITIES) and _deadlines_are_asked_about(policy, here),
    }
    build = min((_build_level(piece, policy, here) for piece in _of(seen, Kind.PROVENANCE)), default=0)
    return (f"SLSA_BUILD_LEVEL_{build}", *(name for name in OWN if own[name]))


def _of(seen: Standings, kind: Kind) -> list[Piece]:
    return [piece for piece in seen.pieces if piece.kind == kind]


def _clean(seen: Standings, kind: Kind) -> bool:
    """Evidence of the kind is there, for each platform where it speaks of one, and nothing was noted about it."""
    wanted: Iterable[str | None] = seen.image.platforms if SHAPES[kind].per_platform else (None,)
    there = {piece.platform for piece in _of(seen, kind)}
    return there.issuperset(wanted) and bool(there) and not any(finding.kind == kind for finding in seen.noted)


def _reproduced(piece: Piece) -> bool:
    result = piece.predicate
    return isinstance(result, TestResult) and result.result == "PASSED" and bool(result.passed_tests)


def _hardened(piece: Piece) -> bool:
    hardening = piece.predicate
    if not isinstance(hardening, Hardening):
        return False
    return {one.attribute for one in hardening.attributes if not one.conditions} >= HARDENING_ATTRIBUTES


def _deadlines_are_asked_about(policy: Policy, here: Environment) -> bool:
    asked = {one.rule.id for one in policy.rules if one.rule.applies(Kind.VULNERABILITIES, here.name)}
    return asked >= DEADLINE_RULES


def _build_level(piece: Piece, policy: Policy, here: Environment) -> int:
    if not isinstance(piece.predicate, Provenance):
        return 0
    builder = piece.predicate.run_details.builder.id
    if not _hosted(piece, builder):
        return 1
    builders = [one for one in usable(policy, here, Kind.PROVENANCE) if isinstance(one, GithubSigner) and one.builder]
    isolated = any(
        one.builder == builder and not one.differences(piece.verified, policy.repository) for one in builders
    )
    return 3 if isolated and _called_by_another(piece) else 2


def _hosted(piece: Piece, builder: str) -> bool:
    """The signer is a hosted platform's run, and the builder is that platform's and not somebody's own machine."""
    identity = piece.verified.identity
    return (
        piece.verified.root != LOCAL_ROOT
        and identity.issuer == GITHUB_ISSUER
        and identity.runner == "github-hosted"
        and ((builder.startswith(OUR_BUILDERS) and builder.endswith("/github")) or builder == identity.workflow)
    )


def _called_by_another(piece: Piece) -> bool:
    """Whether the run began with another workflow: one that starts itself can be started with any inputs."""
    identity = piece.verified.identity
    return bool(identity.caller) and identity.caller.partition("@")[0] != identity.workflow.partition("@")[0]
