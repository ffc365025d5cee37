"""What passes between runs: artifacts, which anybody with a job's token could have put there, and caches."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.workflows.shape import Step, Workflow, held, jobs, mapping, steps, steps_of, triggers

#: ``sha256sum --check`` reads digests that another job's output gave; without ``--strict`` it skips malformed lines.
_CHECKED = re.compile(r"\bsha256sum\b[^\n|;&]*\s(--check|-c)\b")
_DOWNLOADS = ("actions/download-artifact",)
_CACHES = ("actions/cache", "actions/cache/restore", "actions/cache/save")


def unchecked_artifacts(workflow: Workflow) -> Iterator[str]:
    for name, job in jobs(workflow):
        taken: list[Step] = []
        for step in steps_of(name, job):
            if step.action in _DOWNLOADS:
                taken.append(step)
            elif _CHECKED.search(step.script):
                taken.clear()
            elif taken and ("run" in step.own or step.action != "actions/upload-artifact"):
                break
        yield from (f"{step.place}: used without a look at its digest" for step in taken)


def caches_in_releases(workflow: Workflow) -> Iterator[str]:
    if not _may_release(workflow):
        return
    for step in steps(workflow):
        if step.action in _CACHES:
            yield f"{step.place}: {step.action}"
        for name, value in _cache_inputs(step.inputs):
            yield f"{step.place}: {name}: {str(value)[:60]}"


def _cache_inputs(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in inputs.items():
        if name in ("cache", "cache-from", "cache-to", "enable-cache") and str(value).lower() not in (
            "",
            "false",
            "none",
        ):
            yield name, value


def _may_release(workflow: Workflow) -> bool:
    """Whether anything that people install can come out of it: a job with rights, a tag, a release."""
    on = mapping(workflow.get("on"))
    tags = "tags" in mapping(on.get("push"))
    return tags or "release" in triggers(workflow) or any(held(workflow, job) for _, job in jobs(workflow))
