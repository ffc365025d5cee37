"""What the tools and our own checks find in the workflows of any folder.

1. What there is: no workflow, or one that is not readable YAML, is a refusal.
2. The JSON schemas that check-jsonschema carries; a file that breaks one is a refusal too.
3. zizmor, pedantic and offline; its own configuration, ignore comments and .gitignore have no effect.
4. Each check of ``workflows.checks``.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.model.outcome import Problem
from pipeline.processes import run as run_program
from pipeline.steps.tool_output import Report, agree, read_json, typed, unreadable
from pipeline.workflows import shape
from pipeline.workflows.checks import CHECKS
from pipeline.workflows.shape import Workflow

STEP = "workflows"
FOLDER = ".github/workflows"
ZIZMOR = (
    "--offline",
    "--strict-collection",
    "--persona",
    "pedantic",
    "--no-ignores",
    "--no-config",
    "--format",
    "json",
)
_READER = Path(shape.__file__).with_name("reader.py")  # run by the checks' Python, which has the YAML library
_COMPLETED = re.compile(r" completed (\S.*)$")
#: zizmor's exit code by its gravest finding (zizmor documentation, "Exit codes").
_EXIT_CODES = {"Unknown": 10, "Informational": 11, "Low": 12, "Medium": 13, "High": 14}


class _Determinations(Report):
    severity: Literal["Unknown", "Informational", "Low", "Medium", "High"]


class _Finding(Report):
    ident: str
    desc: str
    determinations: _Determinations
    locations: list[dict[str, Any]]


class _ZizmorReport(Report):
    findings: list[_Finding]


class _SchemaError(Report):
    filename: str
    path: str = ""
    message: str


class _SchemaReport(Report):
    status: Literal["ok", "fail"]
    errors: list[_SchemaError]
    parse_errors: list[_SchemaError] = []
    checked_paths: list[str] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """``broken`` is what keeps the others from looking: no file, no YAML, no workflow by its schema."""

    files: int
    broken: tuple[Problem, ...] = ()
    by_zizmor: tuple[Problem, ...] = ()
    by_us: tuple[Problem, ...] = ()

    @property
    def problems(self) -> list[Problem]:
        return [*self.broken, *self.by_zizmor, *self.by_us]


def inspect(root: Path, python: Path, tree: Iterable[str]) -> Inspection:
    """Look at every workflow below ``root``, and at the composite actions among the files of ``tree``.

    ``python`` is that of the ``checks`` environment. Raises CannotEvaluate (``workflows.unreadable``) where a tool did
    not look at every file, or broke off.
    """
    workflows, actions = find_files(root, tree)  # 1
    if not workflows:
        none = _problem(
            "none",
            f"{FOLDER}: no workflow (got no file, expected at least one)",
            "add one, or restore .github/workflows from the template",
        )
        return Inspection(files=0, broken=(none,))
    parsed = read_files(root, python, [*workflows, *actions])
    malformed = tuple(
        _problem("malformed", f"{path}: not readable (got {read['error']}, expected one workflow)", f"mend {path}")
        for path, read in parsed.items()
        if "error" in read
    )
    if malformed:
        return Inspection(files=len(parsed), broken=malformed)
    with ThreadPoolExecutor(max_workers=3) as pool:
        of_zizmor = pool.submit(zizmor, root, python, list(parsed))
        of_workflows = pool.submit(schema, root, python, "github-workflows", workflows)
        of_actions = pool.submit(schema, root, python, "github-actions", actions) if actions else None
    by_schema = of_workflows.result() + (of_actions.result() if of_actions else [])  # 2
    if by_schema:  # zizmor holds schemas of its own, and looks at nothing once one is broken
        return Inspection(files=len(parsed), broken=tuple(by_schema))
    return Inspection(
        files=len(parsed),
        by_zizmor=tuple(of_zizmor.result()),  # 3
        by_us=tuple(item for path, read in parsed.items() for item in own_checks(path, read["content"])),  # 4
    )


def find_files(root: Path, tree: Iterable[str]) -> tuple[list[str], list[str]]:
    """Workflows as they lie on disk (GitHub reads that folder only), and composite actions anywhere in the tree."""
    folder = root / FOLDER
    found = sorted(path.relative_to(root).as_posix() for path in folder.glob("*") if path.suffix in (".yml", ".yaml"))
    names = ("action.yml", "action.yaml")
    actions = sorted(path for path in tree if path.rpartition("/")[2] in names)
    return found, [path for path in actions if "/fixtures/" not in path and path not in found]


def read_files(root: Path, python: Path, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Path to ``content`` or ``error`` of each file, read by PyYAML in the checks environment."""
    completed = run_program([str(python), "-I", str(_READER), *files], cwd=root, timeout=60)
    parsed = read_json(STEP, "workflow reader", completed, (0,))
    whole = isinstance(parsed, dict) and set(parsed) == set(files)
    if not whole or not all(isinstance(read, dict) and len(read) == 1 for read in parsed.values()):
        raise unreadable(STEP, "workflow reader", "another set of files", "every workflow")
    return {path: parsed[path] for path in files}


def zizmor(root: Path, python: Path, files: Sequence[str]) -> list[Problem]:
    """Its findings; what it says that it completed must be exactly ``files``."""
    command = [str(python.parent / "zizmor"), *ZIZMOR, "--", *files]
    completed = run_program(command, cwd=root, timeout=120)
    parsed = read_json(STEP, "zizmor", completed, (0, *_EXIT_CODES.values()))
    report = typed(STEP, "zizmor", _ZizmorReport, {"findings": parsed})
    log = completed.stderr.decode("utf-8", "replace").splitlines()
    looked = {match[1].removeprefix("./") for match in map(_COMPLETED.search, log) if match}
    if looked != set(files):
        differing = ", ".join(sorted(looked ^ set(files))[:5])
        raise unreadable(STEP, "zizmor", f"another set of files: {differing}", f"all {len(files)} files")
    codes = [_EXIT_CODES[finding.determinations.severity] for finding in report.findings]
    agree(STEP, "zizmor", completed, max(codes, default=0))
    return [
        _problem(
            finding.ident,
            f"{_place(finding)}: {finding.desc} (got {finding.determinations.severity.lower()}, expected none)",
            f"see zizmor's documentation of {finding.ident}",
        )
        for finding in report.findings
    ]


def _place(finding: _Finding) -> str:
    """``file:line`` of the first location."""
    try:
        location = finding.locations[0]
        path = location["symbolic"]["key"]["Local"]["verbatim_path"]
        return f"{str(path).removeprefix('./')}:{int(location['concrete']['location']['start_point']['row']) + 1}"
    except (LookupError, TypeError, ValueError):
        return "workflows"


def schema(root: Path, python: Path, name: str, files: Sequence[str]) -> list[Problem]:
    """Breaches of a vendored schema; ``checked_paths`` must name every one of ``files``."""
    command = [str(python), "-Im", "check_jsonschema", "--builtin-schema", f"vendor.{name}"]
    options = ["--verbose", "--output-format", "json", "--color", "never", "--", *files]
    completed = run_program([*command, *options], cwd=root, timeout=120)
    report = typed(STEP, "check-jsonschema", _SchemaReport, read_json(STEP, "check-jsonschema", completed, (0, 1)))
    errors = [*report.errors, *report.parse_errors]
    agree(STEP, "check-jsonschema", completed, 1 if errors or report.status == "fail" else 0)
    seen = {path.removeprefix("./") for path in [*report.checked_paths, *(error.filename for error in errors)]}
    if seen != set(files) or (report.status == "ok") == bool(errors):
        raise unreadable(STEP, "check-jsonschema", f"{report.status} on {len(seen)} files", f"all {len(files)} files")
    return [
        _problem("schema", f"{error.filename}: {error.path or '$'}: {error.message[:200]}", "follow the schema")
        for error in errors
    ]


def own_checks(path: str, workflow: Workflow) -> list[Problem]:
    return [
        _problem(check.id, f"{path}: {place} (expected: {check.title})", check.fix)
        for check in CHECKS
        for place in check.find(workflow)
    ]


def _problem(code: str, message: str, fix: str) -> Problem:
    return Problem(code=f"workflows.{code}", message=message, fix=fix)
