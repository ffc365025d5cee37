"""Mypy, strict, over every Python file, beside the packages whose types it reads."""

import re

from pipeline.model.outcome import Outcome, Problem, Status
from pipeline.processes import Completed
from pipeline.processes import run as run_program
from pipeline.steps.job import Job
from pipeline.steps.python_files import repository_files
from pipeline.steps.tool_output import agree, unreadable

STEP = "types"
_ERROR = re.compile(r"([^:\n]+):(\d+): error: (.+?)(?:  \[([a-z0-9-]+)\])?")
_CLEAN = re.compile(r"Success: no issues found in (\d+) source files?")
_FOUND = re.compile(r"Found (\d+) errors? in \d+ files? \(checked (\d+) source files?\)")


def run(job: Job) -> Outcome:
    """Raises CannotEvaluate (``types.unreadable``): exit code, errors and summary must tell the same story."""
    files = repository_files(job.root)
    # Every choice stands in pyproject.toml: a mypy.ini or setup.cfg planted beside it is not read.
    fixed = ["--config-file", "pyproject.toml", "--cache-dir", str(job.state / "cache" / "mypy"), "--strict"]
    shape = ["--no-pretty", "--no-color-output", "--show-error-codes", "--hide-error-context", "--error-summary"]
    completed = run_program(
        [job.python("test"), "-Im", "mypy", *fixed, *shape, "--", *files], cwd=job.root, timeout=900
    )
    problems = read_errors(completed, len(files))
    if problems:
        finding = f"{len(problems)} errors, first: {problems[0].message}"
        return Outcome(status=Status.FAILED, finding=finding, problems=problems)
    return Outcome(status=Status.PASSED, finding=f"{len(files)} files are typed, strictly")


def read_errors(completed: Completed, given: int) -> list[Problem]:
    """Mypy's errors, if it says itself that it checked all ``given`` files and counted as many as it printed."""
    lines = completed.stdout.decode("utf-8", "replace").splitlines()
    errors = [match for match in map(_ERROR.fullmatch, lines) if match]
    clean, found = (pattern.fullmatch(lines[-1] if lines else "") for pattern in (_CLEAN, _FOUND))
    said, checked = (0, int(clean[1])) if clean else (int(found[1]), int(found[2])) if found else (-1, -1)
    if said != len(errors) or checked != given or given == 0:
        got = f"{len(errors)} errors, {said} counted, {checked} files checked; {completed.last_words}"
        raise unreadable(STEP, "mypy", got, f"every error counted and {given} files, more than none, checked")
    agree(STEP, "mypy", completed, 1 if errors else 0)
    return [
        Problem(
            code=f"types.{match[4] or 'error'}",
            message=f"{match[1]}:{match[2]}: {match[3]}",
            fix="scripts/nox -s types shows them all",
        )
        for match in errors
    ]
