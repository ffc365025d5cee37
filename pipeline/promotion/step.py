"""The ``promote`` session: into the environment named, the first one by default."""

import contextlib
from collections.abc import Callable
from functools import cache

from pipeline.gate.gathering import load_roots
from pipeline.gate.policy import Policy, load_policy
from pipeline.gate.step import POLICIES, built_image
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.outcome import Outcome, Status
from pipeline.promotion.promoting import Gate, Promotion, promote
from pipeline.signing.opening import open_signer
from pipeline.signing.signer import Signer
from pipeline.steps.job import Job
from pipeline.store.opening import open_store


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
    policy = load_policy(job.root / POLICIES)
    environment = job.options[0] if job.options else policy.environments[0].name
    reference = job.options[1] if len(job.options) > 1 else built_image(job)
    with contextlib.ExitStack() as opened:
        promotion = promote(_gate(job, policy, _opener(job, opened)), reference, environment)
    return _outcome(promotion, environment)


def _opener(job: Job, opened: contextlib.ExitStack) -> Callable[[], Signer]:
    """Opens the signer when it is first asked for, and keeps it until ``opened`` closes."""

    @cache
    def signer() -> Signer:
        return opened.enter_context(open_signer(job.settings, job.state, root=job.root, say=job.say))

    return signer


def _gate(job: Job, policy: Policy, signer: Callable[[], Signer]) -> Gate:
    return Gate(
        store=open_store(job.settings.store.registry, job.state, docker_config=job.docker_config),
        state=job.state,
        policy=policy,
        roots=load_roots(job.state, job.root / POLICIES),
        signer=signer,
        name=job.settings.app.name,
        now=job.now,
    )


def _outcome(promotion: Promotion, environment: str) -> Outcome:
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
    what = f"{entry.version} ({judgement.image})"
    done = f"promoted {what}, entry {entry.sequence}" if promotion.written else f"{what} is there already"
    return Outcome(
        status=Status.PASSED,
        finding=f"{environment}: {done}",
        data={"environment": environment, "sequence": entry.sequence, "entry": promotion.entry.digest},
    )
