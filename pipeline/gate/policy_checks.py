"""Whether policy files that read well fit together: each finding is a sentence."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pipeline.gate.environments import Environment, EnvironmentsFile
from pipeline.gate.exceptions import PolicyException, misfits
from pipeline.gate.expressions import holds
from pipeline.gate.rules import CompiledRule, Rule, View
from pipeline.gate.signers import LOCAL_ROOT, PersonSigner
from pipeline.model.kinds import LISTED, Kind

#: Refusals of the judge itself that an environment may soften to warnings. The others hold the chain together.
SOFT_CODES = ("evidence.expired",)

#: Families of rules beside the kinds.
FAMILIES = ("licences", "signers")

#: Kinds whose predicate says nothing that a rule could look at.
WITHOUT_RULES = (Kind.SIGNATURE,)

_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def contradictions(
    file: EnvironmentsFile, rules: tuple[Rule, ...], exceptions: tuple[PolicyException, ...]
) -> Iterator[str]:
    """What does not fit together across the files."""
    names = [environment.name for environment in file.environment]
    codes = [rule.id for rule in rules]
    yield from (f"environment {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from (f"rule {code} is there twice" for code in sorted({c for c in codes if codes.count(c) > 1}))
    for rule in rules:
        yield from (f"rule {rule.id}: no environment {name}" for name in rule.environments or () if name not in names)
        # The judge's own codes (`evidence.withheld`) must not be shared: what may warn is told by its code.
        if rule.family not in (*rule.kinds, *FAMILIES):
            yield f"rule {rule.id}: its code is of none of its kinds"
    for environment in file.environment:
        yield from _misfits(environment, file, rules)
    for environment in file.environment[1:]:
        if LOCAL_ROOT in environment.roots:
            yield f"environment {environment.name}: root {LOCAL_ROOT} counts in the first environment alone"
    for name in file.promotion.unordered:
        if name != names[0]:
            yield f"promotion: {name} cannot be unordered, as it is not the first environment"
    yield from misfits(exceptions, rules, names)


def _misfits(environment: Environment, file: EnvironmentsFile, rules: tuple[Rule, ...]) -> Iterator[str]:
    here = f"environment {environment.name}"
    wanted = {name for names in (environment.signers.default, *environment.signers.kinds.values()) for name in names}
    yield from (f"{here}: no signer {name}" for name in sorted(wanted - set(file.signer)))
    for name in sorted(wanted & set(file.signer)):
        if file.signer[name].root not in environment.roots:
            yield f"{here}: signer {name} is of root {file.signer[name].root}, which does not count there"
    yield from _misplaced_persons(environment, file)
    yield from (f"{here}: {kind} cannot be required" for kind in environment.required if kind not in LISTED)
    refusing = [rule for rule in rules if _applies(rule, environment) and rule.id not in environment.warns]
    covered = {kind for rule in refusing for kind in rule.kinds}
    bare = [kind for kind in environment.required if kind not in covered and kind not in WITHOUT_RULES]
    yield from (f"{here}: {kind} is required and no rule that refuses looks at it" for kind in bare)
    known = {*SOFT_CODES, *(rule.id for rule in rules)}
    yield from (f"{here}: {code} cannot warn" for code in environment.warns if code not in known)
    needed = {name for rule in rules if _applies(rule, environment) for name in rule.limits}
    yield from (f"{here}: limit {name} is missing" for name in sorted(needed - set(environment.limits)))
    yield from (f"{here}: no rule looks at limit {name}" for name in sorted(set(environment.limits) - needed))


def _misplaced_persons(environment: Environment, file: EnvironmentsFile) -> Iterator[str]:
    """Persons grant and do nothing else, and nobody but a person grants."""
    asked = [("default", environment.signers.default), *environment.signers.kinds.items()]
    for kind, names in asked:
        for name in names:
            if isinstance(file.signer.get(name), PersonSigner) != (kind == Kind.GRANT):
                word = "no person" if kind == Kind.GRANT else "a person"
                yield f"environment {environment.name}: signer {name} of {kind} is {word}: persons sign grants alone"


def toothless(environment: Environment, rules: tuple[CompiledRule, ...]) -> Iterator[str]:
    """Rules that are true of an empty predicate by an empty signer: they cannot fail, or take silence for a yes."""
    silence = View(
        predicate={},
        limits=environment.plain_limits(),
        deadlines=environment.deadlines.model_dump(),
        signer={},
        environment=environment.name,
        verified=_SOME_TIME,
        now=_SOME_TIME,
    ).activation
    for compiled in rules:
        if _applies(compiled.rule, environment) and holds(compiled.whole, silence):
            yield f"environment {environment.name}: rule {compiled.rule.id} allows evidence that says nothing"


def _applies(rule: Rule, environment: Environment) -> bool:
    return rule.environments is None or environment.name in rule.environments
