"""Step 3: which pieces count in an environment, because an allowed signer made them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Flaw, Piece
from pipeline.gate.identity import FOREIGN, Verified
from pipeline.gate.judgement import Finding
from pipeline.gate.policy import Policy
from pipeline.gate.signers import AnySigner, needs_repository
from pipeline.model.kinds import LISTED, Kind

#: Kinds that the judge reads. The others are written by the gate and by people, and are never its input.
READ = (*LISTED, Kind.EVIDENCE_LIST)
#: What the gate itself wrote about this image.
OUTPUT = (Kind.VERDICT, Kind.PROMOTION, Kind.GRANT)

#: Refusals and warnings.
Findings = tuple[list[Finding], list[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The pieces by whether their signer may sign their kind here."""

    accepted: tuple[Piece, ...]
    foreign: tuple[Piece, ...]
    differences: tuple[str, ...]
    """For each foreign piece, what keeps its signer from being the nearest allowed one."""

    def considered(self, kind: Kind) -> list[Piece]:
        """What the checks of a kind look at: what is accepted; else the foreign pieces.

        A kind with foreign pieces alone is refused whatever they say. The checks still run over them, so that one
        look shows everything that would refuse once they were signed by the right one.
        """
        return self._of(kind, self.accepted) or self._of(kind, self.foreign)

    def all_considered(self) -> list[Piece]:
        return [piece for kind in READ for piece in self.considered(kind)]

    def accepts(self, kind: Kind) -> bool:
        return bool(self._of(kind, self.accepted))

    @staticmethod
    def _of(kind: Kind, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if piece.kind == kind]


def stand(pieces: Iterable[Piece], policy: Policy, environment: Environment) -> Standing:
    accepted, foreign, differences = [], [], []
    for piece in pieces:
        if piece.kind not in READ:
            continue
        differing = difference(piece.verified, piece.kind, policy, environment)
        if differing is None:
            accepted.append(piece)
        else:
            foreign.append(piece)
            differences.append(differing)
    return Standing(accepted=tuple(accepted), foreign=tuple(foreign), differences=tuple(differences))


def difference(signed: Verified, kind: Kind, policy: Policy, environment: Environment) -> str | None:
    """Why this signer may not sign this kind here, as the nearest allowed one shows; None where it may."""
    if signed.root not in environment.roots:
        return f"trust root (got {signed.root}, expected {' or '.join(environment.roots)})"
    found = [signer.differences(signed, policy.repository) for signer in usable(policy, environment, kind)]
    if not found:
        return f"signer (got {signed.identity}, expected the workflows of a repository that the policy names)"
    nearest = min(found, key=len)
    return "; ".join(nearest) or None


def usable(policy: Policy, environment: Environment, kind: Kind) -> list[AnySigner]:
    """The signers of a kind that can be anybody: a workflow is nobody's until the policy names a repository."""
    signers = policy.signers_of(environment, kind)
    return [signer for signer in signers if policy.repository or not needs_repository(signer)]


def signer_findings(standing: Standing, listed: frozenset[str], policy: Policy, environment: Environment) -> Findings:
    """``signer.unset``, ``signer.untrusted`` for what is listed or has no other evidence, else a warning."""
    if not any(usable(policy, environment, kind) for kind in environment.required):
        return [_unset(environment)], []
    refusals, warnings, told = [], [], set[str]()
    for piece, differing in zip(standing.foreign, standing.differences, strict=True):
        finding = _untrusted(piece, differing)
        if piece.digest in listed or not standing.accepts(piece.kind):
            if piece.name not in told:
                refusals.append(finding)
            told.add(piece.name)
        else:
            warnings.append(ignored(finding))
    return refusals, warnings


def flaw_findings(flaws: Iterable[Flaw], listed: frozenset[str], policy: Policy, environment: Environment) -> Findings:
    """Damaged evidence refuses. Somebody else's, which no list names, is nobody's here: a warning."""
    refusals, warnings = [], []
    for flaw in flaws:
        finding = Finding.of(flaw.error, flaw.kind)
        if flaw.digest not in listed and _of_a_stranger(flaw, policy, environment):
            warnings.append(ignored(finding))
        else:
            refusals.append(finding)
    return refusals, warnings


def _of_a_stranger(flaw: Flaw, policy: Policy, environment: Environment) -> bool:
    if flaw.verified is None:
        return flaw.error.code == FOREIGN
    kinds = [flaw.kind] if flaw.kind else list(Kind)
    return all(difference(flaw.verified, kind, policy, environment) is not None for kind in kinds)


def ignored(finding: Finding) -> Finding:
    """The warning about a bundle that proves nothing here and is held against nobody."""
    return replace(finding, code="evidence.foreign", message=f"ignored, not on the evidence list: {finding.message}")


def _untrusted(piece: Piece, differing: str) -> Finding:
    return Finding(
        code="signer.untrusted",
        message=f"{piece.name}: signed by somebody else than this environment trusts: {differing}",
        fix="have the workflow that the policy names make and sign the evidence",
        kind=piece.kind,
    )


def _unset(environment: Environment) -> Finding:
    return Finding(
        code="signer.unset",
        message=f"{environment.name}: nobody may sign yet (got no repository, expected owner/name of the repository "
        "whose workflows release)",
        fix="set `repository` in policies/environments.toml, on the protected branch",
    )
