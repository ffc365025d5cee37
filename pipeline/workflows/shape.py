"""A parsed workflow or composite action (every scalar a string) as its jobs, steps and shells; odd shapes are empty."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Workflow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step with its place in words; ``script`` is its ``run`` with continued lines joined, empty for others."""

    place: str
    holder: Mapping[str, Any]
    """The job, or the ``runs`` of a composite action."""
    own: Mapping[str, Any]

    @property
    def script(self) -> str:
        return re.sub(r"\\\n\s*", " ", str(self.own.get("run", "")))

    @property
    def action(self) -> str:
        """``owner/name`` of its action, empty for a shell."""
        return str(self.own.get("uses", "")).partition("@")[0]

    @property
    def inputs(self) -> Mapping[str, Any]:
        return mapping(self.own.get("with"))


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def jobs(workflow: Workflow) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, job in mapping(workflow.get("jobs")).items():
        yield name, mapping(job)


def steps(workflow: Workflow) -> Iterator[Step]:
    """Every step, of workflows and of composite actions."""
    composite = mapping(workflow.get("runs"))
    for name, holder in [*jobs(workflow), *([("runs", composite)] if composite else [])]:
        yield from steps_of(name, holder)


def steps_of(name: str, holder: Mapping[str, Any]) -> Iterator[Step]:
    for number, step in enumerate(listed(holder.get("steps")), 1):
        yield Step(f"{name}, step {number}", holder, mapping(step))


def shells(workflow: Workflow) -> Iterator[Step]:
    return (step for step in steps(workflow) if "run" in step.own)


def triggers(workflow: Workflow) -> list[str]:
    said = workflow.get("on", [])
    return (
        [said] if isinstance(said, str) else [str(name) for name in (said if isinstance(said, Mapping | list) else [])]
    )


def privileges(holder: Mapping[str, Any]) -> list[str] | None:
    """What ``permissions`` grants beyond reading; None where the key is absent."""
    if "permissions" not in holder:
        return None
    granted = holder["permissions"]
    if isinstance(granted, Mapping):
        return [f"{scope}: {access}" for scope, access in granted.items() if access not in ("read", "none")]
    return ["write-all"] if granted == "write-all" else []


def held(workflow: Workflow, job: Mapping[str, Any]) -> list[str]:
    """What a job may do beyond reading. Without any key the repository's default holds, which may be everything."""
    own, general = privileges(job), privileges(workflow)
    return own if own is not None else general if general is not None else ["the repository's default"]
