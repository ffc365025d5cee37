"""A result that came later than the rest: signed, attached, and named by a successor of this signer's newest list."""

from pipeline.model.context import Context
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence
from pipeline.model.predicates import dump
from pipeline.model.statement import parse_statement
from pipeline.signing.signer import Signer
from pipeline.steps.attached import Own, find_equal, read_own
from pipeline.steps.attest import Subject, sign
from pipeline.steps.evidence_list import absences, make_list, newest_list
from pipeline.steps.job import Job
from pipeline.store.interface import Store
from pipeline.store.referrers import attached_bundles, ensure_listed


def attach_result(
    job: Job, store: Store, signer: Signer, subject: Subject, evidence: Evidence, context: Context
) -> list[Own]:
    """Sign and attach what is not there yet, with the successor of this signer's newest list; its pieces afterwards.

    Raises CannotEvaluate (``signing.*``, ``store.*``, ``registry.*``).
    """
    image = subject.image.digest
    own = read_own(attached_bundles(store, image), image, signer)
    statement = subject.statement(evidence)
    if not find_equal(own, parse_statement(statement), job.now):
        own.append(sign(store, signer, subject, statement, job.now))
    before = newest_list(own)
    listed = make_list(
        own,
        absences(before[1]) if before else (),
        platforms=subject.platforms,
        attester=signer.identity,
        context=context,
        now=job.now,
    )
    if listed is not None:
        document = Evidence(kind=Kind.EVIDENCE_LIST, predicate=dump(listed))
        own.append(sign(store, signer, subject, subject.statement(document), job.now))
    ensure_listed(store, image, [one.manifest for one in own])
    return own
