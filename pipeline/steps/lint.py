"""Ruff (rules and format) over every Python file, hadolint over the Dockerfile; planted configurations are not read."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.model.outcome import Outcome, Problem, Status
from pipeline.processes import run as run_program
from pipeline.steps.job import Job
from pipeline.steps.python_files import repository_files
from pipeline.steps.tool_output import Report, agree, read_json, typed

STEP = "lint"
_CLEAN, _FINDINGS, _ERROR = 0, 1, 2


class _Place(Report):
    row: int


class _RuffFinding(Report):
    code: str | None
    filename: str
    location: _Place
    message: str


class _RuffReport(Report):
    findings: list[_RuffFinding]


class _DockerfileFinding(Report):
    code: str
    file: str
    line: int
    message: str


class _DockerfileReport(Report):
    findings: list[_DockerfileFinding]


def run(job: Job) -> Outcome:
    """Raises CannotEvaluate (``lint.unreadable``) where a tool's exit code and report differ, or one is missing."""
    files = repository_files(job.root)
    if not files:
        problem = Problem(
            code="lint.none",
            message="lint: nothing to look at (got no Python file, expected at least one)",
            fix="commit the service's code; `git status --ignored` shows what is ignored",
        )
        return Outcome(status=Status.FAILED, finding=problem.message, problems=[problem])
    problems = [*ruff(job, files, "check"), *ruff(job, files, "format"), *hadolint(job)]
    if problems:
        finding = f"{len(problems)} findings, first: {problems[0].message}"
        return Outcome(status=Status.FAILED, finding=finding, problems=problems)
    return Outcome(status=Status.PASSED, finding=f"{len(files)} Python files and the Dockerfile are clean")


def ruff(job: Job, files: Sequence[str], task: str) -> list[Problem]:
    """``ruff check`` or ``ruff format --check`` (``task``) by pyproject.toml alone; no other file steers it."""
    options = ["--no-fix"] if task == "check" else ["--check"]
    given = ["--config", "pyproject.toml", "--force-exclude", "--cache-dir", str(job.state / "cache" / "ruff")]
    command: list[str | Path] = [job.python("checks").parent / "ruff", task, *options, *given]
    completed = run_program([*command, "--output-format", "json", "--", *files], cwd=job.root, timeout=300)
    # ``ruff format`` ends with 2 for a file that does not parse, and names it like any other finding.
    parsed = read_json(STEP, "ruff", completed, (_CLEAN, _FINDINGS, _ERROR) if task == "format" else (0, 1))
    report = typed(STEP, "ruff", _RuffReport, {"findings": parsed})
    broken = any(finding.code == "invalid-syntax" for finding in report.findings)
    meant = _FINDINGS if report.findings else _CLEAN
    agree(STEP, "ruff", completed, _ERROR if broken and task == "format" else meant)
    fix = "scripts/nox -s lint shows them; `ruff check --fix` and `ruff format` mend most"
    return [
        Problem(
            code=f"lint.{finding.code or 'ruff'}",
            message=f"{_below(job.root, finding.filename)}:{finding.location.row}: {finding.message}",
            fix=fix,
        )
        for finding in report.findings
    ]


def hadolint(job: Job) -> list[Problem]:
    """Hadolint's findings on the service's Dockerfile; its pragmas and configuration files have no effect."""
    dockerfile = f"{job.settings.app.directory}/Dockerfile"
    with tempfile.NamedTemporaryFile(suffix=".yaml") as config:
        config.write(b"ignored: []\n")
        config.flush()
        options = ["--config", config.name, "--disable-ignore-pragma", "--no-color", "--format", "json"]
        completed = run_program(
            [job.python("checks").parent / "hadolint", *options, dockerfile], cwd=job.root, timeout=120
        )
    parsed = read_json(STEP, "hadolint", completed, (_CLEAN, _FINDINGS))
    report = typed(STEP, "hadolint", _DockerfileReport, {"findings": parsed})
    agree(STEP, "hadolint", completed, _FINDINGS if report.findings else _CLEAN)
    return [
        Problem(
            code=f"lint.{finding.code}",
            message=f"{finding.file}:{finding.line}: {finding.message}",
            fix=f"change {dockerfile}",
        )
        for finding in report.findings
    ]


def _below(root: Path, filename: str) -> str:
    path = Path(filename)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
