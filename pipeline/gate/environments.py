"""``policies/environments.toml`` as frozen data: what each environment asks for, in the order of promotion."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from pipeline.gate.exceptions import Budget
from pipeline.gate.rules import Code
from pipeline.gate.signers import Ref, Repository, Signer
from pipeline.model.documents import Document
from pipeline.model.kinds import Kind

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Days = Annotated[int, Field(ge=0, le=3660)]
Hours = Annotated[int, Field(ge=1, le=24 * 3660)]
LimitName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*$")]
Limit = bool | int | float | str | tuple[str, ...]


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
    exceptions: Budget

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
