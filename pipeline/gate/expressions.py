"""CEL (https://cel.dev): compiled with types, evaluated to exactly ``true`` or to what people read."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from pipeline.gate.functions import declarations
from pipeline.model.errors import CannotEvaluate

#: What a rule may look at. ``predicate`` is the predicate's JSON; ``purls`` is what the package URLs of an SBOM's
#: components say, by URL; ``limits`` and ``deadlines`` (days by severity) are the environment's; ``signer`` is the
#: certificate's identity; times are timestamps.
VARIABLES = {
    "predicate": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "purls": cel.Type.Map(cel.Type.STRING, cel.Type.Map(cel.Type.STRING, cel.Type.STRING)),
    "limits": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "deadlines": cel.Type.Map(cel.Type.STRING, cel.Type.INT),
    "signer": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "environment": cel.Type.STRING,
    "verified": cel.Type.TIMESTAMP,
    "now": cel.Type.TIMESTAMP,
}
#: Besides, in rules with ``each``: what the rule is asked about.
_ITEM = {"item": cel.Type.DYN}
_SHOWN = 5


def environment(*, items: bool = False) -> cel.Env:
    return _environments()[items]


@lru_cache(maxsize=1)
def _environments() -> tuple[cel.Env, cel.Env]:
    """Without and with ``item``.

    NOTE: an expression that is given an activation of another environment than its own fails in ways that come and go
    (times are "no CEL value"), so that there is one of each, for ever.
    """
    return tuple(  # type: ignore[return-value] # two of them
        cel.NewEnv(variables={**VARIABLES, **extra}, functions=declarations()) for extra in ({}, _ITEM)
    )


@lru_cache(maxsize=8192)
def compile_expression(code: str, name: str, expression: str, *, items: bool = False) -> cel.Expression:
    try:
        return environment(items=items).compile(expression)
    except Exception as error:
        said = " ".join(str(error).removeprefix("INVALID_ARGUMENT: ERROR: <input>:").split())[:200]
        known = ", ".join([*(_ITEM if items else ()), *VARIABLES])
        raise CannotEvaluate(
            "policy.expression",
            f"rule {code}: {name} does not compile (got {said}, expected CEL over {known})",
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


def plain(expression: cel.Expression, seen: cel.Activation) -> Any:
    """The value in Python's types; None for an error."""
    try:
        value = expression.eval(seen)
        return None if value.type() == cel.Type.ERROR else value.plain_value()
    except Exception:  # noqa: BLE001 what cannot be read is no value
        return None


def shown(expression: cel.Expression, seen: cel.Activation) -> str:
    """The value for people: printable, in one line, lists sorted and cut."""
    try:
        value = expression.eval(seen)
        found = value.plain_value()
    except Exception:  # noqa: BLE001 the message must come, whatever the evidence holds
        return "something unreadable"
    if value.type() == cel.Type.ERROR:
        return f"no value: {_printable(str(found))}"
    if isinstance(found, list):
        return listed(map(str, found))
    if isinstance(found, float):
        return f"{found:g}"
    return _printable(str(found).lower() if isinstance(found, bool) else str(found))


def listed(shown: Iterable[str]) -> str:
    """Sorted, as the keys of a map come in another order in each process; the first five and how many more."""
    items = sorted(shown)
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return (", ".join(map(_printable, items[:_SHOWN])) or "none") + more


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
