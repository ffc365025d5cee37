"""What a policy says, for people: what is in force today, and what one rule, exception or code means."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import indent

from pipeline.gate.cases import Case, load_cases
from pipeline.gate.environments import Environment
from pipeline.gate.exceptions import NOTICE, PolicyException, spent
from pipeline.gate.policy import Policy
from pipeline.gate.rules import CompiledRule
from pipeline.model.errors import Misuse


def summary(policy: Policy, now: datetime) -> Iterator[str]:
    """What ``policy check`` says of a policy that holds together."""
    names = ", ".join(environment.name for environment in policy.environments)
    yield f"policy: {len(policy.rules)} rules for {names}; sha256:{policy.digest}"
    for here in policy.environments:
        used, budget = spent(policy.exceptions, here.name, now), here.exceptions
        over = "" if used.within(budget) else ": over its budget, so that none counts"
        if used.count or over:
            yield (
                f"{here.name}: {used.count} of {budget.count} exceptions, "
                f"{used.days} of {budget.days} exception-days{over}"
            )
    for one in policy.exceptions:
        if said := _state(one, now):
            yield f"exception {one.id}: {said}"


def _state(one: PolicyException, now: datetime) -> str:
    if now >= one.ends:
        return f"expired on {one.expires} and counts no longer"
    if now < one.starts:
        return f"counts from {one.created} on"
    left = one.ends - now
    return f"ends in {left // timedelta(days=1)} days, on {one.expires}" if left <= NOTICE else ""


def explain(policy: Policy, folder: Path, name: str, now: datetime) -> Iterator[str]:
    """The lines about a rule or an exception; raises Misuse (``policy.unknown``) for what is neither."""
    for compiled in policy.rules:
        if compiled.rule.id == name:
            yield from _rule(compiled, policy, load_cases(folder), now)
            return
    for one in policy.exceptions:
        if one.id == name:
            yield from _exception(one, now)
            return
    raise Misuse(
        "policy.unknown",
        f"policy: no such rule or exception (got {name[:80]!r}, expected an id of policies/rules.toml or "
        "policies/exceptions.toml)",
        fix="codes that are no rule's are in docs/codes.md",
    )


def _rule(compiled: CompiledRule, policy: Policy, cases: Sequence[Case], now: datetime) -> Iterator[str]:
    rule = compiled.rule
    yield f"{rule.id}: {rule.title}"
    yield f"evidence: {', '.join(rule.kinds)}"
    yield "environments:"
    for here in policy.environments:
        yield f"  {here.name}: {_there(compiled, here)}"
    for field in ("each", "allow", "got", "expected"):
        if text := getattr(rule, field):
            yield f"{field}:"
            yield indent(text, "  ")
    yield f"refusal: {rule.message}"
    yield f"fix: {rule.fix}"
    for one in policy.exceptions:
        if one.code == rule.id:
            yield f"exception {one.id}: {one.scope}, {_state(one, now) or f'until the end of {one.expires}'}"
    for case in cases:
        if rule.id in case.codes:
            yield f"refuses: {case.name} ({', '.join(case.environments)})"


def _there(compiled: CompiledRule, here: Environment) -> str:
    rule = compiled.rule
    if rule.environments is not None and here.name not in rule.environments:
        return "not asked"
    limits = ", ".join(f"{name} = {_value(here.limits[name])}" for name in sorted(rule.limits))
    word = "warns" if rule.id in here.warns else "refuses"
    return f"{word}{f' ({limits})' if limits else ''}"


def _value(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _exception(one: PolicyException, now: datetime) -> Iterator[str]:
    yield f"{one.id}: {one.code} is excused, for {one.scope}"
    yield f"reason: {one.reason}"
    if one.justification is not None:
        yield f"not affected: {one.justification}"
    yield f"owner: {one.owner}, {one.ticket}"
    yield f"from {one.created} to the end of {one.expires}, {one.days} days"
    if said := _state(one, now):
        yield said
