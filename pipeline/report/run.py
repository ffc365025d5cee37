"""One run as frozen data: what every form of the report shows, and what ``--format json`` prints."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from pipeline.model.context import Source
from pipeline.model.documents import Document
from pipeline.model.outcome import Artifact, Problem

FORMAT: Literal["gatehouse-run/1"] = "gatehouse-run/1"
Result = Literal["passed", "reused", "warned", "skipped", "failed", "crashed", "not run"]
RESULTS: tuple[Result, ...] = get_args(Result)
STOPPED = ("failed", "crashed", "not run")
"""Results that end a run without a yes."""


class Session(Document):
    """A line of the run list that the runner writes. ``why`` says why a step was run again, reused, or not run."""

    run: str
    name: str
    result: Result
    seconds: Annotated[float, Field(ge=0)]
    exit_code: int
    why: str = ""


class RunList(Document):
    """``<state>/run.json``: which sessions ran and how they ended. Times are seconds, ``started`` since the epoch."""

    run: str
    started: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    sessions: list[Session]


class Step(Document):
    """A session with what its record says; ``finding`` is empty where it left none in this run."""

    name: str
    result: Result
    seconds: float
    finding: str = ""
    why: str = ""
    problems: list[Problem] = Field(default_factory=list)


class Refusal(BaseModel):
    """Why an environment says no. ``kind`` is the evidence it speaks of, None for the release as a whole."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    code: str
    message: str
    fix: str
    kind: str | None = None


class Verified(BaseModel):
    """A bundle that the gate looked at; ``time`` is None where it did not verify."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    digest: str
    time: str | None = None


class Verdict(BaseModel):
    """``dist/verdicts/<environment>.json``, the fields that the report shows."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    environment: str
    result: Literal["PASSED", "FAILED"]
    image: str
    policy: str
    refusals: list[Refusal]
    warnings: list[Refusal] = Field(default_factory=list)
    levels: list[str] = Field(default_factory=list)
    evidence: list[Verified] = Field(default_factory=list)
    time: str


class Bundle(Document):
    """A signed statement below ``dist/bundles``: ``digest`` is the SHA-256 of the file."""

    file: str
    digest: str
    kind: str
    signer: str
    issuer: str
    result: str = ""
    """What the predicate itself says: PASSED, WARNED or FAILED, empty where it says nothing."""
    platform: str = ""
    verified: str = ""
    """The time that the gate verified, in RFC 3339; empty where no verdict of this run rests on the bundle."""


class Platform(Document):
    name: str
    digest: str


class Image(Document):
    """``size`` in bytes, as the image step counts it; ``hardening`` are the attributes that hold."""

    digest: str
    media_type: str
    size: int
    platforms: list[Platform]
    archive: str
    hardening: list[str] = Field(default_factory=list)


class Component(Document):
    name: str
    version: str
    ecosystem: str
    """The purl's type: ``pypi``, ``deb``, or ``other``."""
    licences: str


class Finding(Document):
    """A known vulnerability, as the audit reported it."""

    id: str
    package: str
    version: str
    severity: str
    published: str
    fixed_in: list[str]


class Audit(Document):
    """What was asked and what was found. ``unaudited`` maps a purl to why nobody could be asked about it."""

    locked: int
    audited: int
    unaudited: dict[str, str]
    canary: bool
    feeds: list[str]
    findings: list[Finding]


class Run(Document):
    """Everything that a report shows. Stable: docs/formats.md says what each field means."""

    format: Literal["gatehouse-run/1"] = FORMAT
    run: str
    started: float
    seconds: float
    app: str
    version: str
    source: Source | None
    steps: list[Step]
    image: Image | None
    verdicts: list[Verdict]
    bundles: list[Bundle]
    components: list[Component]
    audit: Audit | None
    artifacts: list[Artifact]
    accepted: bool
    """The first environment's verdict is PASSED and no session stands in the way of it."""
    next: str
    """The command to type next."""

    @property
    def counts(self) -> dict[str, int]:
        """Result to number of steps, in the order of ``Result``, without zeros."""
        results = [step.result for step in self.steps]
        return {name: results.count(name) for name in RESULTS if name in results}

    @property
    def stopped(self) -> list[str]:
        """The steps that stand in the way, in their order."""
        return [step.name for step in self.steps if step.result in STOPPED]
