"""``policies/*.toml`` as frozen data: what is unknown, doubled, empty or missing is refused."""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from pipeline.files import read_limited
from pipeline.gate.rules import Code, CompiledRule, Rule, View, compile_rule, holds
from pipeline.gate.signers import LOCAL_ROOT, AnySigner, PersonSigner, Ref, Repository, Signer
from pipeline.model.documents import Document, canonical_json
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import LISTED, Kind

ENVIRONMENTS_FILE = "environments.toml"
RULES_FILE = "rules.toml"
MAX_POLICY_BYTES = 1024 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Days = Annotated[int, Field(ge=0, le=3660)]
Hours = Annotated[int, Field(ge=1, le=24 * 3660)]
LimitName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")]
Limit = bool | int | float | str | tuple[str, ...]

#: Refusals of the judge itself that an environment may soften to warnings. The others hold the chain together.
SOFT_CODES = ("evidence.expired",)

#: Families of rules beside the kinds.
FAMILIES = ("licences", "signers")

#: Kinds whose predicate says nothing that a rule could look at. Of ``source`` nothing writes evidence yet.
WITHOUT_RULES = (Kind.SIGNATURE, Kind.SOURCE)


_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlines(Document):
    """Days from an advisory's publication to the day on which it refuses; all classes are named, *unknown* too."""

    critical: Days
    high: Days
    medium: Days
    low: Days
    none: Days
    unknown: Days


class MaxAge(Document):
    """Hours after its verified time for which evidence counts: of any kind, and of kinds on their own."""

    default: Hours
    kinds: dict[Kind, Hours] = Field(default_factory=dict)

    def of(self, kind: Kind) -> int:
        return self.kinds.get(kind, self.default)


class EnvironmentSigners(Document):
    """Names of the policy's signers: ``default`` for every kind, ``kinds`` for those on their own."""

    default: Annotated[tuple[Name, ...], Field(min_length=1)]
    kinds: dict[Kind, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(default_factory=dict)

    def of(self, kind: Kind) -> tuple[str, ...]:
        # Nobody grants because they may sign something else.
        return self.kinds.get(kind, () if kind is Kind.GRANT else self.default)


class Environment(Document):
    """What one environment asks for."""

    name: Name
    roots: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of the trust roots (``local``, ``public``) that count here."""
    required: Annotated[tuple[Kind, ...], Field(min_length=1)]
    warns: tuple[Code, ...] = ()
    """Codes that warn here instead of refusing."""
    signers: EnvironmentSigners
    limits: dict[LimitName, Limit]
    deadlines: Deadlines
    max_age: MaxAge

    def plain_limits(self) -> dict[str, Any]:
        """The limits as rules see them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.limits.items()}


class Succession(Document):
    """What may follow what runs: a higher version on a commit that descends from it, except where this says more."""

    unordered: tuple[Name, ...] = ()
    """Environments in which anything may follow anything: the first one at most."""
    hotfix: tuple[Ref, ...] = ()
    """Branches whose releases need not descend from what runs; their version has to be higher all the same."""
    grant_days: Annotated[int, Field(ge=1, le=90)] = 7
    """How long a grant may live."""


class EnvironmentsFile(Document):
    """``policies/environments.toml``. ``environment`` is in the order of promotion."""

    repository: Repository
    """``owner/name`` whose workflows may sign; empty: not set yet, and no workflow may."""
    signer: Annotated[dict[Name, Signer], Field(min_length=1)]
    promotion: Succession = Field(default_factory=Succession)
    environment: Annotated[tuple[Environment, ...], Field(min_length=1)]


class RulesFile(Document):
    """``policies/rules.toml``."""

    rule: Annotated[tuple[Rule, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A policy that holds together, its rules compiled. ``digest`` is over every file of the folder."""

    digest: str
    repository: str
    signers: dict[str, AnySigner]
    succession: Succession
    environments: tuple[Environment, ...]
    rules: tuple[CompiledRule, ...]

    def environment(self, name: str) -> Environment:
        """Raises CannotEvaluate (``policy.environment``) for a name that the policy does not have."""
        for environment in self.environments:
            if environment.name == name:
                return environment
        known = ", ".join(environment.name for environment in self.environments)
        raise CannotEvaluate(
            "policy.environment",
            f"environment {name[:40]}: not in the policy (got {name[:40]!r}, expected one of {known})",
            fix=f"name one of {known}, or add the environment to policies/{ENVIRONMENTS_FILE}",
        )

    def before(self, name: str) -> str | None:
        """The environment that an image passes first, None for the first of all."""
        names = [environment.name for environment in self.environments]
        place = names.index(self.environment(name).name)
        return names[place - 1] if place else None

    def signers_of(self, environment: Environment, kind: Kind) -> tuple[AnySigner, ...]:
        return tuple(self.signers[name] for name in environment.signers.of(kind))


def load_policy(folder: Path) -> Policy:
    """Read, check and compile the policy; raises CannotEvaluate (``policy.*``) naming file and place."""
    contents = [_content(folder / name) for name in (ENVIRONMENTS_FILE, RULES_FILE)]
    return replace(_compiled(*contents), digest=policy_digest(folder))


@lru_cache(maxsize=16)
def _compiled(environments_content: bytes, rules_content: bytes) -> Policy:
    """The policy in two files, without its digest: a pure function of bytes, as judging a thousand releases asks."""
    environments = _parse(EnvironmentsFile, environments_content, f"policies/{ENVIRONMENTS_FILE}")
    rules = _parse(RulesFile, rules_content, f"policies/{RULES_FILE}").rule
    _check(list(_contradictions(environments, rules)))
    compiled = tuple(compile_rule(rule) for rule in rules)
    _check([said for environment in environments.environment for said in _toothless(environment, compiled)])
    return Policy(
        digest="",
        repository=environments.repository,
        signers=dict(environments.signer),
        succession=environments.promotion,
        environments=environments.environment,
        rules=compiled,
    )


def policy_digest(folder: Path) -> str:
    """SHA-256, in hexadecimal, over path and digest of every file below ``folder``."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return hashlib.sha256(canonical_json(files)).hexdigest()


def _content(path: Path) -> bytes:
    what = f"policies/{path.name}"
    try:
        return read_limited(path, MAX_POLICY_BYTES)
    except FileNotFoundError as error:
        raise _broken("policy.missing", what, "no such file", "a file", "restore it from the protected base") from error
    except OSError as error:
        got = error.strerror or type(error).__name__
        raise _broken("policy.malformed", what, got, "a file", f"make {what} readable for this user") from error


def _parse(model: type[Any], content: bytes, what: str) -> Any:
    try:
        if len(content) > MAX_POLICY_BYTES:
            raise ValueError(f"more than {MAX_POLICY_BYTES} bytes")
        parsed = tomllib.loads(content.decode("utf-8"))
        return model.model_validate_json(canonical_json(parsed))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        got = f"{where}: {first['msg'].lower()[:160]}"
        raise _broken("policy.shape", what, got, "what its schema allows", f"change {where} in {what}") from error
    except (ValueError, TypeError, RecursionError) as error:
        # TOMLDecodeError is a ValueError, and so are nan, dates and text that is no UTF-8 once they become JSON.
        got = " ".join(str(error).split())[:160]
        raise _broken("policy.malformed", what, got, "TOML in UTF-8", f"mend {what} at the place named") from error


def _contradictions(file: EnvironmentsFile, rules: tuple[Rule, ...]) -> Iterator[str]:
    """Sentences about what does not fit together across the two files."""
    names = [environment.name for environment in file.environment]
    codes = [rule.id for rule in rules]
    yield from (f"environment {name} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from (f"rule {code} is there twice" for code in sorted({c for c in codes if codes.count(c) > 1}))
    for rule in rules:
        yield from (f"rule {rule.id}: no environment {name}" for name in rule.environments or () if name not in names)
        # The judge's own codes (`evidence.withheld`) must not be shared: what may warn is told by its code.
        if rule.id.partition(".")[0] not in (*rule.kinds, *FAMILIES):
            yield f"rule {rule.id}: its code is of none of its kinds"
    for environment in file.environment:
        yield from _misfits(environment, file, rules)
    for environment in file.environment[1:]:
        if LOCAL_ROOT in environment.roots:
            yield f"environment {environment.name}: root {LOCAL_ROOT} counts in the first environment alone"
    for name in file.promotion.unordered:
        if name != names[0]:
            yield f"promotion: {name} cannot be unordered, as it is not the first environment"


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


def _toothless(environment: Environment, rules: tuple[CompiledRule, ...]) -> Iterator[str]:
    """Rules that are true of an empty predicate by an empty signer: they cannot fail, or take silence for a yes."""
    silence = View(
        predicate={},
        limits=environment.plain_limits(),
        deadlines=environment.deadlines.model_dump(),
        signer={},
        environment=environment.name,
        verified=_SOME_TIME,
        now=_SOME_TIME,
    ).activation()
    for compiled in rules:
        if _applies(compiled.rule, environment) and holds(compiled.allow, silence):
            yield f"environment {environment.name}: rule {compiled.rule.id} allows evidence that says nothing"


def _applies(rule: Rule, environment: Environment) -> bool:
    return rule.environments is None or environment.name in rule.environments


def _check(found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise _broken(
            "policy.contradiction", "policies", found[0] + more, "files that fit together", "mend what is named"
        )


def _broken(code: str, what: str, got: str, expected: str, fix: str) -> CannotEvaluate:
    return CannotEvaluate(code, f"{what}: not a policy (got {got}, expected {expected})", fix=fix)
