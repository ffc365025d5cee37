"""What a promotion is decided with, from the settings: stores, ledger, signer, policy."""

import contextlib
from collections.abc import Callable
from functools import cache

from pipeline.gate.gathering import load_roots
from pipeline.gate.policy import Policy, load_policy
from pipeline.gate.step import POLICIES
from pipeline.promotion.git_credentials import push_credentials
from pipeline.promotion.git_ledger import GitLedger
from pipeline.promotion.history import GitHistory
from pipeline.promotion.ledger_store import LedgerStore, LocalLedger
from pipeline.promotion.recording import Gate
from pipeline.signing.opening import open_signer
from pipeline.signing.signer import Signer
from pipeline.steps.job import Job
from pipeline.store.interface import Store
from pipeline.store.opening import open_store


def load_job_policy(job: Job) -> Policy:
    return load_policy(job.root / POLICIES)


def open_gate(job: Job, policy: Policy, opened: contextlib.ExitStack) -> Gate:
    """``opened`` closes the signer, which is opened when it is first asked for."""
    signer = _opener(job, opened)
    return Gate(
        store=open_store(job.settings.store.registry, job.state, docker_config=job.docker_config),
        state=job.state,
        policy=policy,
        roots=load_roots(job.state, job.root / POLICIES),
        signer=signer,
        name=job.settings.app.name,
        now=job.now,
        ledgers=open_ledger_store(job, signer),
        repository=_repositories(job),
        history=GitHistory(job.root),
        requester=job.requester,
        waiting=lambda: job.say("another promotion runs in this clone: waiting for its end"),
    )


def _opener(job: Job, opened: contextlib.ExitStack) -> Callable[[], Signer]:
    @cache
    def signer() -> Signer:
        return opened.enter_context(open_signer(job.settings, job.state, root=job.root, say=job.say))

    return signer


def open_ledger_store(job: Job, signer: Callable[[], Signer]) -> LedgerStore:
    """The team's branch where one is set and the ambient identity signs, else the state folder.

    What the clone's own instance signs, no other clone can verify: on the branch it would break the chain for all.
    """
    settings = job.settings.promotion
    if settings.remote and signer().instance == "ambient":
        credentials = push_credentials(job.root, settings.remote, job.forge)
        return GitLedger(job.root, settings.remote, settings.branch, credentials)
    return LocalLedger(job.state)


def _repositories(job: Job) -> Callable[[str], Store]:
    """Each environment's own repository, by default the one that the image was attested in."""

    @cache
    def repository(environment: str) -> Store:
        address = job.settings.promotion.repositories.get(environment) or job.settings.store.registry
        return open_store(address, job.state, docker_config=job.docker_config)

    return repository
