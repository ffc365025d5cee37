"""What a step leaves behind: one record that attest, the report and the reuse of results read."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from pipeline.model.context import Context
from pipeline.model.documents import Document
from pipeline.model.kinds import Kind


class Status(StrEnum):
    """How a step ended; only PASSED and WARNED let the job go on, and only they can be reused."""

    PASSED = "passed"
    WARNED = "warned"
    """Looked, and could not see everything; the finding says what stayed unseen."""
    FAILED = "failed"
    SKIPPED = "skipped"
    CRASHED = "crashed"


class Evidence(Document):
    """A predicate ready to be signed. ``platform`` (``linux/amd64``) where the kind exists once per platform."""

    kind: Kind
    predicate: dict[str, Any]
    platform: str | None = None


class Problem(Document):
    """One thing a person should act on: stable code, message with got and expected, fix."""

    code: str
    message: str
    fix: str


class Artifact(Document):
    """A file that the step wrote, by its path below the root, so that a reused result can be checked."""

    path: str
    sha256: str


class Outcome(Document):
    """What a step's own code returns."""

    status: Status
    finding: str
    """One line: what the step found."""
    evidence: list[Evidence] = Field(default_factory=list)
    problems: list[Problem] = Field(default_factory=list)
    artifacts: list[Artifact] = Field(default_factory=list)
    data: dict[str, Any] = Field(default_factory=dict)
    """Values that later steps and the report read (the image step's ``digest``)."""


class StepRecord(Document):
    """``<state>/steps/<step>.json``."""

    step: str
    context: Context | None
    seconds: float
    started: int
    """Seconds since the epoch."""
    outcome: Outcome
