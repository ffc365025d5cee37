"""Signing evidence and attaching it, with the list that names it: what attest and every later result do alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.files import locked
from pipeline.model.context import Context
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.outcome import Evidence
from pipeline.model.predicates import dump
from pipeline.model.statement import make_statement, parse_statement
from pipeline.signing.signer import Signer
from pipeline.steps.attached import Own, find_equal, read_own
from pipeline.steps.collected import Absent
from pipeline.steps.evidence_list import absences, make_list, newest_list, piece_name
from pipeline.steps.job import Job
from pipeline.store.interface import Descriptor, Store
from pipeline.store.referrers import attach, attached_bundles, ensure_listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The image in its store. ``platforms``: ``linux/amd64`` to the manifest (a single manifest's own digest)."""

    name: str
    image: Descriptor
    platforms: dict[str, Digest]

    def statement(self, evidence: Evidence) -> bytes:
        """Names the image, and the platform's manifest where the evidence speaks of one of several."""
        subjects = [(self.name, self.image.digest)]
        manifest = self.platforms.get(evidence.platform or "")
        if manifest is not None and manifest != self.image.digest:
            subjects.append((f"{self.name} {evidence.platform}", manifest))
        return make_statement(subjects, SHAPES[evidence.kind].predicate_type, evidence.predicate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """All pieces of this signer on the image, how many were there before, and how many referrers the image has."""

    own: list[Own]
    kept: int
    referrers: int


def attach_listed(
    job: Job,
    store: Store,
    signer: Signer,
    subject: Subject,
    evidence: Sequence[Evidence],
    *,
    absent: Iterable[Absent] | None,
    context: Context,
) -> Listed:
    """Sign and attach what is not there yet, and the successor of the newest list where that says less.

    ``absent`` are the kinds that are not there and why; None leaves it at what the newest list says. Raises
    CannotEvaluate (``signing.*``, ``store.*``, ``registry.*``).
    """
    image = subject.image.digest
    # Two at once would each follow the same list: a fork, which the gate refuses.
    lock = job.state / "locks" / "evidence-list.lock"
    with locked(lock, waiting=lambda: job.say("this clone attests already: waiting for its end")):
        own = read_own(attached_bundles(store, image), image, signer)
        kept = 0
        for one in evidence:
            statement = subject.statement(one)
            if find_equal(own, parse_statement(statement), job.now):
                kept += 1
            else:
                job.say(f"signing {piece_name(one.kind, one.platform)}")
                own.append(sign(store, signer, subject, statement, job.now))
        before = newest_list(own) if absent is None else None
        listed = make_list(
            own,
            absences(before[1]) if before else absent or (),
            platforms=subject.platforms,
            attester=signer.identity,
            context=context,
            now=job.now,
        )
        if listed is not None:
            document = Evidence(kind=Kind.EVIDENCE_LIST, predicate=dump(listed))
            own.append(sign(store, signer, subject, subject.statement(document), job.now))
        referrers = ensure_listed(store, image, [one.manifest for one in own])
    return Listed(own=own, kept=kept, referrers=len(referrers))


def sign(store: Store, signer: Signer, subject: Subject, statement: bytes, now: datetime) -> Own:
    """Sign ``statement`` and attach it; raises CannotEvaluate (``attest.kind``, ``signing.*``, ``store.*``)."""
    bundle = signer.sign(statement)
    referrer = attach(store, subject.image, bundle, now)
    parsed = parse_statement(statement)
    kind = parsed.kind
    if kind is None:
        raise CannotEvaluate(
            "attest.kind",
            f"statement: not of a known kind (got {parsed.predicate_type}, expected one of the design's)",
            fix="run the steps again with `scripts/pipeline --fresh`",
        )
    return Own(statement=parsed, kind=kind, bundle=bundle, manifest=referrer.digest)
