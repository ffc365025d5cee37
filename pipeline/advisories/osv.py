"""An OSV-compatible server: which advisories concern a release, and the records behind their ids.

Sources: OSV API v1 (``/v1/querybatch``, ``/v1/vulns/<id>``) and the OSV schema 1.x. Pages are followed to their end:
an answer that stops at its first page is not complete (pip-audit 2.10.1 stops there).
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from pipeline.advisories.fetching import NotFound, fetch_json
from pipeline.advisories.interface import Advisory, Answer, NoAnswer, Pin, silent
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate

#: Asked for the record (severity, dates, aliases) of an advisory that was found, where no server is configured.
PUBLIC = "https://api.osv.dev"
WORKERS = 8
MAX_PAGES = 100
MAX_RECORDS = 2000


class _Foreign(BaseModel):
    """The fields in use; the schema may add others."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _Named(_Foreign):
    id: str


class _Result(_Foreign):
    vulns: list[_Named] = Field(default_factory=list)
    next_page_token: str = ""


class _Batch(_Foreign):
    results: list[_Result]


class SeverityVector(_Foreign):
    type: str
    score: str


class _Package(_Foreign):
    ecosystem: str = ""
    name: str = ""


class _Range(_Foreign):
    type: str
    events: list[dict[str, str]] = Field(default_factory=list)


class _Affected(_Foreign):
    package: _Package = Field(default_factory=_Package)
    ranges: list[_Range] = Field(default_factory=list)
    severity: list[SeverityVector] = Field(default_factory=list)


class Record(_Foreign):
    """One OSV record. ``published`` and ``withdrawn`` are RFC 3339 times."""

    id: str
    aliases: list[str] = Field(default_factory=list)
    published: str | None = None
    withdrawn: str | None = None
    severity: list[SeverityVector] = Field(default_factory=list)
    affected: list[_Affected] = Field(default_factory=list)

    def vectors(self) -> set[tuple[str, str]]:
        """(method, vector) of the whole record and of each affected package."""
        every = [*self.severity, *(item for affected in self.affected for item in affected.severity)]
        return {(item.type, item.score) for item in every}

    def fixed_in(self, name: str) -> set[str]:
        """The versions of package ``name`` that end an affected range."""
        return {
            event["fixed"]
            for affected in self.affected
            if affected.package.ecosystem == "PyPI" and canonicalize_name(affected.package.name) == name
            for interval in affected.ranges
            if interval.type == "ECOSYSTEM"
            for event in interval.events
            if "fixed" in event
        }


M = TypeVar("M", bound=BaseModel)


def _read(model: type[M], foreign: object) -> M:
    try:
        return validate(model, foreign, what="OSV answer")
    except CannotEvaluate as error:
        raise NoAnswer("answered something that is not OSV") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Osv:
    """``address`` is the server's, without a final slash; ``seconds`` limits one answer."""

    address: str
    seconds: float = 10

    @property
    def name(self) -> str:
        return "osv"

    @property
    def uri(self) -> str:
        return self.address

    def ask(self, pins: Sequence[Pin]) -> Answer:
        """The ids that concern each pin; complete, or no answer at all."""
        try:
            found = self._matches(pins)
        except NoAnswer as reason:
            return silent(self, pins, str(reason))
        advisories = tuple(Advisory(pin=pin, id=id_) for pin in pins for id_ in sorted(found[pin]))
        return Answer(feed=self.name, uri=self.uri, answered=True, audited=frozenset(pins), advisories=advisories)

    def _matches(self, pins: Sequence[Pin]) -> Mapping[Pin, set[str]]:
        found: dict[Pin, set[str]] = {pin: set() for pin in pins}
        waiting = dict.fromkeys(pins, "")
        for _ in range(MAX_PAGES):
            if not waiting:
                return found
            queries = [_query(pin, token) for pin, token in waiting.items()]
            foreign = fetch_json(f"{self.address}/v1/querybatch", timeout=self.seconds, body={"queries": queries})
            results = _read(_Batch, foreign).results
            if len(results) != len(queries):
                raise NoAnswer(f"answered {len(results)} of {len(queries)} queries")
            answered = list(zip(waiting, results, strict=True))
            for pin, result in answered:
                found[pin] |= {item.id for item in result.vulns}
            waiting = {pin: result.next_page_token for pin, result in answered if result.next_page_token}
        raise NoAnswer(f"more than {MAX_PAGES} pages")

    def records(self, ids: Iterable[str]) -> dict[str, Record]:
        """The records of ``ids`` and, through their aliases, of every other id of the same vulnerability.

        An id that the server does not have is left out. Raises NoAnswer where the server does not answer.
        """
        known: dict[str, Record] = {}
        asked: set[str] = set()
        waiting = set(ids)
        while waiting:
            asked |= waiting
            if len(asked) > MAX_RECORDS:
                raise NoAnswer(f"more than {MAX_RECORDS} records")
            with ThreadPoolExecutor(WORKERS) as pool:
                fetched = [record for record in pool.map(self._record, sorted(waiting)) if record is not None]
            known |= {record.id: record for record in fetched}
            waiting = {alias for record in fetched for alias in record.aliases} - asked
        return known

    def _record(self, id_: str) -> Record | None:
        try:
            record = _read(Record, fetch_json(f"{self.address}/v1/vulns/{quote(id_, safe='')}", timeout=self.seconds))
        except NotFound:
            return None
        if record.id != id_:
            raise NoAnswer("answered with another record")
        return record


def _query(pin: Pin, token: str) -> dict[str, object]:
    query: dict[str, object] = {"package": {"name": pin.name, "ecosystem": "PyPI"}, "version": pin.version}
    return query | ({"page_token": token} if token else {})
