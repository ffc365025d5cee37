"""Who may do what: jobs with rights, triggers, what a job calls."""

import re
from collections.abc import Iterator

from pipeline.workflows.shape import Step, Workflow, held, jobs, steps, steps_of, triggers

#: Triggers of trusted events. Others run with the repository's own rights on what strangers write.
TRIGGERS = ("push", "pull_request", "merge_group", "schedule", "workflow_dispatch", "workflow_call")
#: What may stand in a job that holds a signing identity or may write: fetching, checking, and the sessions that sign.
_ALLOWED_USES = re.compile(
    r"(actions/(checkout|setup-python|download-artifact|upload-artifact)|step-security/harden-runner"
    r"|docker/login-action)@[0-9a-f]{40}"
)
_ALLOWED_RUN = re.compile(
    r"scripts/pipeline( --[a-z-]+)* (attest|verify|promote|reproduce|source)( [A-Za-z0-9 _=./:@-]*)?"
)
_PINNED = re.compile(r"[^@\s]+@[0-9a-f]{40}|docker://[^@\s]+@sha256:[0-9a-f]{64}")


def privileged_work(workflow: Workflow) -> Iterator[str]:
    for name, job in jobs(workflow):
        rights = held(workflow, job)
        if not rights or "uses" in job:
            continue
        for step in steps_of(name, job):
            if not _is_allowed(step):
                what = str(step.own.get("uses") or step.own.get("run") or "nothing").strip().splitlines()[0][:80]
                yield f"{step.place}: {what!r} beside {', '.join(rights)}"


def _is_allowed(step: Step) -> bool:
    if "uses" in step.own:
        return "run" not in step.own and bool(_ALLOWED_USES.fullmatch(str(step.own["uses"])))
    lines = [line.strip() for line in str(step.own.get("run", "")).strip().splitlines()]
    # Another shell would read the same words as something else.
    return "shell" not in step.own and bool(lines) and all(_ALLOWED_RUN.fullmatch(line) for line in lines)


def default_rights(workflow: Workflow) -> Iterator[str]:
    if "jobs" in workflow and workflow.get("permissions") != {}:
        yield f"permissions: {workflow.get('permissions', 'none said')}"


def foreign_triggers(workflow: Workflow) -> Iterator[str]:
    yield from (f"on: {trigger}" for trigger in triggers(workflow) if trigger not in TRIGGERS)


def unpinned_actions(workflow: Workflow) -> Iterator[str]:
    for step in steps(workflow):
        used = str(step.own.get("uses", ""))
        if used and not used.startswith("./") and not _PINNED.fullmatch(used):
            yield f"{step.place}: {used[:120]!r}"


def moving_workflows(workflow: Workflow) -> Iterator[str]:
    """Reusable workflows of other repositories, called by a branch or a tag that somebody may move."""
    for name, job in jobs(workflow):
        used = str(job.get("uses", ""))
        if used and not used.startswith("./") and not _PINNED.fullmatch(used):
            yield f"{name}: {used[:120]!r}"


def endless_jobs(workflow: Workflow) -> Iterator[str]:
    for name, job in jobs(workflow):
        if "uses" not in job and not str(job.get("timeout-minutes", "")).isdecimal():
            yield f"{name}: {job.get('timeout-minutes', 'no timeout-minutes')}"
