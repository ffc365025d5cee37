"""The verdict of one environment, as immutable data, and its stable JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Problem

FORMAT = "gatehouse-verdict/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that refuses or warns. ``kind`` is the evidence it speaks of, None for the release as a whole."""

    code: str
    message: str
    fix: str
    kind: Kind | None = None
    unreadable: bool = False
    """Evidence that could not be evaluated, rather than evidence that says no."""

    @classmethod
    def of(cls, error: GatehouseError, kind: Kind | None = None) -> "Finding":
        return cls(
            code=error.code,
            message=error.message,
            fix=error.fix,
            kind=kind,
            unreadable=isinstance(error, CannotEvaluate),
        )

    def problem(self) -> Problem:
        return Problem(code=self.code, message=self.message, fix=self.fix)

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "fix": self.fix,
            "kind": None if self.kind is None else str(self.kind),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A bundle that was looked at, by its SHA-256. Kind, signer and time are None where it did not verify."""

    digest: str
    kind: Kind | None = None
    signer: str | None = None
    verified_at: datetime | None = None
    platform: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "digest": f"sha256:{self.digest}",
            "kind": None if self.kind is None else str(self.kind),
            "signer": self.signer,
            "time": None if self.verified_at is None else rfc3339(self.verified_at),
            "platform": self.platform,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the gate found for one image in one environment at one time."""

    environment: str
    image: Digest
    policy: str
    """SHA-256 of the policy, in hexadecimal."""
    time: datetime
    refusals: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    levels: tuple[str, ...]
    """What was verified, computed from evidence (SLSA VSA, ``verifiedLevels``)."""
    inputs: tuple[Input, ...]
    sequences: Mapping[str, int]
    """The highest evidence list of each signer that was accepted, to be remembered."""
    exceptions: tuple[str, ...] = ()
    """The policy's exceptions that were used, by id: without them there would be more refusals."""

    @property
    def result(self) -> Literal["PASSED", "FAILED"]:
        return "FAILED" if self.refusals else "PASSED"

    @property
    def passed(self) -> bool:
        return not self.refusals

    @property
    def exit_code(self) -> int:
        """0 allowed, 1 refused, 3 something could not be evaluated (then nobody knows all that is wrong)."""
        if not self.refusals:
            return 0
        return 3 if any(finding.unreadable for finding in self.refusals) else 1

    def to_json(self) -> dict[str, Any]:
        """``gatehouse-verdict/1``: fields are added, never changed or removed."""
        return {
            "format": FORMAT,
            "environment": self.environment,
            "result": self.result,
            "image": str(self.image),
            "policy": f"sha256:{self.policy}",
            "time": rfc3339(self.time),
            "levels": list(self.levels),
            "refusals": [finding.to_json() for finding in self.refusals],
            "warnings": [finding.to_json() for finding in self.warnings],
            "evidence": [one.to_json() for one in self.inputs],
            "sequences": dict(self.sequences),
            "exceptions": list(self.exceptions),
        }


def rfc3339(time: datetime) -> str:
    """UTC to the second, as predicates write it."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
