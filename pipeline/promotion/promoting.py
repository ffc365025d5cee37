"""Promote an image into an environment: judge again, sign the verdict, copy, write the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from pipeline.gate.agreement import CLOCK_TOLERANCE
from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts, Piece
from pipeline.gate.gathering import gather, read_image
from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall, remember
from pipeline.gate.standing import difference
from pipeline.gate.verdict import same_verdict, verdict_predicate, verdict_statement
from pipeline.model.digests import Digest
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.model.predicates import PromotionPredicate, VerdictPredicate
from pipeline.promotion.ledger import Entry, Ledger
from pipeline.promotion.recording import Gate, check_repository, follow, known_ledger, opened_ledger, place_of, record
from pipeline.promotion.succession import check_order, check_succession, is_running
from pipeline.store.interface import Descriptor, Store
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach
from pipeline.store.transfer import copy

#: A signed verdict that still says the same is used again for so long: the daily gate signs anew.
VERDICT_AGE = timedelta(hours=20)
VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What came of it. ``entry`` is None where the environment refused, ``written`` says whether it is new."""

    judgement: Judgement
    entry: Entry | None
    written: bool
    signed: int
    """How many statements were signed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """The image that is to run, judged, with its signed verdict."""

    descriptor: Descriptor
    image: ImageFacts
    judgement: Judgement
    verdict: str
    """SHA-256 of the verdict's bundle."""
    signed: int
    commit: str
    ref: str
    """The branch that the certificate behind the provenance names, empty where it names none."""

    @property
    def version(self) -> str:
        """Raises Refused (``promotion.unversioned``)."""
        found = self.image.labels.get(VERSION_LABEL)
        if not found:
            raise Refused(
                "promotion.unversioned",
                f"{self.image.digest}: says no version (got no label {VERSION_LABEL}, expected one)",
                fix="build it with `scripts/nox -s image`, which labels it with the version of pipeline.toml",
            )
        return found


def promote(gate: Gate, reference: str, environment: str) -> Promotion:
    """Promote what ``reference`` is to ``environment``; the same digest on top of the ledger changes nothing.

    1. the ledger is locked, read, verified whole, and held against memory and repository;
    2. the image passed the environment before, says that one's ledger;
    3. it is judged again, and the verdict signed and attached, whichever it is;
    4. it is newer than what runs;
    5. image, evidence and verdict are copied to the environment's repository, listed again there, and judged there;
    6. the new entry is signed, held against the chain and written: from here on it is promoted;
    7. the entry is attached to the image, the tag moved, the overlay written (again after a crash).

    Raises Refused (``promotion.*``, ``ledger.*``) and CannotEvaluate.
    """
    with opened_ledger(gate, environment) as ledger:  # 1
        descriptor, image = read_image(gate.store, reference)
        settling = is_running(ledger, image.digest.hex)
        check_repository(gate, ledger, image.digest, settling=settling)
        check_order(_before(gate, environment), environment, image.digest.hex)  # 2
        release = judged(gate, descriptor, image, environment)  # 3
        if not release.judgement.passed:
            return Promotion(judgement=release.judgement, entry=None, written=False, signed=release.signed)
        if not settling:  # 4
            of = release.version, release.commit, release.ref
            check_succession(ledger, image.digest.hex, *of, gate.policy, gate.history)
        place(gate, release, environment)  # 5
        longer = ledger if settling else record(gate, ledger, promotion_entry(gate, ledger, release))  # 6
        entry = longer.last_promotion
        follow(gate, longer, entry, descriptor)  # 7
        signed = release.signed + (not settling)
        return Promotion(judgement=release.judgement, entry=entry, written=not settling, signed=signed)


def _before(gate: Gate, environment: str) -> Ledger | None:
    before = gate.policy.before(environment)
    return known_ledger(gate, before) if before else None


def judged(gate: Gate, descriptor: Descriptor, image: ImageFacts, environment: str) -> Release:
    """The image judged for ``environment``, and the verdict signed and attached, whichever it is."""
    here = gate.policy.environment(environment)
    evidence = gather(gate.store, image, gate.roots)
    judgement = _judgement(gate, gate.store, image, evidence, here)
    remember(gate.state, gate.store, judgement)
    verdict, signed = _verdict(gate, descriptor, evidence, judgement, here)
    commit, ref = _built_from(gate, here, evidence)
    return Release(
        descriptor=descriptor,
        image=image,
        judgement=judgement,
        verdict=verdict,
        signed=signed,
        commit=commit,
        ref=ref,
    )


def _judgement(
    gate: Gate, store: Store, image: ImageFacts, evidence: tuple[Evidence, ...], here: Environment
) -> Judgement:
    return judge(image, evidence, gate.policy, here.name, gate.now, recall(gate.state, store, image.digest))


def place(gate: Gate, release: Release, environment: str) -> None:
    """Have image, evidence and verdict in the environment's repository, where the evidence alone has to carry it.

    Raises Refused (``promotion.copy``) where what is there does not, CannotEvaluate (``store.*``, ``registry.*``).
    """
    here, target = gate.policy.environment(environment), gate.repository(environment)
    if target.address == gate.store.address:
        return
    copy(gate.store, release.descriptor, target)
    _, image = read_image(target, str(release.image.digest))
    evidence = gather(target, image, gate.roots)
    judgement = _judgement(gate, target, image, evidence, here)
    remember(gate.state, target, judgement)
    held = {one.digest for one in evidence}
    if release.verdict not in held or not judgement.passed:
        got = judgement.refusals[0].message if judgement.refusals else "no verdict"
        raise Refused(
            "promotion.copy",
            f"{environment}: what its repository holds does not carry the image (got {got}, expected what "
            f"{gate.store.address} holds)",
            fix=f"look at what is attached to the image in {target.address}, and remove what does not belong to it",
        )


def promotion_entry(
    gate: Gate, ledger: Ledger, release: Release, *, grant: str | None = None, reason: str | None = None
) -> PromotionPredicate:
    """The next entry of ``ledger``; with ``grant``, a Grant's digest, it is a rollback."""
    here, sequence, previous = place_of(gate, ledger)
    return PromotionPredicate(
        environment=here.name,
        sequence=sequence,
        previous=previous,
        image=release.image.digest.hex,
        version=release.version,
        commit=release.commit,
        verdict=release.verdict,
        time=rfc3339(gate.now),
        requester=gate.asked_by,
        reason=reason,
        grant=grant,
        # A folder has lists of its own, which nobody else will ever see.
        lists={} if isinstance(gate.store, OciLayout) else dict(release.judgement.sequences),
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


def _built_from(gate: Gate, here: Environment, evidence: Iterable[Evidence]) -> tuple[str, str]:
    """The commit that the judged provenance names, and the branch of its certificate.

    A stranger's provenance, which anybody can attach, says nothing.
    """
    for piece in evidence:
        if not isinstance(piece, Piece) or piece.kind != Kind.PROVENANCE or piece.context is None:
            continue
        if difference(piece.verified, Kind.PROVENANCE, gate.policy, here) is None:
            return piece.context.source.commit, piece.verified.identity.ref
    return "", ""
