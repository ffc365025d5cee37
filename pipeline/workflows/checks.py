"""The checks of workflows that scanners lack: each with its id, its title, where it looks, and what to do.

A function takes one parsed workflow and yields where it is broken, in words.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.workflows import handing_over, rights, scripts
from pipeline.workflows.shape import Workflow


@dataclass(frozen=True, slots=True)
class Check:
    """``find`` yields ``place: what is there`` for each breach; ``id`` is the stable code below ``workflows.``."""

    id: str
    title: str
    find: Callable[[Workflow], Iterator[str]]
    fix: str


CHECKS = (
    Check(
        "privileged-job",
        "a job that may sign or write runs allow-listed steps only",
        rights.privileged_work,
        "do the work in a job without that permission and hand its result over by digest",
    ),
    Check(
        "default-rights",
        "a workflow grants nothing by itself",
        rights.default_rights,
        "write `permissions: {}` at the top, and what a job needs in the job",
    ),
    Check(
        "trigger",
        "no trigger lends the repository's rights to strangers",
        rights.foreign_triggers,
        f"use one of {', '.join(rights.TRIGGERS)}",
    ),
    Check(
        "unpinned-action",
        "every action is the commit that was looked at",
        rights.unpinned_actions,
        "name the full commit, and its version in a comment behind it",
    ),
    Check(
        "moving-workflow",
        "a reusable workflow is called by commit",
        rights.moving_workflows,
        "name the full commit of the workflow, or keep a copy in this repository",
    ),
    Check(
        "timeout",
        "every job ends",
        rights.endless_jobs,
        "add timeout-minutes with a number to the job",
    ),
    Check(
        "secret-in-shell",
        "no shell can read a secret",
        scripts.secrets_in_shells,
        "give the secret to one pinned action's input, or use the job's OIDC identity instead",
    ),
    Check(
        "text-in-shell",
        "nothing that somebody wrote becomes part of a script",
        scripts.foreign_text,
        'give it to the step as a variable (`env:`) and write "$NAME" in the script',
    ),
    Check(
        "piped-download",
        "nothing is downloaded into an interpreter",
        scripts.piped_downloads,
        "lock what you need with a hash and install it from the lock",
    ),
    Check(
        "unpinned-install",
        "every installation is held to hashes",
        scripts.unpinned_installs,
        "install from a lock with --require-hashes, or let scripts/pipeline make the environment",
    ),
    Check(
        "unchecked-artifact",
        "an artifact is held against the digest that its job gave",
        handing_over.unchecked_artifacts,
        "let the next step run `sha256sum --strict --check` on digests from the outputs of the job that made it",
    ),
    Check(
        "cache-in-release",
        "what can release reads no cache",
        handing_over.caches_in_releases,
        "leave the cache out: any branch may have filled it",
    ),
)
