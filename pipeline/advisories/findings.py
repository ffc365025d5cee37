"""Advisories of several feeds, joined with their records and merged where they are one vulnerability."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from packaging.version import InvalidVersion, Version

from pipeline.advisories.interface import Advisory, Pin
from pipeline.advisories.osv import Record
from pipeline.advisories.severity import severity_of
from pipeline.model.predicates import Severity

_PREFERRED = ("PYSEC-", "CVE-", "GHSA-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One vulnerability of one locked release. ``published`` is RFC 3339 in UTC, None where no record says."""

    pin: Pin
    id: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]
    published: str | None
    vectors: tuple[tuple[str, str], ...]
    severity: Severity
    withdrawn: bool

    @property
    def ids(self) -> frozenset[str]:
        return frozenset((self.id, *self.aliases))


def find(advisories: Iterable[Advisory], records: Mapping[str, Record]) -> list[Finding]:
    """One Finding for each set of advisories of a pin that share an id or alias, sorted.

    Of several severities the gravest counts, of several dates the earliest; it is withdrawn when every advisory is.
    """
    findings = [_merge(group, records) for group in _groups(advisories, records)]
    return sorted(findings, key=lambda finding: (finding.pin, finding.id))


def _every_id(advisory: Advisory, records: Mapping[str, Record]) -> frozenset[str]:
    record = records.get(advisory.id)
    return advisory.ids | frozenset(record.aliases if record else ())


def _groups(advisories: Iterable[Advisory], records: Mapping[str, Record]) -> list[list[Advisory]]:
    groups: list[tuple[Pin, set[str], list[Advisory]]] = []
    for advisory in advisories:
        ids, members = set(_every_id(advisory, records)), [advisory]
        apart = []
        for group in groups:
            if group[0] == advisory.pin and group[1] & ids:
                ids |= group[1]
                members = [*group[2], *members]
            else:
                apart.append(group)
        groups = [*apart, (advisory.pin, ids, members)]
    return [members for _, _, members in groups]


def _merge(group: list[Advisory], records: Mapping[str, Record]) -> Finding:
    pin = group[0].pin
    ids = frozenset().union(*(_every_id(advisory, records) for advisory in group))
    known = [records[id_] for id_ in sorted(ids) if id_ in records]
    fixed_in = frozenset().union(*(advisory.fixed_in for advisory in group), *(r.fixed_in(pin.name) for r in known))
    vectors = frozenset().union(*(record.vectors() for record in known))
    first = min(ids, key=_preference)
    return Finding(
        pin=pin,
        id=first,
        aliases=tuple(sorted(ids - {first})),
        fixed_in=tuple(sorted(fixed_in, key=_by_version)),
        published=min(filter(None, (in_utc(record.published) for record in known)), default=None),
        vectors=tuple(sorted(vectors)),
        severity=severity_of(vectors),
        withdrawn=all(_withdrawn(advisory, records) for advisory in group),
    )


def _withdrawn(advisory: Advisory, records: Mapping[str, Record]) -> bool:
    record = records.get(advisory.id)
    return record.withdrawn is not None if record else advisory.withdrawn


def _preference(id_: str) -> tuple[int, str]:
    rank = next((place for place, prefix in enumerate(_PREFERRED) if id_.startswith(prefix)), len(_PREFERRED))
    return rank, id_


def _by_version(text: str) -> tuple[bool, Version, str]:
    try:
        return False, Version(text), text
    except InvalidVersion:
        return True, Version("0"), text


def in_utc(time: str | None) -> str | None:
    """An RFC 3339 time to the second in UTC; None where it is none."""
    if time is None:
        return None
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        return None
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
