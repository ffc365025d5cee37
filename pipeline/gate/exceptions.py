"""``policies/exceptions.toml``: what a rule may let through all the same, for whom, why, and until when.

Exceptions are policy: read with it from the protected base, and part of its digest. Each speaks of one rule, in named
environments, and of an item, an image, or fewer than all environments: of everything, none does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from pipeline.gate.functions import covers, parse_purl
from pipeline.gate.rules import Code, Item, Rule
from pipeline.model.digests import Digest
from pipeline.model.documents import Document

#: How long an exception may live, and how long before its end it warns.
LONGEST = timedelta(days=90)
NOTICE = timedelta(days=14)

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,15}(-[0-9]{1,9})+$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=1000)]
Named = Annotated[str, StringConstraints(pattern=r"^[^\s*?]{1,200}$")]
ImageDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
#: OpenVEX 0.2.0, "Status Justifications".
Justification = Literal[
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
]


class PolicyException(Document):
    """One exception. It counts from ``created`` on, and up to the end of ``expires``, in UTC."""

    id: Identifier
    code: Code
    """The rule whose refusal it takes back."""
    finding: Named | None = None
    """One item by its name: an advisory (or an alias of it), a property, a parameter."""
    component: Named | None = None
    """One package by its URL, of the version that it names, else of any."""
    image: ImageDigest | None = None
    environments: Annotated[tuple[EnvironmentName, ...], Field(min_length=1)]
    owner: Words
    reason: Reason
    ticket: Words
    created: date
    expires: date
    justification: Justification | None = None
    """Why a vulnerability does not affect the image. None: it does, and the risk is accepted."""

    @field_validator("component")
    @classmethod
    def _is_a_purl(cls, component: str | None) -> str | None:
        if component is not None:
            parse_purl(component)
        return component

    @model_validator(mode="after")
    def _lives_for_a_while(self) -> "PolicyException":
        if self.expires < self.created:
            raise ValueError("should expire on the day of its creation or later")
        if self.expires - self.created > LONGEST:
            raise ValueError(f"should expire at most {LONGEST.days} days after its creation")
        return self

    @property
    def starts(self) -> datetime:
        return datetime.combine(self.created, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first moment at which it no longer counts."""
        return datetime.combine(self.expires, time(), UTC) + timedelta(days=1)

    @property
    def days(self) -> int:
        """How many days it was granted for, first and last included."""
        return (self.ends - self.starts).days

    def in_force(self, now: datetime) -> bool:
        return self.starts <= now < self.ends

    def speaks_of(self, image: Digest) -> bool:
        return self.image in (None, str(image))

    def names(self, item: Item) -> bool:
        """Whether it is about ``item``: by finding and component, each where it names one."""
        return (self.finding is None or self.finding in item.names) and (
            self.component is None or _is_component(self.component, item.component)
        )

    @property
    def scope(self) -> str:
        """What it speaks of, in one line."""
        parts = (self.finding, self.component, self.image, " and ".join(self.environments))
        return " of ".join(part for part in parts[:3] if part) + (" in " if any(parts[:3]) else "") + parts[3]


def _is_component(wider: str, purl: str | None) -> bool:
    try:
        return purl is not None and covers(wider, purl)
    except ValueError:  # the evidence's purl is foreign text: what cannot be read is not what is excepted
        return False


class ExceptionsFile(Document):
    """``policies/exceptions.toml``; a policy without exceptions has the file and no entry in it."""

    exception: tuple[PolicyException, ...] = ()


class Budget(Document):
    """How many exceptions an environment bears at a time, and how many days they are granted for together."""

    count: Annotated[int, Field(ge=0, le=1000)]
    days: Annotated[int, Field(ge=0, le=90_000)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What of a budget is in use."""

    count: int
    days: int

    def within(self, budget: Budget) -> bool:
        return self.count <= budget.count and self.days <= budget.days


def of_environment(exceptions: Iterable[PolicyException], environment: str) -> tuple[PolicyException, ...]:
    return tuple(one for one in exceptions if environment in one.environments)


def spent(exceptions: Iterable[PolicyException], environment: str, now: datetime) -> Spent:
    """Of the exceptions in force in an environment, of whatever image."""
    current = [one for one in of_environment(exceptions, environment) if one.in_force(now)]
    return Spent(count=len(current), days=sum(one.days for one in current))


def misfits(exceptions: Sequence[PolicyException], rules: Sequence[Rule], environments: Sequence[str]) -> Iterator[str]:
    """Sentences about exceptions that do not fit the rest of the policy, or speak of everything."""
    ids = [one.id for one in exceptions]
    yield from (f"exception {name} is there twice" for name in sorted({i for i in ids if ids.count(i) > 1}))
    by_code = {rule.id: rule for rule in rules}
    for one in exceptions:
        yield from (
            f"exception {one.id}: no environment {name}" for name in one.environments if name not in environments
        )
        if len(set(one.environments)) < len(one.environments):
            yield f"exception {one.id}: names an environment twice"
        rule = by_code.get(one.code)
        if rule is None:
            yield f"exception {one.id}: no rule {one.code}"
        else:
            yield from (f"exception {one.id}: {said}" for said in _too_wide(one, rule, environments))


def _too_wide(one: PolicyException, rule: Rule, environments: Sequence[str]) -> Iterator[str]:
    applies = [name for name in environments if rule.environments is None or name in rule.environments]
    yield from (f"rule {rule.id} does not apply in {name}" for name in one.environments if name not in applies)
    for field, has in (("finding", rule.finding), ("component", rule.component)):
        if getattr(one, field) is not None and has is None:
            yield f"{field} means nothing to rule {rule.id}"
    if rule.each is not None and one.finding is None and one.component is None:
        yield f"speaks of every item of rule {rule.id}: should name a finding or a component"
    elif rule.each is None and one.image is None and set(one.environments) >= set(applies):
        yield f"speaks of everything that rule {rule.id} refuses: should name an image, or fewer environments"
    if one.justification is not None and not (rule.family == "vulnerabilities" and one.finding):
        yield "has a justification and speaks of no vulnerability"
