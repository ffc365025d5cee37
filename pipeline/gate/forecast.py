"""When today's evidence stops passing: the judge asked again at every moment at which its answer may change.

The moments are known for what ages, falls due or expires. What else a policy makes depend on the time (a rule may look
at ``now``) is found by asking once a week besides, and halving the week in which the answer changed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.gate.evidence import Piece
from pipeline.gate.exceptions import NOTICE
from pipeline.gate.judgement import Finding, Judgement, rfc3339
from pipeline.gate.verify_command import Release
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Vulnerabilities

_SECOND = timedelta(seconds=1)
_WEEK = timedelta(days=7)
#: A moment in a message moves with the time that is asked about, and makes no new finding of an old one.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

#: What a finding is the same by, at two times.
_Key = tuple[bool, str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that begins at ``at``. ``passed`` is the verdict from then on, None where it does not depend on it."""

    at: datetime
    refuses: bool
    """Whether it refuses, or only warns."""
    finding: Finding
    passed: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What lies ahead in one environment, earliest first. ``today`` is the verdict now."""

    environment: str
    today: Judgement
    events: tuple[Event, ...]

    @property
    def ends(self) -> datetime | None:
        """When a verdict that is PASSED today becomes FAILED; None where it does not before the end."""
        failing = (event.at for event in self.events if event.passed is False)
        return next(failing, None) if self.today.passed else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Outlooks in the order of promotion, from ``now`` up to ``until``."""

    release: Release
    now: datetime
    until: datetime
    outlooks: tuple[Outlook, ...]


def forecast(release: Release, now: datetime, days: int, environments: tuple[str, ...] = ()) -> Forecast:
    """What changes within ``days`` if nobody does anything: no new evidence, no other policy, no other roots.

    ``environments``: the policy's, all of them where none is named. Raises CannotEvaluate (``policy.environment``) and
    Misuse (``verify.time``).
    """
    until = now + timedelta(days=days)
    names = environments or tuple(here.name for here in release.policy.environments)
    outlooks = tuple(_outlook(release, name, now, until) for name in names)
    return Forecast(release=release, now=now, until=until, outlooks=outlooks)


def _outlook(release: Release, environment: str, now: datetime, until: datetime) -> Outlook:
    asked = _Asked(release, environment)
    events: list[Event] = []
    before = now
    for moment in _moments(release, environment, now, until):
        for at in _changes(asked, before, moment):
            events += asked.begun(at)
        before = moment
    events += _ending_roots(release, environment, now, until)
    return Outlook(
        environment=environment,
        today=asked.at(now),
        events=tuple(sorted(events, key=lambda event: (event.at, not event.refuses, event.finding.code))),
    )


class _Asked:
    """The judge of one environment, each moment asked once."""

    def __init__(self, release: Release, environment: str) -> None:
        self._release, self._environment = release, environment
        self._known: dict[datetime, Judgement] = {}

    def at(self, moment: datetime) -> Judgement:
        if moment not in self._known:
            self._known[moment] = self._release.judged(self._environment, moment)
        return self._known[moment]

    def same(self, first: datetime, last: datetime) -> bool:
        """Whether the same is found at both. Within a second words count too: a list of items may have grown."""
        words = last - first <= _SECOND
        return {_key(*one, words=words) for one in self._found(first)} == {
            _key(*one, words=words) for one in self._found(last)
        }

    def begun(self, at: datetime) -> Iterator[Event]:
        """What is found at ``at`` and was not a second before; not what says something else every second."""
        before, after = self._found(at - _SECOND), self._found(at + _SECOND)
        known = {words: {_key(*one, words=words) for one in before} for words in (True, False)}
        stays = {_key(*one, words=True) for one in after}
        for refuses, finding in self._found(at):
            coarse, fine = (_key(refuses, finding, words=words) for words in (False, True))
            if coarse not in known[False] or (fine not in known[True] and fine in stays):
                yield Event(at=at, refuses=refuses, finding=finding, passed=self.at(at).passed)

    def _found(self, moment: datetime) -> list[tuple[bool, Finding]]:
        judged = self.at(moment)
        return [*((True, one) for one in judged.refusals), *((False, one) for one in judged.warnings)]


def _changes(asked: _Asked, first: datetime, last: datetime) -> Iterator[datetime]:
    """The seconds in (first, last] at which the answer differs from the one before, by halving."""
    if asked.same(first, last):
        return
    if last - first <= _SECOND:
        yield last
        return
    middle = first + max(_SECOND, timedelta(seconds=(last - first).total_seconds() // 2))
    yield from _changes(asked, first, middle)
    yield from _changes(asked, middle, last)


def _key(refuses: bool, finding: Finding, *, words: bool) -> _Key:
    """What a finding is the same by: refusal or warning, code, kind, and its subject or all of its words."""
    said = _MOMENT.sub("", finding.message) if words else finding.message.partition(" (got ")[0]
    return refuses, finding.code, str(finding.kind), said


def _moments(release: Release, environment: str, now: datetime, until: datetime) -> list[datetime]:
    """Where to ask, in order: around each moment at which something ages or expires, and once a week."""
    found = {until}
    for moment in _known_moments(release, environment):
        whole = moment.astimezone(UTC).replace(microsecond=0)
        found |= {whole, whole + _SECOND}
    week = now
    while (week := week + _WEEK) < until:
        found.add(week)
    return sorted(moment for moment in found if now < moment <= until)


def _known_moments(release: Release, environment: str) -> Iterator[datetime]:
    here = release.policy.environment(environment)
    for piece in release.evidence:
        if isinstance(piece, Piece):
            yield piece.verified.verified_at + timedelta(hours=here.max_age.of(piece.kind))
            if isinstance(piece.predicate, Vulnerabilities):
                yield from _due(piece.predicate, here.deadlines.model_dump())
    for exception in release.policy.exceptions:
        if environment in exception.environments:
            yield from (exception.starts, exception.ends - NOTICE, exception.ends)


def _due(audit: Vulnerabilities, days: Mapping[str, int]) -> Iterator[datetime]:
    for found in audit.scanner.result:
        for one in found.annotations:
            if one.published is not None:
                yield datetime.fromisoformat(one.published) + timedelta(days=days[one.severity])


def _ending_roots(release: Release, environment: str, now: datetime, until: datetime) -> Iterator[Event]:
    """Parts of the trust roots that end: what was signed before still verifies, what is signed then does not."""
    from pipeline.signing.trust import expiring  # noqa: PLC0415 - imports sigstore

    for name in release.policy.environment(environment).roots:
        if name not in release.roots:
            continue
        for part in expiring(release.roots[name], now, until - now):
            if part.end is not None:
                yield Event(
                    at=part.end.astimezone(UTC),
                    refuses=False,
                    finding=Finding(
                        code="trust.expiring",
                        message=f"trust root {name}: {part.kind} {part.name} ends, and nothing that is signed then "
                        f"verifies (got {rfc3339(part.end)}, expected a successor in the root before)",
                        fix="fetch the current trusted root: `scripts/nox -s trust`",
                        kind=Kind.SIGNATURE,
                    ),
                    passed=None,
                )
