"""What a feed of advisories is asked and what it answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from packaging.utils import canonicalize_name

from pipeline.image.purls import pypi_purl


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One locked release. ``name`` is normalised (PEP 503), ``version`` as PEP 440 writes it."""

    name: str
    version: str

    @property
    def purl(self) -> str:
        return pypi_purl(self.name, self.version)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


#: An abandoned project whose last release stays vulnerable, so that every feed can be asked about it, also one that
#: only knows each project's latest release. A feed that does not report it does not find anything.
CANARY = Pin("pycrypto", "2.6.1")
CANARY_IDS = frozenset({"PYSEC-2017-94", "CVE-2013-7459", "GHSA-cq27-v7xp-c356"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One feed's word that ``pin`` is vulnerable."""

    pin: Pin
    id: str
    aliases: frozenset[str] = frozenset()
    fixed_in: frozenset[str] = frozenset()
    withdrawn: bool = False

    @property
    def ids(self) -> frozenset[str]:
        return self.aliases | {self.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one feed said. Every pin asked about is either in ``audited`` or, with a reason, in ``unaudited``."""

    feed: str
    uri: str
    answered: bool
    audited: frozenset[Pin] = frozenset()
    unaudited: Mapping[Pin, str] = field(default_factory=dict)
    advisories: tuple[Advisory, ...] = ()
    note: str = ""

    @property
    def reports_canary(self) -> bool:
        return any(advisory.ids & CANARY_IDS for advisory in self.advisories if advisory.pin == CANARY)


class Feed(Protocol):
    """A source of advisories for Python packages."""

    @property
    def name(self) -> str: ...

    @property
    def uri(self) -> str: ...

    def ask(self, pins: Sequence[Pin]) -> Answer:
        """Ask about every pin. A server that is down is an Answer with ``answered=False``, not an error.

        Raises CannotEvaluate (``audit.unreadable``, ``audit.wrong-set``) where a tool crashed or answered nonsense.
        """
        ...


class NoAnswer(Exception):
    """A feed did not answer; the text says why, without anything that varies between two runs."""


def silent(feed: Feed, pins: Iterable[Pin], reason: str) -> Answer:
    """The answer of a feed that gave none."""
    return Answer(
        feed=feed.name, uri=feed.uri, answered=False, unaudited=dict.fromkeys(sorted(pins), reason), note=reason
    )


def pin(name: str, version: str) -> Pin:
    return Pin(canonicalize_name(name), version)
