"""Policy rules: CEL expressions that are type-checked when loaded, and allow only on an exact ``true``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

from cel_expr_python import cel
from pydantic import Field, StringConstraints, field_validator

from pipeline.model.documents import Document
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind

Code = Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*\.[a-z0-9]+(-[a-z0-9]+)*$")]
Sentence = Annotated[str, StringConstraints(min_length=8, max_length=300)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000)]

#: What a rule may look at. ``predicate`` is the predicate's JSON; ``limits`` and ``deadlines`` (days by severity) are
#: the environment's; ``signer`` is the certificate's identity; times are timestamps.
_VARIABLES = {
    "predicate": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "limits": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "deadlines": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
    "signer": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "environment": cel.Type.STRING,
    "verified": cel.Type.TIMESTAMP,
    "now": cel.Type.TIMESTAMP,
}
_LIMIT = re.compile(r"\blimits\.([a-z_][a-z0-9_]*)")
_SHOWN = 5
_SHOWN_NAMES = 3


class Rule(Document):
    """One rule of ``policies/rules.toml``. ``id`` is the code of its refusal, and stable."""

    id: Code
    title: Sentence
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    environments: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Where it applies; None: everywhere."""
    allow: Expression
    """CEL of type BOOL; anything but ``true`` refuses."""
    got: Expression
    """CEL that shows what was found, any type."""
    names: Expression | None = None
    """CEL of a list that is shown behind ``got``: sorted, three of them at most."""
    expected: Expression
    message: Sentence
    """``<subject>: <what differs>`` with ``(got {got}, expected {expected})``."""
    fix: Sentence

    @field_validator("message")
    @classmethod
    def _says_got_and_expected(cls, message: str) -> str:
        if not message.endswith("(got {got}, expected {expected})"):
            raise ValueError("should end with (got {got}, expected {expected})")
        return message

    @property
    def limits(self) -> frozenset[str]:
        """The names of the limits that it looks at."""
        return frozenset(_LIMIT.findall(f"{self.allow} {self.got} {self.names or ''} {self.expected}"))

    def applies(self, kind: Kind, environment: str) -> bool:
        return kind in self.kinds and (self.environments is None or environment in self.environments)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What the rules see of one piece of evidence."""

    predicate: Mapping[str, Any]
    limits: Mapping[str, Any]
    deadlines: Mapping[str, int]
    signer: Mapping[str, str]
    environment: str
    verified: datetime
    now: datetime

    def activation(self) -> cel.Activation:
        """The view in CEL's form: made once for all rules, as it converts the whole predicate."""
        return _environment().Activation({name: getattr(self, name) for name in _VARIABLES})


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledRule:
    """A rule whose expressions are compiled and of the right type."""

    rule: Rule
    allow: cel.Expression
    got: cel.Expression
    expected: cel.Expression
    names: cel.Expression | None = None

    def refusal(self, seen: cel.Activation) -> str | None:
        """The message of the refusal, None where the rule is exactly ``true``."""
        if holds(self.allow, seen):
            return None
        got = _shown(self.got, seen)
        if self.names is not None:
            got = f"{got}: {_shown(self.names, seen, most=_SHOWN_NAMES)}"
        # The expected value is the policy's own, so that nothing in it is taken for a placeholder.
        return self.rule.message.replace("{expected}", _shown(self.expected, seen)).replace("{got}", got)


def compile_rule(rule: Rule) -> CompiledRule:
    """Type-check the expressions; raises CannotEvaluate (``policy.expression``) with the place of the mistake."""
    allow = _compile(rule.id, "allow", rule.allow)
    if allow.return_type() != cel.Type.BOOL:
        raise CannotEvaluate(
            "policy.expression",
            f"rule {rule.id}: allow is no yes or no (got type {allow.return_type().name()}, expected BOOL)",
            fix=f"make allow of {rule.id} a comparison",
        )
    return CompiledRule(
        rule=rule,
        allow=allow,
        got=_compile(rule.id, "got", rule.got),
        expected=_compile(rule.id, "expected", rule.expected),
        names=_compile(rule.id, "names", rule.names) if rule.names else None,
    )


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    return cel.NewEnv(variables=_VARIABLES)


@lru_cache(maxsize=8192)
def _compile(code: str, name: str, expression: str) -> cel.Expression:
    try:
        return _environment().compile(expression)
    except Exception as error:
        said = " ".join(str(error).removeprefix("INVALID_ARGUMENT: ERROR: <input>:").split())[:200]
        raise CannotEvaluate(
            "policy.expression",
            f"rule {code}: {name} does not compile (got {said}, expected CEL over {', '.join(_VARIABLES)})",
            fix=f"mend {name} of {code} at the line:column named",
        ) from error


def holds(expression: cel.Expression, seen: cel.Activation) -> bool:
    """Whether ``expression`` is exactly ``true``.

    NOTE: a failed evaluation comes back as a value of type ERROR that holds a *truthy string*, and some (an exceeded
    budget of iterations, half a character) are raised instead. Both deny.
    """
    try:
        value = expression.eval(seen)
    except Exception:  # noqa: BLE001 whatever the evaluator raises, it did not say true
        return False
    return value.type() == cel.Type.BOOL and value.value() is True


def _shown(expression: cel.Expression, seen: cel.Activation, *, most: int = _SHOWN) -> str:
    """The value for people: printable, in one line, lists sorted and cut after ``most``."""
    try:
        value = expression.eval(seen)
        plain = value.plain_value()
    except Exception:  # noqa: BLE001 the message must come, whatever the evidence holds
        return "something unreadable"
    if value.type() == cel.Type.ERROR:
        return f"no value: {_printable(str(plain))}"
    if isinstance(plain, list):
        more = f" and {len(plain) - most} more" if len(plain) > most else ""
        # Sorted, as the keys of a map come in another order in each process.
        return (", ".join(_printable(item) for item in sorted(map(str, plain))[:most]) or "none") + more
    if isinstance(plain, float):
        return f"{plain:g}"
    return _printable(str(plain).lower() if isinstance(plain, bool) else str(plain))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
