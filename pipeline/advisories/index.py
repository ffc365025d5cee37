"""The package index's project JSON as a feed: it carries the advisories of each project's latest release, and no other.

It is there on mirrors that have no data per release, where pip-audit finds nothing to ask.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict

from pipeline.advisories.fetching import NotFound, fetch_json
from pipeline.advisories.interface import Advisory, Answer, NoAnswer, Pin
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate

WORKERS = 8


class _Foreign(BaseModel):
    """The fields in use; an index may add others."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _Info(_Foreign):
    name: str
    version: str


class _Vulnerability(_Foreign):
    id: str
    aliases: list[str]
    fixed_in: list[str]
    withdrawn: str | None = None


class _Project(_Foreign):
    """PyPI's JSON API, ``/pypi/<name>/json``. Without ``vulnerabilities`` it says nothing about them."""

    info: _Info
    vulnerabilities: list[_Vulnerability]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectJson:
    """``base`` is the index's address without its ``/simple``; ``seconds`` limits one answer."""

    base: str
    seconds: float = 10

    @property
    def name(self) -> str:
        return "project JSON"

    @property
    def uri(self) -> str:
        return "https://github.com/pypa/advisory-database"

    def ask(self, pins: Sequence[Pin]) -> Answer:
        """Never raises: what an index did not answer about stays unaudited, each pin with its own reason."""
        with ThreadPoolExecutor(WORKERS) as pool:
            results = dict(zip(pins, pool.map(self._ask_one, pins), strict=True))
        unaudited = {pin: result for pin, result in results.items() if isinstance(result, str)}
        reasons = sorted(set(unaudited.values()))
        return Answer(
            feed=self.name,
            uri=self.uri,
            answered=len(unaudited) < len(results),
            audited=frozenset(results) - frozenset(unaudited),
            unaudited=unaudited,
            advisories=tuple(found for result in results.values() if not isinstance(result, str) for found in result),
            note="; ".join(reasons),
        )

    def _ask_one(self, pin: Pin) -> list[Advisory] | str:
        """The advisories of ``pin``, or the reason why the index could not say."""
        try:
            foreign = fetch_json(f"{self.base}/pypi/{pin.name}/json", timeout=self.seconds)
            project = validate(_Project, foreign, what="project JSON")
            latest = str(Version(project.info.version))
        except NotFound:
            return "the index has no project JSON for it"
        except NoAnswer as reason:
            return f"the index did not answer: {reason}"
        except (CannotEvaluate, InvalidVersion):
            return "the index's project JSON has another shape"
        if latest != pin.version:
            return f"the index speaks of its latest release only, {latest}"
        return [
            Advisory(
                pin=pin,
                id=found.id,
                aliases=frozenset(found.aliases) - {found.id},
                fixed_in=frozenset(found.fixed_in),
                withdrawn=found.withdrawn is not None,
            )
            for found in project.vulnerabilities
        ]
