"""From a package list to a lock, through Debian's signed indexes only."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.debian.control import Stanza, alternatives
from pipeline.debian.downloads import fetch
from pipeline.debian.mirrors import Mirrors
from pipeline.debian.packages import ARCHITECTURES, LIST, Architecture, BaseLock, Package, PackageList, SuiteDate
from pipeline.debian.release import (
    MAX_PACKAGES,
    MAX_RELEASE,
    Release,
    Suite,
    load_keys,
    read_packages,
    read_release,
    suites_of,
    verify_signature,
)
from pipeline.debian.versions import DebianVersion
from pipeline.model.documents import validate
from pipeline.model.errors import Refused

#: The pool keeps a superseded file for more than a day and the snapshot archive looks several times a day,
#: so half a day after a suite's Date the snapshot holds everything that the suite named.
SNAPSHOT_DELAY = timedelta(hours=12)


def resolve_base(
    wanted: PackageList,
    suite: str,
    mirrors: Mirrors,
    *,
    keys: Path,
    now: datetime,
    previous: BaseLock | None,
    say: Callable[[str], None],
) -> BaseLock:
    """Resolve ``wanted`` for every architecture in the suite, its updates and its security updates.

    Raises Refused (``base.*``) and CannotEvaluate (``base.keys``, ``download.*``).
    """
    releases = [_release(item, mirrors, keys=keys, now=now, previous=previous) for item in suites_of(suite)]
    packages: dict[Architecture, list[Package]] = {}
    for architecture in ARCHITECTURES:
        say(f"reading the packages of {suite} for {architecture}")
        candidates = [
            (release.suite.archive, stanza)
            for release in releases
            for stanza in read_packages(release, architecture, _fetcher(mirrors, release.suite, now))
        ]
        packages[architecture] = choose(wanted, candidates, architecture=architecture)
    return _lock(suite, releases, packages, previous)


def choose(wanted: PackageList, candidates: Sequence[tuple[str, Stanza]], *, architecture: str) -> list[Package]:
    """The newest candidate, ``(archive, stanza)``, of each package; every dependency is there or left out by name.

    Raises Refused (``base.no-package``, ``base.dependency``, ``base.malformed``).
    """
    best: dict[str, tuple[str, Stanza]] = {}
    for archive, stanza in candidates:
        name = stanza["Package"]
        if name in wanted.packages and (name not in best or _version(stanza) > _version(best[name][1])):
            best[name] = (archive, stanza)
    missing = [name for name in wanted.packages if name not in best]
    if missing:
        raise Refused(
            "base.no-package",
            f"{LIST}: not in the suite for {architecture} (got {', '.join(missing)}, expected names of packages)",
            fix=f"correct or remove the name in {LIST}: a new suite often renames libraries",
        )
    _check_dependencies(wanted, [stanza for _, stanza in best.values()], architecture)
    return [_package(archive, stanza) for _, (archive, stanza) in sorted(best.items())]


def _check_dependencies(wanted: PackageList, chosen: Sequence[Stanza], architecture: str) -> None:
    provided = {name for stanza in chosen for group in alternatives(stanza.get("Provides", "")) for name in group}
    known = {*wanted.packages, *wanted.omitted, *provided}
    for stanza in chosen:
        for group in alternatives(f"{stanza.get('Depends', '')},{stanza.get('Pre-Depends', '')}"):
            if not known.intersection(group):
                raise Refused(
                    "base.dependency",
                    f"{stanza['Package']} for {architecture}: a dependency is missing "
                    f"(got none of {' | '.join(group)}, expected it in {LIST})",
                    fix=f"add {group[0]} to {LIST}, or `!{group[0]}  # why` where it is left out on purpose",
                )


def _version(stanza: Stanza) -> DebianVersion:
    try:
        return DebianVersion(stanza["Version"])
    except ValueError as error:
        raise Refused(
            "base.malformed",
            f"{stanza['Package']}: no version (got {stanza['Version'][:80]!r}, expected Debian's form)",
            fix="fetch again from another mirror; if it stays so, the mirror is wrong: do not lock from it",
        ) from error


def _package(archive: str, stanza: Stanza) -> Package:
    # ``Source: glibc (2.41-12)`` carries a version only where it is not the binary package's.
    source, _, version = stanza.get("Source", stanza["Package"]).partition(" ")
    value = {
        "name": stanza["Package"],
        "version": stanza["Version"],
        "architecture": stanza["Architecture"],
        "source": source,
        "source_version": version.strip("()") or stanza["Version"],
        "sha256": stanza["SHA256"],
        "size": int(stanza["Size"]) if stanza["Size"].isdecimal() else stanza["Size"],
        "path": f"{archive}/{stanza['Filename']}",
    }
    return validate(Package, value, what=f"package {stanza['Package']}")


def _release(item: Suite, mirrors: Mirrors, *, keys: Path, now: datetime, previous: BaseLock | None) -> Release:
    certs = load_keys(keys, item.archive)
    content = _fetcher(mirrors, item, now, limit=MAX_RELEASE)("InRelease")
    signed = verify_signature(content, certs, what=f"InRelease of {item.name}")
    dates = [suite.date for suite in previous.suites if suite.name == item.name] if previous else []
    not_before = max((datetime.fromisoformat(date) for date in dates), default=None)
    return read_release(signed, item, now=now, not_before=not_before)


def _fetcher(mirrors: Mirrors, suite: Suite, now: datetime, *, limit: int = MAX_PACKAGES) -> Callable[[str], bytes]:
    folder = f"{mirrors.current(suite.archive, now)}/dists/{suite.name}"
    return lambda path: fetch(f"{folder}/{path}", what=f"{path} of {suite.name}", limit=limit)


def _lock(
    suite: str, releases: Sequence[Release], packages: Mapping[Architecture, list[Package]], previous: BaseLock | None
) -> BaseLock:
    newest: dict[str, datetime] = {}
    for release in releases:
        newest[release.suite.archive] = max(release.date, newest.get(release.suite.archive, release.date))
    unchanged = previous is not None and previous.suite == suite and previous.packages == packages
    value = {
        "version": 1,
        "suite": suite,
        "time": previous.time if previous and unchanged else int(max(newest.values()).timestamp()),
        "snapshot": {archive: f"{date + SNAPSHOT_DELAY:%Y%m%dT%H%M%SZ}" for archive, date in newest.items()},
        "suites": [
            SuiteDate.model_validate(
                {
                    "archive": release.suite.archive,
                    "name": release.suite.name,
                    "date": f"{release.date:%Y-%m-%dT%H:%M:%SZ}",
                }
            ).model_dump()
            for release in releases
        ],
        "packages": {arch: [package.model_dump() for package in items] for arch, items in packages.items()},
    }
    return validate(BaseLock, value, what="base lock")
