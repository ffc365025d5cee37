"""Policy rules: CEL expressions that are type-checked when loaded, and allow only on an exact ``true``.

A rule is asked about a piece of evidence as a whole, or with ``each`` about every item of a list in it, so that an
exception can speak of one item and of nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

from cel_expr_python import cel
from pydantic import Field, StringConstraints, field_validator, model_validator

from pipeline.gate.expressions import VARIABLES, compile_expression, environment, holds, listed, plain, shown
from pipeline.gate.functions import read_purl
from pipeline.model.documents import Document
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind

Code = Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*\.[a-z0-9]+(-[a-z0-9]+)*$")]
Sentence = Annotated[str, StringConstraints(min_length=8, max_length=300)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000)]

_LIMIT = re.compile(r"\blimits\.([a-z_][a-z0-9_]*)")


class Rule(Document):
    """One rule of ``policies/rules.toml``. ``id`` is the code of its refusal, and stable."""

    id: Code
    title: Sentence
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    environments: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Where it applies; None: everywhere."""
    each: Expression | None = None
    """CEL of a list, or of a map for its keys: ``allow`` has to be true of every ``item``. None: of the whole."""
    finding: Expression | None = None
    """CEL of a list of text: the names of an item, by which an exception may name it."""
    component: Expression | None = None
    """CEL of text: the package URL of an item, by which an exception may name it."""
    allow: Expression
    """CEL of type BOOL; anything but ``true`` refuses."""
    got: Expression
    """CEL that shows what was found (of one item, with ``each``), any type."""
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

    @model_validator(mode="after")
    def _names_its_items(self) -> "Rule":
        if (self.each is None) != (self.finding is None and self.component is None):
            raise ValueError("should have finding or component where it has each, and only there")
        return self

    @property
    def family(self) -> str:
        return self.id.partition(".")[0]

    @property
    def limits(self) -> frozenset[str]:
        """The names of the limits that it looks at."""
        return frozenset(_LIMIT.findall(f"{self.each or ''} {self.allow} {self.got} {self.expected}"))

    def applies(self, kind: Kind, environment: str) -> bool:
        return kind in self.kinds and (self.environments is None or environment in self.environments)


@dataclass(frozen=True, kw_only=True)
class View:
    """What the rules see of one piece of evidence."""

    predicate: Mapping[str, Any]
    limits: Mapping[str, Any]
    deadlines: Mapping[str, int]
    signer: Mapping[str, str]
    environment: str
    verified: datetime
    now: datetime

    @cached_property
    def activation(self) -> cel.Activation:
        """The view in CEL's form: made once for all rules, as it converts the whole predicate."""
        return environment().Activation(self._values())

    def of(self, item: Any) -> cel.Activation:
        """The same with one ``item``."""
        return environment(items=True).Activation({**self._values(), "item": item})

    @cached_property
    def purls(self) -> dict[str, dict[str, str]]:
        """What cannot be read as a package URL is left out."""
        components = self.predicate.get("components")
        listed = components if isinstance(components, list) else []
        found = (one.get("purl") for one in listed if isinstance(one, dict))
        read = ((purl, read_purl(purl)) for purl in found if isinstance(purl, str))
        return {purl: parts for purl, parts in read if parts is not None}

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in VARIABLES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that a rule was asked about. ``names`` and ``component`` are what exceptions may call it."""

    names: frozenset[str] = frozenset()
    component: str | None = None
    allowed: bool = False
    got: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """What a rule refuses. Without items nobody can say what exactly, and no exception can name it."""

    rule: Rule
    items: tuple[Item, ...]
    got: str
    expected: str

    @property
    def message(self) -> str:
        # The expected value is the policy's own, so that nothing in it is taken for a placeholder.
        return self.rule.message.replace("{expected}", self.expected).replace("{got}", self.got)

    def without(self, excused: Iterable[Item]) -> "Refusal | None":
        """The rest of it; None where nothing is left. What cannot be read stays whole."""
        gone = set(excused)
        left = tuple(item for item in self.items if item not in gone)
        if left == self.items:
            return self
        if not left:
            return None
        return Refusal(rule=self.rule, items=left, got=listed(item.got for item in left), expected=self.expected)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledRule:
    """A rule whose expressions are compiled and of the right type."""

    rule: Rule
    whole: cel.Expression
    """``allow``, of all items where there are any."""
    each: cel.Expression | None
    allow: cel.Expression
    got: cel.Expression
    expected: cel.Expression
    finding: cel.Expression | None
    component: cel.Expression | None

    def refusal(self, seen: View) -> Refusal | None:
        """What it refuses, None where the rule is exactly ``true``."""
        if holds(self.whole, seen.activation):
            return None
        refused = tuple(item for item in self.items(seen) if not item.allowed)
        got = listed(item.got for item in refused) if refused else self._unlistable(seen)
        return Refusal(rule=self.rule, items=refused, got=got, expected=shown(self.expected, seen.activation))

    def items(self, seen: View) -> Iterator[Item]:
        """What it is asked about: every item, or the evidence as a whole. None where the list cannot be read."""
        if self.each is None:
            got = shown(self.got, seen.activation)
            yield Item(allowed=holds(self.allow, seen.activation), got=got)
            return
        found = plain(self.each, seen.activation)
        for one in found if isinstance(found, list | dict) else ():
            yield self._item(seen.of(one))

    def _item(self, seen: cel.Activation) -> Item:
        names = plain(self.finding, seen) if self.finding else []
        component = plain(self.component, seen) if self.component else None
        return Item(
            names=frozenset(name for name in names if isinstance(name, str))
            if isinstance(names, list)
            else frozenset(),
            component=component if isinstance(component, str) else None,
            allowed=holds(self.allow, seen),
            got=shown(self.got, seen),
        )

    def _unlistable(self, seen: View) -> str:
        return shown(self.each or self.whole, seen.activation)


def compile_rule(rule: Rule) -> CompiledRule:
    """Type-check the expressions; raises CannotEvaluate (``policy.expression``) with the place of the mistake."""
    items = rule.each is not None

    def part(name: str, *, of_item: bool = items) -> cel.Expression | None:
        text = getattr(rule, name)
        return compile_expression(rule.id, name, text, items=of_item) if text else None

    allow = compile_expression(rule.id, "allow", rule.allow, items=items)
    if allow.return_type() != cel.Type.BOOL:
        raise CannotEvaluate(
            "policy.expression",
            f"rule {rule.id}: allow is no yes or no (got type {allow.return_type().name()}, expected BOOL)",
            fix=f"make allow of {rule.id} a comparison",
        )
    each = part("each", of_item=False)
    # Each part compiles on its own, so that it cannot end another's parentheses; a comment in it ends with its line.
    whole = f"({rule.each}\n).all(item, {rule.allow}\n)"
    return CompiledRule(
        rule=rule,
        whole=compile_expression(rule.id, "each", whole) if items else allow,
        each=each,
        allow=allow,
        got=compile_expression(rule.id, "got", rule.got, items=items),
        expected=compile_expression(rule.id, "expected", rule.expected),
        finding=part("finding"),
        component=part("component"),
    )
