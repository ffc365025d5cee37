"""``requirements/base.lock.json``: reading it, holding it against the package list, and making it anew."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pipeline.debian.downloads import Wanted, fetch_all
from pipeline.debian.mirrors import find_mirrors
from pipeline.debian.packages import (
    ARCHITECTURES,
    LIST,
    LOCK,
    UPDATE,
    Architecture,
    BaseLock,
    Package,
    PackageList,
    parse_list,
)
from pipeline.debian.release import KEYS
from pipeline.debian.resolution import resolve_base
from pipeline.files import read_limited, write_atomic
from pipeline.model.documents import parse
from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse
from pipeline.model.outcome import Problem
from pipeline.settings import Base, Settings

MAX_LOCK = 4 << 20


def load(root: Path) -> BaseLock:
    """The lock as it is; raises CannotEvaluate (``base.no-lock``, ``document.*``)."""
    try:
        content = read_limited(root / LOCK, MAX_LOCK)
    except OSError as error:
        raise CannotEvaluate(
            "base.no-lock",
            f"{LOCK}: not readable (got {error.strerror}, expected the locked base)",
            fix=f"lock the base with `{UPDATE}`",
        ) from error
    return parse(BaseLock, content, what=LOCK, limit=MAX_LOCK)


def fetch_packages(
    lock: BaseLock, architecture: Architecture, settings: Base, cache: Path, say: Callable[[str], None]
) -> dict[Package, Path]:
    """Each locked package to its checked file below ``cache``; raises as ``fetch_all`` and ``find_mirrors`` do."""
    packages, mirrors = lock.packages[architecture], find_mirrors(settings)
    wanted = [
        Wanted(f"{item.name} {item.version}", item.sha256, item.size, mirrors.addresses(item.path, lock.snapshot))
        for item in packages
    ]
    files = fetch_all(wanted, cache / "debs", say=say)
    return {package: files[package.sha256] for package in packages}


def load_list(root: Path) -> PackageList:
    """``base.in``; raises Misuse (``base.no-list``) and Refused (``base.list``)."""
    try:
        return parse_list((root / LIST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(
            "base.no-list",
            f"{LIST}: not readable (got {error}, expected the package list of the base)",
            fix=f"restore it with `git checkout {LIST}`",
        ) from error


def check(root: Path, settings: Settings) -> list[Problem]:
    """What keeps the lock from being used, judged offline: shape, suite, and exactly the listed packages."""
    try:
        lock, wanted = load(root), load_list(root)
        lock.python()
    except GatehouseError as error:
        return [Problem(code=error.code, message=error.message, fix=error.fix)]
    return [*_suite_problems(lock, settings), *_package_problems(lock, wanted)]


def require(root: Path, settings: Settings) -> BaseLock:
    """The lock where ``check`` finds nothing; else raises its first problem as CannotEvaluate."""
    problems = check(root, settings)
    if problems:
        raise CannotEvaluate(problems[0].code, problems[0].message, fix=problems[0].fix)
    return load(root)


def update(root: Path, settings: Settings, say: Callable[[str], None], *, now: datetime | None = None) -> BaseLock:
    """Resolve the list anew and write the lock; the old one stays where anything is refused.

    Raises Refused and CannotEvaluate (``base.*``, ``download.*``), Misuse (``base.no-mirror``).
    """
    previous = _previous(root)
    lock = resolve_base(
        load_list(root),
        settings.base.suite,
        find_mirrors(settings.base),
        keys=root / KEYS,
        now=now or datetime.now(UTC),
        previous=previous,
        say=say,
    )
    write_atomic(root / LOCK, (json.dumps(lock.model_dump(mode="json"), indent=1) + "\n").encode())
    for line in _changes(previous, lock):
        say(line)
    return lock


def _previous(root: Path) -> BaseLock | None:
    # A lock that is there and cannot be read is not "none": its dates are what a rollback is measured against.
    return load(root) if (root / LOCK).exists() else None


def _changes(old: BaseLock | None, new: BaseLock) -> list[str]:
    before = {(arch, p.name): p.version for arch, packages in (old.packages if old else {}).items() for p in packages}
    after = {(arch, p.name): p.version for arch, packages in new.packages.items() for p in packages}
    return [
        f"{arch} {name}: {before.get((arch, name), 'new')} -> {after.get((arch, name), 'removed')}"
        for arch, name in sorted(before.keys() | after.keys())
        if before.get((arch, name)) != after.get((arch, name))
    ]


def _suite_problems(lock: BaseLock, settings: Settings) -> list[Problem]:
    if lock.suite == settings.base.suite:
        return []
    return [
        Problem(
            code="base.other-suite",
            message=f"{LOCK}: locked for another suite (got {lock.suite}, expected {settings.base.suite})",
            fix=f"lock the base anew with `{UPDATE}`, or set `[base] suite` back in pipeline.toml",
        )
    ]


def _package_problems(lock: BaseLock, wanted: PackageList) -> list[Problem]:
    problems = []
    for architecture in ARCHITECTURES:
        names = sorted(package.name for package in lock.packages.get(architecture, []))
        if names != list(wanted.packages):
            differing = sorted(set(names) ^ set(wanted.packages)) or ["a package twice"]
            problems.append(
                Problem(
                    code="base.stale-lock",
                    message=f"{LOCK}: not what {LIST} lists for {architecture} "
                    f"(got a difference in {', '.join(differing)}, expected none)",
                    fix=f"lock the base anew with `{UPDATE}`",
                )
            )
    return problems
