"""Ask every feed about every locked package, and say which packages were really audited."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipeline.advisories.interface import CANARY, Answer, Feed, Pin

NO_CANARY = f"the feed did not report the known-vulnerable {CANARY}, so its silence says nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """``audited`` and ``unaudited`` (pin to reason) together are the pins asked about."""

    answers: tuple[Answer, ...]
    audited: frozenset[Pin]
    unaudited: Mapping[Pin, str]
    canary: bool
    """Every audited pin was audited by a feed that reported the canary, and there was such a feed."""


def ask_checked(feed: Feed, pins: Sequence[Pin]) -> Answer:
    """The feed's answer; nothing counts as audited unless it reports the canary, asked beside it in the same way.

    What it reports is kept either way.
    """
    with ThreadPoolExecutor(2) as pool:
        asked, canary = pool.map(feed.ask, (list(pins), [CANARY]))
    if canary.reports_canary:
        return asked
    reason = NO_CANARY if canary.answered else (asked.note or canary.note)
    unaudited = {pin: asked.unaudited.get(pin, reason) for pin in pins}
    return replace(asked, answered=False, audited=frozenset(), unaudited=unaudited, note=reason)


def survey(pins: Sequence[Pin], feeds: Sequence[Feed], fallback: Feed | None) -> Survey:
    """Ask ``feeds`` side by side, then ``fallback`` about what they left.

    A pin is audited when each of ``feeds`` audited it, or the fallback did. Raises CannotEvaluate (``audit.*``) where
    a tool crashed or answered nonsense.
    """
    with ThreadPoolExecutor(len(feeds)) as pool:
        answers = list(pool.map(lambda feed: ask_checked(feed, pins), feeds))
    audited = frozenset(pins).intersection(*(answer.audited for answer in answers))
    left = sorted(set(pins) - audited)
    if left and fallback is not None:
        answers.append(ask_checked(fallback, left))
        audited |= answers[-1].audited
    unaudited = {pin: _reasons(pin, answers) for pin in sorted(set(pins) - audited)}
    return Survey(answers=tuple(answers), audited=audited, unaudited=unaudited, canary=bool(audited))


def _reasons(pin: Pin, answers: Iterable[Answer]) -> str:
    return "; ".join(f"{answer.feed}: {answer.unaudited[pin]}" for answer in answers if pin in answer.unaudited)
