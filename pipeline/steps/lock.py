"""Check that every lock is hashed, from one index and fresh; ``update`` writes them, ``base`` the Debian base's.

1. The locks parse strictly, offline.
2. The base lock is what its list asks for.
3. Each lock is made again in a scrubbed environment and compared.
"""

import difflib
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import indexes
from pipeline.debian import base_lock
from pipeline.files import write_atomic
from pipeline.hash_locks import Locked, parse_lock, read_lock
from pipeline.lock_inputs import read_inputs
from pipeline.model.errors import Misuse, Refused
from pipeline.model.outcome import Artifact, Outcome, Problem, Status
from pipeline.steps.job import LOCKS, Job
from pipeline.steps.lock_compilers import OLDEST, Compiler, PipCompile, Uv, prepare, source_of

Locks = Mapping[str, Mapping[str, Locked]]
_UPDATE = "scripts/nox -s lock -- update"


def run(job: Job) -> Outcome:
    """Options: none (check with uv), ``reference`` (check with pip-compile), ``update``, ``base``.

    Raises Misuse (``lock.option``), Refused (``lock.*``) and CannotEvaluate (``lock.unresolvable``).
    """
    match list(job.options):
        case []:
            return _check(job, uv, "uv")
        case ["reference"]:
            return _check(job, pip_compile, "pip-compile")
        case ["update"]:
            return _update(job)
        case ["base"]:
            base_lock.update(job.root, job.settings, job.say)
            return Outcome(status=Status.PASSED, finding="base lock written")
    raise Misuse(
        "lock.option",
        f"lock: unknown option (got {' '.join(job.options)!r}, expected none, update, reference or base)",
        fix="run `scripts/nox -s lock`, or one of `scripts/nox -s lock -- update`, `-- reference`, `-- base`",
    )


def uv(job: Job) -> Uv:
    python = job.python("bootstrap")
    return Uv(python.parent / "uv", python, indexes.uv_environment())


def pip_compile(job: Job) -> PipCompile:
    """Raises Misuse (``lock.python``) where the checks environment's Python is not the one that locks are made for."""
    python = job.python("checks")
    if not any(python.parent.parent.glob(f"lib/python{OLDEST}")):
        raise Misuse(
            "lock.python",
            f"pip-compile: resolves for the Python that runs it (got another, expected {OLDEST})",
            fix=f"run with Python {OLDEST}: `GATEHOUSE_PYTHON=python{OLDEST} scripts/nox -s lock -- update`",
        )
    return PipCompile(python, indexes.pip_environment())


def lock_names(root: Path) -> list[str]:
    """Every Python lock that is there or should be; ``base.in`` is a list of Debian packages."""
    known = {name for name in LOCKS if name.endswith(".txt")}
    found = {path.relative_to(root).as_posix() for path in (root / "requirements").glob("*.txt")}
    listed = {f"requirements/{path.stem}.txt" for path in (root / "requirements").glob("*.in") if path.stem != "base"}
    return sorted(known | found | listed)


def read_all(root: Path) -> dict[str, dict[str, Locked]]:
    """Each lock and its source, parsed strictly; raises Refused (``lock.*``)."""
    locks = {name: read_lock(root, name) for name in lock_names(root)}
    for name in locks:
        read_inputs(root, source_of(name))
    return locks


def compile_all(root: Path, locks: Locks, compiler: Compiler) -> dict[str, bytes]:
    """Make every lock again, side by side, keeping the pins that still fit."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-lock-") as folder:
        workspace = Path(folder)
        prepare(root, workspace, {name: {p.name: p.version for p in pins.values()} for name, pins in locks.items()})
        with ThreadPoolExecutor(max_workers=len(locks)) as pool:
            return dict(zip(locks, pool.map(lambda name: compiler(workspace, name), locks), strict=True))


def difference(name: str, stored: bytes, made: bytes) -> str:
    """A unified diff from ``stored`` to ``made``, empty where the lock holds.

    Hashes that the index has and the lock lacks are no difference: a release gets wheels for new platforms later,
    and what is not listed cannot be installed.
    """
    have = {line.rstrip(" \\") for line in stored.decode().splitlines()}
    old = [line.rstrip(" \\") for line in stored.decode().splitlines() if line.strip() and not _is_comment(line)]
    new = [line.rstrip(" \\") for line in made.decode().splitlines() if line.strip() and not _is_comment(line)]
    kept = [line for line in new if not line.startswith("    --hash=") or line in have]
    if kept == old:
        return ""
    return "\n".join(difflib.unified_diff(old, kept, f"a/{name}", f"b/{name}", lineterm="")) + "\n"


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _check(job: Job, compiler: Callable[[Job], Compiler], tool: str) -> Outcome:
    locks = read_all(job.root)  # 1
    problems = base_lock.check(job.root, job.settings)  # 2
    made = compile_all(job.root, locks, compiler(job))  # 3
    diffs = {name: difference(name, (job.root / name).read_bytes(), made[name]) for name in locks}
    problems += [_stale(name, diff) for name, diff in diffs.items() if diff]
    artifacts = _write_diff(job, "".join(diffs.values()))
    total = sum(len(pins) for pins in locks.values())
    if problems:
        return Outcome(status=Status.FAILED, finding=problems[0].message, problems=problems, artifacts=artifacts)
    return Outcome(status=Status.PASSED, finding=f"{len(locks)} locks, {total} pins with hashes, fresh by {tool}")


def _write_diff(job: Job, text: str) -> list[Artifact]:
    path = job.dist / "reports" / "lock.diff"
    if text:
        return [job.write_artifact(path, text.encode())]
    path.unlink(missing_ok=True)  # an old diff must not speak of today's locks
    return []


def _stale(name: str, diff: str) -> Problem:
    changed = [line for line in diff.splitlines()[2:] if line[:1] in "+-"]
    pins = [line for line in changed if "==" in line]
    if not pins and all(line.startswith("-    --hash=") for line in changed):
        return Problem(
            code="lock.unknown-hash",
            message=f"{name}: hashes that the index does not have (got {changed[0].strip(' -')}, expected the index's)",
            fix=f"find out where they come from before you run `{_UPDATE}`",
        )
    first = pins[0] if pins else changed[0]
    return Problem(
        code="lock.stale",
        message=f"{name}: not what {source_of(name)} resolves to (got {len(changed)} changed lines, first "
        f"{first!r}, expected none; see dist/reports/lock.diff)",
        fix=_UPDATE,
    )


def _update(job: Job) -> Outcome:
    """pip-compile writes, uv must come to the same bytes; only then is any lock replaced."""
    before = {name: _pins_or_none(job.root, name) for name in lock_names(job.root)}
    for name in before:
        read_inputs(job.root, source_of(name))
    job.say(f"pip-compile resolves {len(before)} locks; this takes a minute or two")
    made = compile_all(job.root, before, pip_compile(job))
    parsed = {name: parse_lock(content, what=name) for name, content in made.items()}
    again = compile_all(job.root, parsed, uv(job))
    for name, content in made.items():
        if again[name] != content:
            raise Refused(
                "lock.disagree",
                f"{name}: pip-compile and uv differ (got {_first_difference(content, again[name])}, expected one lock)",
                fix="run it again; if they still differ, pin what they differ about in " + source_of(name),
            )
    changed = [name for name, content in made.items() if _content(job.root / name) != content]
    for name in changed:
        write_atomic(job.root / name, made[name])
    written = f"{', '.join(changed)} written" if changed else "every lock is as it was"
    return Outcome(status=Status.PASSED, finding=f"{written}; pip-compile and uv agree byte for byte")


def _pins_or_none(root: Path, name: str) -> dict[str, Locked]:
    """The pins to keep: of a lock that is damaged or not there, none."""
    try:
        return read_lock(root, name)
    except Refused:
        return {}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _first_difference(one: bytes, other: bytes) -> str:
    lines = difflib.unified_diff(one.decode().splitlines(), other.decode().splitlines(), lineterm="", n=0)
    return repr(next((line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")), "other bytes"))
