"""``policies/*.toml`` as frozen data: what is unknown, doubled, empty or missing is refused."""

import hashlib
import itertools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pipeline.files import read_limited
from pipeline.gate.environments import Environment, EnvironmentsFile, Succession
from pipeline.gate.exceptions import ExceptionsFile, PolicyException
from pipeline.gate.policy_checks import contradictions, toothless
from pipeline.gate.rules import CompiledRule, Rule, compile_rule
from pipeline.gate.signers import AnySigner
from pipeline.model.documents import Document, canonical_json
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind

ENVIRONMENTS_FILE = "environments.toml"
RULES_FILE = "rules.toml"
EXCEPTIONS_FILE = "exceptions.toml"
#: What a policy is made of; a file of them that is missing is refused.
FILES = (ENVIRONMENTS_FILE, RULES_FILE, EXCEPTIONS_FILE)
#: Folders for people and their editors: the gate reads nothing in them, and they are not part of the digest.
BESIDE = ("schemas", "tests")
MAX_POLICY_BYTES = 1024 * 1024


class RulesFile(Document):
    """``policies/rules.toml``."""

    rule: Annotated[tuple[Rule, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy that holds together, its rules compiled. ``digest`` is over all files that the gate reads."""

    digest: str
    repository: str
    signers: dict[str, AnySigner]
    succession: Succession
    environments: tuple[Environment, ...]
    rules: tuple[CompiledRule, ...]
    exceptions: tuple[PolicyException, ...] = ()

    def rules_about(self, kind: Kind, environment: str) -> tuple[CompiledRule, ...]:
        """The rules that are asked about a kind in an environment, in the order of the file."""
        return self._by_place.get((kind, environment), ())

    @cached_property
    def _by_place(self) -> dict[tuple[Kind, str], tuple[CompiledRule, ...]]:
        everywhere = tuple(environment.name for environment in self.environments)
        found: dict[tuple[Kind, str], list[CompiledRule]] = {}
        for one in self.rules:
            for place in itertools.product(one.rule.kinds, one.rule.environments or everywhere):
                found.setdefault(place, []).append(one)
        return {place: tuple(rules) for place, rules in found.items()}

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
    return replace(_compiled(*(_content(folder / name) for name in FILES)), digest=policy_digest(folder))


def read_files(folder: Path) -> tuple[EnvironmentsFile, tuple[Rule, ...], tuple[PolicyException, ...]]:
    """What the files say, each on its own strict; raises CannotEvaluate (``policy.*``)."""
    return _read(*(_content(folder / name) for name in FILES))


def _read(
    environments: bytes, rules: bytes, exceptions: bytes
) -> tuple[EnvironmentsFile, tuple[Rule, ...], tuple[PolicyException, ...]]:
    return (
        _parse(EnvironmentsFile, environments, ENVIRONMENTS_FILE),
        _parse(RulesFile, rules, RULES_FILE).rule,
        _parse(ExceptionsFile, exceptions, EXCEPTIONS_FILE).exception,
    )


@lru_cache(maxsize=16)
def _compiled(environments: bytes, rules: bytes, exceptions: bytes) -> Policy:
    """The policy in its files, without its digest: a pure function of bytes, as judging a thousand releases asks."""
    return assemble(*_read(environments, rules, exceptions))


def assemble(
    environments: EnvironmentsFile, rules: Iterable[Rule], exceptions: Iterable[PolicyException] = ()
) -> Policy:
    """The policy of these parts, without a digest; raises CannotEvaluate (``policy.*``)."""
    rules, exceptions = tuple(rules), tuple(exceptions)
    _check(list(contradictions(environments, rules, exceptions)))
    compiled = tuple(compile_rule(rule) for rule in rules)
    _check([said for environment in environments.environment for said in toothless(environment, compiled)])
    return Policy(
        digest="",
        repository=environments.repository,
        signers=dict(environments.signer),
        succession=environments.promotion,
        environments=environments.environment,
        rules=compiled,
        exceptions=exceptions,
    )


def policy_digest(folder: Path) -> str:
    """SHA-256, in hexadecimal, over path and digest of every one of ``policy_files``."""
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in policy_files(folder).items()}
    return hashlib.sha256(canonical_json(files)).hexdigest()


def policy_files(folder: Path) -> dict[str, Path]:
    """Every file below ``folder`` but those of ``BESIDE``, by its path there, in order."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = ((path.relative_to(folder), path) for path in paths)
    return {name.as_posix(): path for name, path in named if name.parts[0] not in BESIDE}


def _content(path: Path) -> bytes:
    what = f"policies/{path.name}"
    try:
        return read_limited(path, MAX_POLICY_BYTES)
    except FileNotFoundError as error:
        raise _broken("policy.missing", what, "no such file", "a file", "restore it from the protected base") from error
    except OSError as error:
        got = error.strerror or type(error).__name__
        raise _broken("policy.malformed", what, got, "a file", f"make {what} readable for this user") from error


def with_days(value: Any) -> Any:
    """TOML as JSON has it: a day as text (``2026-11-30``)."""
    if isinstance(value, dict):
        return {name: with_days(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_days(item) for item in value]
    return value.isoformat() if type(value) is date else value


def _parse(model: type[Any], content: bytes, name: str) -> Any:
    what = f"policies/{name}"
    try:
        if len(content) > MAX_POLICY_BYTES:
            raise ValueError(f"more than {MAX_POLICY_BYTES} bytes")
        parsed = tomllib.loads(content.decode("utf-8"))
        # Elsewhere a day is a mistake: as text it would be a limit like any other.
        parsed = with_days(parsed) if model is ExceptionsFile else parsed
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


def _check(found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise _broken(
            "policy.contradiction", "policies", found[0] + more, "files that fit together", "mend what is named"
        )


def _broken(code: str, what: str, got: str, expected: str, fix: str) -> CannotEvaluate:
    return CannotEvaluate(code, f"{what}: not a policy (got {got}, expected {expected})", fix=fix)
