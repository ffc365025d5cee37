"""What stands in shells: secrets, what strangers wrote, and what is fetched and run without a hash."""

import re
from collections.abc import Iterator

from pipeline.workflows.shape import Workflow, jobs, mapping, shells, steps, steps_of

_SECRET = re.compile(r"\$\{\{[^}]*\bsecrets\b[^}]*\}\}")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
#: What GitHub itself makes up; whatever else is expanded into a script may hold what somebody wrote.
_HARMLESS = re.compile(
    r"\s*(github\.(sha|run_id|run_number|run_attempt|repository_id|repository_owner_id|workspace|job)"
    r"|runner\.(os|arch|temp)|job\.status)\s*"
)
_PIPED = re.compile(r"\b(curl|wget)\b[^\n;&]*\|\s*(sudo\s+)?(env\s+)?(\S*/)?((ba|da|z|k)?sh|python[\d.]*|perl|node)\b")
_SUBSTITUTED = re.compile(r"((ba|da|z|k)?sh|eval|source|\.)\s+(-c\s+)?[\"']?[<$]\(\s*(curl|wget)\b")
_INSTALL = re.compile(
    r"\b(pip[\d.]*|pipx|uv(\s+pip|\s+tool)?|pipenv|poetry|easy_install)\s+(install|add|run)\b[^\n;&|]*"
)
_NPX = re.compile(r"\b(npx|uvx|npm\s+(install|i|exec)|gem\s+install|cargo\s+install|go\s+install)\b[^\n;&|]*")


def secrets_in_shells(workflow: Workflow) -> Iterator[str]:
    for step in shells(workflow):
        within = [step.script, *map(str, mapping(step.own.get("env")).values())]
        if any(map(_SECRET.search, within)):
            yield f"{step.place}: a secret within reach of a shell"
    has_shell = next(shells(workflow), None) is not None
    for name, holder in [("workflow", workflow), *jobs(workflow)]:
        inherited = any(_SECRET.search(str(value)) for value in mapping(holder.get("env")).values())
        own_shell = any("run" in step.own for step in steps_of(name, holder))
        if inherited and (has_shell if holder is workflow else own_shell):
            yield f"{name}: env gives a secret to every shell below it"
        if holder.get("secrets") == "inherit":
            yield f"{name}: secrets: inherit hands over every secret"


def foreign_text(workflow: Workflow) -> Iterator[str]:
    """An expression is put into the script before any shell reads it: a title such as ``$(id)`` becomes a command."""
    for step in steps(workflow):
        for script in (step.script, str(step.inputs.get("script", ""))):
            for found in _EXPRESSION.finditer(script):
                if not _HARMLESS.fullmatch(found[1]):
                    yield f"{step.place}: {found[0][:80]!r}"


def piped_downloads(workflow: Workflow) -> Iterator[str]:
    for step in shells(workflow):
        for match in [*_PIPED.finditer(step.script), *_SUBSTITUTED.finditer(step.script)]:
            yield f"{step.place}: {match[0][:80]!r}"


def unpinned_installs(workflow: Workflow) -> Iterator[str]:
    for step in shells(workflow):
        for match in _INSTALL.finditer(step.script):
            if "--require-hashes" not in match[0]:
                yield f"{step.place}: {match[0].strip()[:80]!r}"
        for match in _NPX.finditer(step.script):
            yield f"{step.place}: {match[0].strip()[:80]!r}"
