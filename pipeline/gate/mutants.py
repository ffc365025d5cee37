"""Policies with one mistake: a rule that is deleted or loosened, a limit that is one more, a signer more."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.gate.environments import Environment, EnvironmentsFile
from pipeline.gate.expression_mutants import mutants as expression_mutants
from pipeline.gate.policy import Policy, assemble
from pipeline.gate.rules import Rule, compile_rule
from pipeline.gate.signers import GithubSigner
from pipeline.gate.standing import READ
from pipeline.model.errors import CannotEvaluate

#: A trigger that an outsider can pull, and a name that nobody has.
_OUTSIDE, _NOBODY = "pull_request", "somebody-else"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A policy with one mistake. ``about`` says which cases are likely to notice it: they are asked first."""

    name: str
    about: frozenset[str]
    """Codes and kinds of evidence."""
    where: str | None
    """The one environment that it is in."""
    rules: tuple[Rule, Rule | None] | None = None
    """Where it is in a rule: the rule as it is, and as the mutant has it."""
    policy: Callable[[], Policy]


def mutants(environments: EnvironmentsFile, policy: Policy) -> Iterator[Mutant]:
    """Every mutant of the policy that is made of ``environments`` and ``policy``'s rules."""
    rules = [compiled.rule for compiled in policy.rules]
    for place, rule in enumerate(rules):
        for name, changed in _of_rule(rule, [one.name for one in environments.environment]):
            others = [*rules[:place], *([changed] if changed else []), *rules[place + 1 :]]
            yield Mutant(
                name=f"rule {rule.id}: {name}",
                about=frozenset((rule.id, *rule.kinds)),
                where=None,
                rules=(rule, changed),
                policy=lambda others=others: assemble(environments, others),  # type: ignore[misc] # bound now
            )
    kinds = {rule.id: rule.kinds for rule in rules}
    for name, code, where, file in [*_of_environments(environments, rules), *_of_signers(environments)]:
        yield Mutant(
            name=name,
            about=frozenset((code, *kinds.get(code, ()))),
            where=where,
            policy=lambda file=file: assemble(file, rules),  # type: ignore[misc] # bound now
        )


# --- rules ------------------------------------------------------------------------------------------------------------


def _of_rule(rule: Rule, environments: Sequence[str]) -> Iterator[tuple[str, Rule | None]]:
    yield "deleted", None
    applies = [name for name in environments if rule.environments is None or name in rule.environments]
    for name in applies:
        left = tuple(other for other in applies if other != name)
        if left:
            yield f"not asked in {name}", rule.model_copy(update={"environments": left})
    for kind in rule.kinds:
        others = tuple(other for other in rule.kinds if other != kind)
        if others:
            yield f"not asked about {kind}", rule.model_copy(update={"kinds": others})
    for field in ("each", "allow"):
        for changed in expression_mutants(getattr(rule, field) or ""):
            mutant = rule.model_copy(update={field: changed})
            if _compiles(mutant):
                yield f"{field} = {' '.join(changed.split())}", mutant


def _compiles(rule: Rule) -> bool:
    try:
        compile_rule(rule)
    except CannotEvaluate:
        return False
    return True


# --- environments -----------------------------------------------------------------------------------------------------

_Found = tuple[str, str, str | None, EnvironmentsFile]


def _of_environments(file: EnvironmentsFile, rules: Sequence[Rule]) -> Iterator[_Found]:
    for place, here in enumerate(file.environment):
        for what, code, changed in [*_limits(here, rules), *_requirements(here, rules, file), *_numbers(here)]:
            environments = (*file.environment[:place], changed, *file.environment[place + 1 :])
            mutated = file.model_copy(update={"environment": environments})
            yield f"environment {here.name}: {what}", code, here.name, mutated


_Changed = tuple[str, str, Environment]


def _limits(here: Environment, rules: Sequence[Rule]) -> Iterator[_Changed]:
    codes = {name: rule.id for rule in rules for name in rule.limits}
    for name, value in here.limits.items():
        for changed in _other_values(value):
            limits = {**here.limits, name: changed}
            yield f"{name} = {changed}", codes[name], here.model_copy(update={"limits": limits})


def _other_values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1)
    elif isinstance(value, str):
        yield f"{value}~"
    else:
        yield from (tuple(other for other in value if other != one) for one in value)
        yield (*value, _NOBODY)


def _requirements(here: Environment, rules: Sequence[Rule], file: EnvironmentsFile) -> Iterator[_Changed]:
    for kind in here.required:
        left = tuple(other for other in here.required if other != kind)
        yield f"{kind} is not required", "evidence.missing", here.model_copy(update={"required": left})
    for rule in rules:
        if (rule.environments is None or here.name in rule.environments) and rule.id not in here.warns:
            yield f"{rule.id} warns", rule.id, here.model_copy(update={"warns": (*here.warns, rule.id)})
    for code in here.warns:
        left_codes = tuple(other for other in here.warns if other != code)
        yield f"{code} refuses", code, here.model_copy(update={"warns": left_codes})
    yield (
        "evidence.expired warns",
        "evidence.expired",
        here.model_copy(update={"warns": (*here.warns, "evidence.expired")}),
    )
    yield from _allowed_signers(here, file)


def _allowed_signers(here: Environment, file: EnvironmentsFile) -> Iterator[_Changed]:
    """One signer more for each kind that the gate reads."""
    signers = here.signers
    for name in file.signer:
        if name not in signers.default:
            changed = signers.model_copy(update={"default": (*signers.default, name)})
            yield f"{name} may sign", "signer.untrusted", here.model_copy(update={"signers": changed})
        for kind, names in signers.kinds.items():
            if kind in READ and name not in names:
                changed = signers.model_copy(update={"kinds": {**signers.kinds, kind: (*names, name)}})
                yield f"{name} may sign {kind}", "signer.untrusted", here.model_copy(update={"signers": changed})
    for name in {one.root for one in file.signer.values()} - set(here.roots):
        changed_roots = (*here.roots, name)
        yield f"root {name} counts", "signer.untrusted", here.model_copy(update={"roots": changed_roots})


def _numbers(here: Environment) -> Iterator[_Changed]:
    """Deadlines, ages and budgets that are longer, and shorter, by one."""
    for by in (1, -1):
        for severity, days in here.deadlines.model_dump().items():
            changed = here.deadlines.model_copy(update={severity: days + by})
            update = {"deadlines": changed}
            yield f"{severity} = {days + by} days", "vulnerabilities.deadline", here.model_copy(update=update)
        for kind, hours in here.max_age.kinds.items():
            ages = here.max_age.model_copy(update={"kinds": {**here.max_age.kinds, kind: hours + by}})
            what = f"{kind} for {hours + by} hours"
            yield what, "evidence.expired", here.model_copy(update={"max_age": ages})
        ages = here.max_age.model_copy(update={"default": here.max_age.default + by})
        what = f"evidence for {ages.default} hours"
        yield what, "evidence.expired", here.model_copy(update={"max_age": ages})
        for name, value in here.exceptions.model_dump().items():
            budget = here.exceptions.model_copy(update={name: value + by})
            what = f"{value + by} exceptions" if name == "count" else f"{value + by} exception-days"
            yield what, "exception.budget", here.model_copy(update={"exceptions": budget})


# --- signers ----------------------------------------------------------------------------------------------------------


def _of_signers(file: EnvironmentsFile) -> Iterator[_Found]:
    """Signers of what the gate reads, each with a field that asks for less or for something else."""
    read = {name for here in file.environment for kind in READ for name in here.signers.of(kind)}
    for name, signer in file.signer.items():
        if name not in read:
            continue
        for what, changed in _looser(signer):
            signers = {**file.signer, name: signer.model_copy(update=changed)}
            yield f"signer {name}: {what}", "signer.untrusted", None, file.model_copy(update={"signer": signers})


def _looser(signer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(signer, GithubSigner):
        yield f"trigger {_OUTSIDE}", {"triggers": (*signer.triggers, _OUTSIDE)}
        yield "self-hosted", {"runner": "self-hosted"}
        yield "another branch", {"ref": "refs/heads/next"}
        yield "another workflow", {"workflow": ".github/workflows/other.yml"}
        yield "another repository", {"repository": "evil/app"}
    else:
        yield "another identity", {"identity": f"{signer.identity}~"}
        yield "another issuer", {"issuer": f"{signer.issuer}~"}
