"""The ``promote`` session: into the environment named, the first one by default."""

import contextlib
import time

from pipeline.gate.step import built_image
from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse
from pipeline.model.outcome import Outcome, Status
from pipeline.model.predicates import PromotionPredicate
from pipeline.promotion.opening import load_job_policy, open_gate
from pipeline.promotion.promoting import Promotion, promote
from pipeline.promotion.recording import Gate
from pipeline.promotion.tidying import tidy
from pipeline.steps.job import Job


def run(job: Job) -> Outcome:
    """``job.options``: environment (default: the policy's first), then image (default: the last one built).

    FAILED where the environment refuses. Raises Refused (``promotion.*``, ``ledger.*``), Misuse, CannotEvaluate.
    """
    if len(job.options) > 2:
        raise Misuse(
            "promotion.arguments",
            f"promote: too many arguments (got {len(job.options)}, expected an environment and an image at most)",
            fix="type `scripts/nox -s promote -- ENVIRONMENT [sha256:...]`",
        )
    policy = load_job_policy(job)
    environment = job.options[0] if job.options else policy.environments[0].name
    reference = job.options[1] if len(job.options) > 1 else built_image(job)
    with contextlib.ExitStack() as opened:
        gate = open_gate(job, policy, opened)
        promotion = promote(gate, reference, environment)
        if promotion.entry is not None:
            _tidy(job, gate)
    return outcome(promotion, environment)


def _tidy(job: Job, gate: Gate) -> None:
    """What cannot be tidied takes room and no more: the promotion stands."""
    try:
        gone = tidy(gate, now=time.time())  # not the job's time: files carry the machine's
    except GatehouseError as error:
        job.say(f"old images stay in the local store: {error.message}")
        return
    if gone:
        job.say(f"{len(gone)} images that nobody wrote of for weeks left the local store")


def outcome(promotion: Promotion, environment: str, *, done: str = "promoted") -> Outcome:
    """What came of a promotion, or of a rollback; raises CannotEvaluate where evidence could not be evaluated."""
    judgement = promotion.judgement
    for finding in judgement.refusals:
        if finding.unreadable:
            raise CannotEvaluate(finding.code, finding.message, fix=finding.fix)
    if promotion.entry is None:
        return Outcome(
            status=Status.FAILED,
            finding=f"{environment} refuses ({len(judgement.refusals)}); nothing was promoted",
            problems=[finding.problem() for finding in judgement.refusals],
        )
    entry = promotion.entry.predicate
    version = entry.version if isinstance(entry, PromotionPredicate) else ""
    what = f"{version} ({judgement.image})"
    said = f"{done} {what}, entry {entry.sequence}" if promotion.written else f"{what} is there already"
    return Outcome(
        status=Status.PASSED,
        finding=f"{environment}: {said}",
        data={"environment": environment, "sequence": entry.sequence, "entry": promotion.entry.digest},
    )
