"""Promote an image into an environment: judge again, sign the verdict, write the ledger."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from pipeline.files import locked
from pipeline.gate.agreement import CLOCK_TOLERANCE
from pipeline.gate.evidence import Evidence, ImageFacts, Piece
from pipeline.gate.gathering import gather, read_image
from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall, remember
from pipeline.gate.policy import Environment, Policy
from pipeline.gate.standing import difference
from pipeline.gate.verdict import same_verdict, verdict_predicate, verdict_statement
from pipeline.model.digests import Digest
from pipeline.model.errors import Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import PromotionPredicate, VerdictPredicate, dump
from pipeline.model.statement import make_statement
from pipeline.promotion.ledger import Entry, Ledger, append, extended, lock_path, read_ledger, remember_ledger
from pipeline.signing.signer import Signer
from pipeline.store.interface import Descriptor, Store
from pipeline.store.referrers import attach

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

#: A signed verdict that still says the same is used again for so long: the daily gate signs anew.
VERDICT_AGE = timedelta(hours=20)
VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a promotion is decided with. ``signer`` is opened at the first signature, so that nothing new costs none."""

    store: Store
    state: Path
    policy: Policy
    roots: "Mapping[str, TrustedRoot]"
    signer: Callable[[], Signer]
    name: str
    """The image's name."""
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What came of it. ``entry`` is None where the environment refused, ``written`` says whether it is new."""

    judgement: Judgement
    entry: Entry | None
    written: bool
    signed: int
    """How many statements were signed."""


def promote(gate: Gate, reference: str, environment: str) -> Promotion:
    """Promote what ``reference`` is to ``environment``; the same digest on top of the ledger changes nothing.

    1. the ledger is locked, read and verified whole;
    2. the image passed the environment before, says that one's ledger;
    3. it is judged again, and the verdict signed and attached, whichever it is;
    4. the new entry is signed, held against the chain and written: from here on it is promoted;
    5. the entry is attached to the image too (again after a crash, as attaching is idempotent).

    Raises Refused (``promotion.*``, ``ledger.*``) and CannotEvaluate.
    """
    here = gate.policy.environment(environment)
    with locked(lock_path(gate.state, environment)):
        ledger = read_ledger(gate.state, environment, gate.policy, gate.roots)  # 1
        remember_ledger(gate.state, ledger)
        descriptor, image = read_image(gate.store, reference)
        _check_order(gate, image, environment)  # 2
        evidence = gather(gate.store, image, gate.roots)
        judgement = judge(
            image, evidence, gate.policy, environment, gate.now, recall(gate.state, gate.store, image.digest)
        )  # 3
        remember(gate.state, gate.store, judgement)
        verdict, signed = _verdict(gate, descriptor, evidence, judgement, here)
        if not judgement.passed:
            return Promotion(judgement=judgement, entry=None, written=False, signed=signed)
        entry, written = ledger.head, False
        if entry is None or entry.predicate.image != image.digest.hex:
            predicate = _entry(gate, image, _commit(gate, here, evidence), ledger, verdict)
            line = gate.signer().sign(_statement(gate.name, image, predicate))
            ledger = extended(ledger, line, here, gate.policy, gate.roots)
            append(gate.state, ledger)  # 4
            entry, written = ledger.entries[-1], True
        attach(gate.store, descriptor, entry.line, gate.now)  # 5
        return Promotion(judgement=judgement, entry=entry, written=written, signed=signed + written)


def _check_order(gate: Gate, image: ImageFacts, environment: str) -> None:
    before = gate.policy.before(environment)
    if before is None:
        return
    if not read_ledger(gate.state, before, gate.policy, gate.roots).holds(image.digest.hex):
        raise Refused(
            "promotion.skipped",
            f"{environment}: {image.digest} was not promoted to {before} (got no entry in its ledger, expected one)",
            fix=f"promote it to {before} first: `scripts/nox -s promote -- {before}`",
        )


def _verdict(
    gate: Gate, descriptor: Descriptor, evidence: Iterable[Evidence], judgement: Judgement, here: Environment
) -> tuple[str, int]:
    """SHA-256 of the signed verdict's bundle, and how many were signed: 0 where a young equal one is attached."""
    wanted = verdict_predicate(judgement, gate.name)
    for piece in evidence:
        if isinstance(piece, Piece) and _still_says(piece, wanted, gate, here):
            return piece.digest, 0
    bundle = gate.signer().sign(verdict_statement(judgement, gate.name))
    attach(gate.store, descriptor, bundle, gate.now)
    return Digest.of(bundle).hex, 1


def _still_says(piece: Piece, wanted: VerdictPredicate, gate: Gate, here: Environment) -> bool:
    young = -CLOCK_TOLERANCE < gate.now - piece.verified.verified_at < VERDICT_AGE
    return (
        isinstance(piece.predicate, VerdictPredicate)
        and young
        and same_verdict(piece.predicate, wanted)
        and difference(piece.verified, Kind.VERDICT, gate.policy, here) is None
    )


def _entry(gate: Gate, image: ImageFacts, commit: str, ledger: Ledger, verdict: str) -> PromotionPredicate:
    version = image.labels.get(VERSION_LABEL)
    if not version:
        raise Refused(
            "promotion.unversioned",
            f"{image.digest}: says no version (got no label {VERSION_LABEL}, expected one)",
            fix="build it with `scripts/nox -s image`, which labels it with the version of pipeline.toml",
        )
    head = ledger.head
    if gate.policy.before(ledger.environment) is not None:
        _check_newer(version, head, ledger.environment)
    return PromotionPredicate(
        environment=ledger.environment,
        sequence=len(ledger.entries) + 1,
        previous=head.digest if head else None,
        image=image.digest.hex,
        version=version,
        commit=commit,
        verdict=verdict,
        time=rfc3339(gate.now),
        requester=gate.signer().identity,
    )


def _check_newer(version: str, head: Entry | None, environment: str) -> None:
    """Past the first environment a higher version (PEP 440) follows, so that no old release with known holes returns.

    NOTE: that its commit descends from the running one is not asked; neither is a rollback granted.
    """
    try:
        found, running = Version(version), Version(head.predicate.version) if head else None
    except InvalidVersion as error:
        raise Refused(
            "promotion.unversioned",
            f"{environment}: no version to compare (got {error}, expected versions as PEP 440 writes them)",
            fix="give `[app] version` in pipeline.toml a version such as 1.2.0, and build again",
        ) from error
    if running is not None and found <= running:
        raise Refused(
            "promotion.not-newer",
            f"{environment}: {found} is not newer than what runs there (got {found}, expected more than {running})",
            fix="raise `[app] version` in pipeline.toml, build again, and promote that",
        )


def _commit(gate: Gate, here: Environment, evidence: Iterable[Evidence]) -> str:
    """The commit that the judged provenance names; a stranger's provenance, which anybody can attach, says nothing."""
    for piece in evidence:
        if not isinstance(piece, Piece) or piece.kind != Kind.PROVENANCE or piece.context is None:
            continue
        if difference(piece.verified, Kind.PROVENANCE, gate.policy, here) is None:
            return piece.context.source.commit
    return ""


def _statement(name: str, image: ImageFacts, predicate: PromotionPredicate) -> bytes:
    return make_statement([(name, image.digest)], SHAPES[Kind.PROMOTION].predicate_type, dump(predicate))
