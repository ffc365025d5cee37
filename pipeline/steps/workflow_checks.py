"""Checks of workflows that scanners lack. Each is one small unit: id, title, a pure function, a fix.

A function takes one parsed workflow (every scalar a string) and yields where it is broken, in words.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Workflow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """``find`` yields ``place: what is there`` for each breach; ``id`` is the stable code below ``workflows.``."""

    id: str
    title: str
    find: Callable[[Workflow], Iterator[str]]
    fix: str


#: Triggers that run with the repository's own rights on what strangers write.
_FOREIGN = ("pull_request_target", "workflow_run", "issue_comment", "issues", "discussion_comment", "discussion")
#: What may stand in a job that holds a signing identity or may write: fetching, checking, and the sessions that sign.
_ALLOWED_USES = re.compile(
    r"(actions/(checkout|setup-python|download-artifact|upload-artifact)|step-security/harden-runner"
    r"|docker/login-action)@[0-9a-f]{40}"
)
_ALLOWED_RUN = re.compile(r"scripts/pipeline( --[a-z-]+)* (attest|verify|promote|reproduce)( [A-Za-z0-9 _=./:@-]*)?")
_SECRET = re.compile(r"\$\{\{[^}]*\bsecrets\b[^}]*\}\}")
_PIPED = re.compile(r"\b(curl|wget)\b[^\n;&]*\|\s*(sudo\s+)?(env\s+)?(\S*/)?((ba|da|z|k)?sh|python[\d.]*|perl|node)\b")
_SUBSTITUTED = re.compile(r"((ba|da|z|k)?sh|eval|source|\.)\s+(-c\s+)?[\"']?[<$]\(\s*(curl|wget)\b")
_INSTALL = re.compile(
    r"\b(pip[\d.]*|pipx|uv(\s+pip|\s+tool)?|pipenv|poetry|easy_install)\s+(install|add|run)\b[^\n;&|]*"
)
_NPX = re.compile(r"\b(npx|uvx|npm\s+(install|i|exec)|gem\s+install|cargo\s+install|go\s+install)\b[^\n;&|]*")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def jobs(workflow: Workflow) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, job in _mapping(workflow.get("jobs")).items():
        yield name, _mapping(job)


def steps(holder: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    listed = holder.get("steps")
    for number, step in enumerate(listed if isinstance(listed, list) else [], 1):
        yield number, _mapping(step)


def shells(workflow: Workflow) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Place, step and script of every ``run``, in workflows and composite actions; continued lines are joined."""
    composite = _mapping(workflow.get("runs"))
    for name, holder in [*jobs(workflow), *([("runs", composite)] if composite else [])]:
        for number, step in steps(holder):
            if "run" in step:
                yield f"{name}, step {number}", step, re.sub(r"\\\n\s*", " ", str(step["run"]))


def _privileges(holder: Mapping[str, Any]) -> list[str] | None:
    """What ``permissions`` grants beyond reading; None where the key is absent."""
    if "permissions" not in holder:
        return None
    granted = holder["permissions"]
    if isinstance(granted, Mapping):
        return [f"{scope}: {access}" for scope, access in granted.items() if access not in ("read", "none")]
    return ["write-all"] if granted == "write-all" else []


def find_privileged_work(workflow: Workflow) -> Iterator[str]:
    general = _privileges(workflow)
    for name, job in jobs(workflow):
        own = _privileges(job)
        # Without any permissions key the repository's default holds, which may be write-all.
        held = own if own is not None else general if general is not None else ["the repository's default"]
        if not held or "uses" in job:
            continue
        for number, step in steps(job):
            if not _is_allowed(step):
                what = str(step.get("uses") or step.get("run") or "nothing").strip().splitlines()[0][:80]
                yield f"{name}, step {number}: {what!r} beside {', '.join(held)}"


def _is_allowed(step: Mapping[str, Any]) -> bool:
    if "uses" in step:
        return "run" not in step and bool(_ALLOWED_USES.fullmatch(str(step["uses"])))
    lines = [line.strip() for line in str(step.get("run", "")).strip().splitlines()]
    # Another shell would read the same words as something else.
    return "shell" not in step and bool(lines) and all(_ALLOWED_RUN.fullmatch(line) for line in lines)


def find_secrets_in_shells(workflow: Workflow) -> Iterator[str]:
    for place, step, script in shells(workflow):
        if _SECRET.search(script) or any(_SECRET.search(str(value)) for value in _mapping(step.get("env")).values()):
            yield f"{place}: a secret within reach of a shell"
    has_shell = next(shells(workflow), None) is not None
    for name, holder in [("workflow", workflow), *jobs(workflow)]:
        inherited = any(_SECRET.search(str(value)) for value in _mapping(holder.get("env")).values())
        if inherited and (has_shell if holder is workflow else any("run" in step for _, step in steps(holder))):
            yield f"{name}: env gives a secret to every shell below it"
        if holder.get("secrets") == "inherit":
            yield f"{name}: secrets: inherit hands over every secret"


def find_piped_downloads(workflow: Workflow) -> Iterator[str]:
    for place, _, script in shells(workflow):
        for match in [*_PIPED.finditer(script), *_SUBSTITUTED.finditer(script)]:
            yield f"{place}: {match[0][:80]!r}"


def find_unpinned_installs(workflow: Workflow) -> Iterator[str]:
    for place, _, script in shells(workflow):
        for match in _INSTALL.finditer(script):
            if "--require-hashes" not in match[0]:
                yield f"{place}: {match[0].strip()[:80]!r}"
        for match in _NPX.finditer(script):
            yield f"{place}: {match[0].strip()[:80]!r}"


def find_missing_timeouts(workflow: Workflow) -> Iterator[str]:
    for name, job in jobs(workflow):
        if "uses" not in job and not str(job.get("timeout-minutes", "")).isdecimal():
            yield f"{name}: {job.get('timeout-minutes', 'no timeout-minutes')}"


def find_foreign_triggers(workflow: Workflow) -> Iterator[str]:
    triggers = workflow.get("on", [])
    for trigger in [triggers] if isinstance(triggers, str) else triggers:
        if trigger in _FOREIGN:
            yield f"on: {trigger}"


CHECKS = (
    Check(
        "privileged-job",
        "a job that may sign or write runs allow-listed steps only",
        find_privileged_work,
        "do the work in a job without that permission and hand its result over by digest",
    ),
    Check(
        "secret-in-shell",
        "no shell can read a secret",
        find_secrets_in_shells,
        "give the secret to one pinned action's input, or use the job's OIDC identity instead",
    ),
    Check(
        "piped-download",
        "nothing is downloaded into an interpreter",
        find_piped_downloads,
        "lock what you need with a hash and install it from the lock",
    ),
    Check(
        "unpinned-install",
        "every installation is held to hashes",
        find_unpinned_installs,
        "install from a lock with --require-hashes, or let scripts/pipeline make the environment",
    ),
    Check(
        "timeout",
        "every job ends",
        find_missing_timeouts,
        "add timeout-minutes with a number to the job",
    ),
    Check(
        "trigger",
        "no trigger lends the repository's rights to strangers",
        find_foreign_triggers,
        "use pull_request, push, schedule or workflow_dispatch",
    ),
)
