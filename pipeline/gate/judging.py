"""The verdict: a pure function of image, evidence, policy, environment, time and what was seen before."""

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime

from pipeline.gate.agreement import (
    completeness_findings,
    contradiction_findings,
    image_findings,
    source_findings,
    time_findings,
)
from pipeline.gate.asking import ask
from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, Flaw, ImageFacts, Memory, Piece
from pipeline.gate.judgement import Finding, Judgement
from pipeline.gate.levels import FAILED, Standings, levels
from pipeline.gate.listing import Listing, list_findings, memory_findings, read_listing
from pipeline.gate.policy import Policy
from pipeline.gate.revocation import revocation_findings, revocations
from pipeline.gate.standing import OUTPUT, Standing, flaw_findings, signer_findings, stand
from pipeline.model.kinds import SHAPES, Kind

#: Admission controllers stop at 50 referrers (Kyverno).
MANY = 40


def judge(
    image: ImageFacts, evidence: Sequence[Evidence], policy: Policy, environment: str, now: datetime, memory: Memory
) -> Judgement:
    """Judge ``image`` for ``environment`` at ``now``. Pure: the same arguments give the same Judgement.

    1. ``image`` is what the reference was resolved to; no tag is looked at again.
    2. ``evidence`` is every bundle that refers to it; many of them warn.
    3. Each verified (Piece) or says why not (Flaw), and is signed by who may sign its kind here.
    4. Statement, predicate type and subject fit (else a Flaw); source, locks and contents are the provenance's.
    5. The evidence list is there, newest, complete; nothing is late, early, or contradicted.
    6. Each predicate parses strictly (else a Flaw).
    7. The policy's exceptions excuse what they name, while they are in force and inside the budget.
    8. Every rule is asked about every piece of its kinds; none stops the others.
    9. Each required kind is there, on the list, by an allowed signer. No refusal is PASSED.
    10. The verdict is returned, whichever it is; promotion signs and attaches it.

    Raises CannotEvaluate (``policy.environment``).
    """
    here = policy.environment(environment)
    pieces = [one for one in evidence if isinstance(one, Piece)]
    standing = stand(pieces, policy, here)
    lists = standing.considered(Kind.EVIDENCE_LIST)
    listing = read_listing(lists)
    considered = _newest_vulnerabilities(standing.all_considered())
    flaws = [
        one for one in evidence if isinstance(one, Flaw) and (one.kind not in OUTPUT or one.digest in listing.named)
    ]
    known = {one.digest: one.kind for one in evidence}
    inputs: list[Evidence] = [*standing.accepted, *standing.foreign, *flaws, *revocations(pieces, policy, here)]

    strangers, ignored_strangers = signer_findings(standing, listing.named, policy, here)  # 3
    damaged, ignored_damaged = flaw_findings(flaws, listing.named, policy, here)  # 3, 4, 6
    gaps = [
        *strangers,
        *damaged,
        *list_findings(lists, listing, standing.all_considered(), known),  # 5
        *memory_findings((piece for piece in pieces if piece.kind == Kind.EVIDENCE_LIST), memory.sequences, here.roots),
    ]
    asked = ask(considered, policy, here, image.digest, now, {piece.digest for piece in standing.foreign})  # 7, 8
    findings = [
        *gaps,
        *source_findings(considered),  # 4
        *image_findings(considered, image.labels),
        *completeness_findings(considered),
        *time_findings(_newest_lists(considered, listing), here.max_age, now),
        *contradiction_findings(considered),
        *revocation_findings(pieces, memory, policy, here),
        *asked.refusals,  # 7, 8
        *_missing(image, standing, listing, here, {finding.kind for finding in gaps}),  # 9
    ]
    refusals = [finding for finding in findings if finding.code not in here.warns]
    soft = [finding for finding in findings if finding.code in here.warns]
    return Judgement(  # 10
        environment=environment,
        image=image.digest,
        policy=policy.digest,
        time=now,
        refusals=tuple(dict.fromkeys(refusals)),
        warnings=tuple(
            dict.fromkeys(
                [*soft, *asked.excused, *asked.warnings, *ignored_strangers, *ignored_damaged, *_many(evidence)]
            )
        ),
        exceptions=asked.used,
        levels=(FAILED,)
        if refusals
        else levels(_counted(image, standing, listing, [*soft, *asked.excused]), policy, here),
        inputs=tuple(one.as_input() for one in inputs),
        sequences=read_listing(piece for piece in standing.accepted if piece.kind == Kind.EVIDENCE_LIST).sequences,
    )


def _counted(image: ImageFacts, standing: Standing, listing: Listing, noted: Sequence[Finding]) -> Standings:
    """What levels are computed from: what only a superseded list names says nothing more."""
    current = [piece for piece in standing.accepted if piece.digest in listing.present]
    return Standings(image=image, pieces=_newest_vulnerabilities(current), noted=noted)


def _newest_vulnerabilities(pieces: Iterable[Piece]) -> list[Piece]:
    """Of vulnerabilities the newest verified time counts, as what is known grows; of other kinds every piece does."""
    pieces = list(pieces)
    times = [piece.verified.verified_at for piece in pieces if piece.kind == Kind.VULNERABILITIES]
    return [piece for piece in pieces if piece.kind != Kind.VULNERABILITIES or piece.verified.verified_at == max(times)]


def _newest_lists(pieces: Iterable[Piece], listing: Listing) -> list[Piece]:
    """Without the lists that have a successor: those are late by nature."""
    return [piece for piece in pieces if piece.kind != Kind.EVIDENCE_LIST or piece in listing.newest]


def _missing(
    image: ImageFacts, standing: Standing, listing: Listing, here: Environment, refused: Container[Kind | None]
) -> Iterator[Finding]:
    """Required and not there, except where a kind was ``refused`` under another name: withheld, damaged."""
    for kind in here.required:
        found = standing.considered(kind)
        # What only a superseded list names is gone; what no list names was refused for that.
        pieces = [one for one in found if one.digest in listing.present or one.digest not in listing.named]
        if not pieces and kind in refused:
            continue
        platforms: Iterable[str | None] = sorted(image.platforms) if SHAPES[kind].per_platform else (None,)
        for platform in platforms:
            if not any(piece.platform == platform for piece in pieces):
                name = f"{kind} {platform}" if platform else str(kind)
                yield _finding_missing(name, listing.absent.get((kind, platform), "none"), kind)


def _finding_missing(name: str, got: str, kind: Kind) -> Finding:
    return Finding(
        code="evidence.missing",
        message=f"{name}: no evidence (got {got}, expected it from an allowed signer)",
        fix="run the step that makes it, then attest again: `scripts/nox -s attest`",
        kind=kind,
    )


def _many(evidence: Sequence[Evidence]) -> Iterator[Finding]:
    if len(evidence) >= MANY:
        yield Finding(
            code="evidence.many",
            message=f"referrers: nearly too many (got {len(evidence)}, expected fewer than {MANY})",
            fix="remove superseded audits from the registry: admission controllers stop at 50 referrers",
        )
