"""Steps 7 and 8: every rule is asked about every piece of its kinds, and exceptions excuse what they name."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Piece
from pipeline.gate.exceptions import NOTICE, PolicyException, of_environment, spent
from pipeline.gate.judgement import Finding, rfc3339
from pipeline.gate.policy import Policy
from pipeline.gate.rules import CompiledRule, Item, Refusal, View
from pipeline.model.digests import Digest

SIGNERS = "signers"
_FILE = "policies/exceptions.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the rules said. ``excused`` refuses no longer, and is told all the same."""

    refusals: tuple[Finding, ...]
    excused: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    used: tuple[str, ...]
    """The exceptions without which there would be more refusals."""


@dataclass
class _Tally:
    """What became of the exceptions in force while the rules were asked."""

    in_force: Sequence[PolicyException]
    asked: set[str] = field(default_factory=set)
    found: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


def ask(
    pieces: Iterable[Piece],
    policy: Policy,
    here: Environment,
    image: Digest,
    now: datetime,
    strangers: Container[str] = (),
) -> Asked:
    """All rules over all ``pieces``; none stops the others. Pure.

    ``strangers`` are the digests of pieces whose signer is refused in any case: rules about signers leave them alone.

    7. The exceptions of this environment and image that are in force count, unless there are more than its budget
       bears: then none does. An expired one counts as absent.
    8. What a rule refuses, less the items that they name, is a refusal.
    """
    exceptions = of_environment(policy.exceptions, here.name)
    over = list(_over_budget(exceptions, here, now))
    current = [one for one in exceptions if one.in_force(now) and one.speaks_of(image)]
    tally = _Tally(in_force=() if over else current)
    refusals, excused = list(over), []
    for piece, seen in views(pieces, here, now):
        for compiled in policy.rules_about(piece.kind, here.name):
            if compiled.rule.family == SIGNERS and piece.digest in strangers:
                continue
            left, told = _asked(compiled, seen, piece, tally)
            refusals += [_finding(left, piece)] if left else []
            excused += told
    return Asked(
        refusals=tuple(refusals),
        excused=tuple(excused),
        warnings=(*_told(tally, now), *_absent(exceptions, now)),
        used=tuple(sorted(tally.used)),
    )


def views(pieces: Iterable[Piece], here: Environment, now: datetime) -> Iterator[tuple[Piece, View]]:
    """What the rules of an environment see of each piece."""
    limits, deadlines = here.plain_limits(), here.deadlines.model_dump()
    for piece in pieces:
        yield (
            piece,
            View(
                predicate=piece.plain,
                limits=limits,
                deadlines=deadlines,
                signer=piece.verified.identity.facts(),
                environment=here.name,
                verified=piece.verified.verified_at,
                now=now,
            ),
        )


def _asked(compiled: CompiledRule, seen: View, piece: Piece, tally: _Tally) -> tuple[Refusal | None, list[Finding]]:
    """What is left of the rule's refusal, and what exceptions took from it."""
    mine = [one for one in tally.in_force if one.code == compiled.rule.id]
    if mine:
        tally.asked |= {one.id for one in mine}
        there = list(compiled.items(seen))
        tally.found |= {one.id for one in mine if any(_is_found(one, item, compiled) for item in there)}
    refusal = compiled.refusal(seen)
    if refusal is None or not mine:
        return refusal, []
    told, gone = [], set[Item]()
    for one in mine:
        named = [item for item in refusal.items if one.names(item)]
        if named:
            told.append(_excused(one, refusal, named, piece))
            tally.used.add(one.id)
            gone.update(named)
    return refusal.without(gone), told


def _is_found(one: PolicyException, item: Item, compiled: CompiledRule) -> bool:
    # An item is there, however the rule finds it today; of evidence as a whole only a refusal is something to find.
    return one.names(item) and (compiled.rule.each is not None or not item.allowed)


def _finding(refusal: Refusal, piece: Piece) -> Finding:
    where = f"{piece.platform} " if piece.platform else ""
    rule = refusal.rule
    return Finding(code=rule.id, message=f"{where}{refusal.message}", fix=rule.fix, kind=piece.kind)


def _excused(one: PolicyException, refusal: Refusal, named: Sequence[Item], piece: Piece) -> Finding:
    told = refusal.without(item for item in refusal.items if item not in named) or refusal
    return Finding(
        code="exception.used",
        message=f"exception {one.id}: excuses until the end of {one.expires}, by {one.owner}, {one.ticket}: "
        f"{_finding(told, piece).message}",
        fix=f"{refusal.rule.fix}; then remove {one.id} from {_FILE}",
        kind=piece.kind,
    )


def _over_budget(exceptions: Iterable[PolicyException], here: Environment, now: datetime) -> Iterator[Finding]:
    used, budget = spent(exceptions, here.name, now), here.exceptions
    if not used.within(budget):
        yield Finding(
            code="exception.budget",
            message=f"{here.name}: more exceptions than its budget, so that none counts (got {used.count} of "
            f"{used.days} days together, expected at most {budget.count} of {budget.days} days)",
            fix=f"mend what the oldest of them excuse and remove them from {_FILE}",
        )


def _told(tally: _Tally, now: datetime) -> Iterator[Finding]:
    """What is to be said of exceptions in force: those that end soon, and those that name what is not there."""
    for one in tally.in_force:
        if one.id in tally.asked and one.id not in tally.found:
            yield _warning(
                "exception.stale",
                one,
                f"not found any more (got nothing in the evidence, expected {one.scope} for {one.code})",
                f"remove {one.id} from {_FILE}: what it excused is gone",
            )
        elif one.ends - now <= NOTICE:
            yield _warning(
                "exception.expiring",
                one,
                f"ends soon (got {rfc3339(one.ends)}, expected more than {NOTICE.days} days from now)",
                f"mend {one.code} before, or have {one.owner} answer for it anew in {_FILE}",
            )


def _absent(exceptions: Iterable[PolicyException], now: datetime) -> Iterator[Finding]:
    """Exceptions that do not count today."""
    for one in exceptions:
        if now >= one.ends:
            got, expected = f"the end of {one.expires}", "a day from today on"
            yield _warning("exception.expired", one, f"counts no longer (got {got}, expected {expected})", _remove(one))
        elif now < one.starts:
            got, expected = f"created {one.created}", "today or before"
            yield _warning("exception.early", one, f"does not count yet (got {got}, expected {expected})", _remove(one))


def _remove(one: PolicyException) -> str:
    return f"remove {one.id} from {_FILE}, or have {one.owner} answer for it with new days"


def _warning(code: str, one: PolicyException, said: str, fix: str) -> Finding:
    return Finding(code=code, message=f"exception {one.id}: {said}", fix=fix)
