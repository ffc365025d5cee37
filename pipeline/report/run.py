"""One run as frozen data: what every form of the report shows, and what ``--format json`` prints."""

from collections import Counter
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
    """The run that it belongs to."""
    name: str
    result: Result
    seconds: Annotated[float, Field(ge=0)]
    exit_code: int
    """0, 1, 2 or 3."""
    why: str = ""


class RunList(Document):
    """``<state>/run.json``: which sessions ran and how they ended. Times are seconds, ``started`` since the epoch."""

    run: str
    """The identifier of the run."""
    started: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    sessions: list[Session]


class Step(Document):
    """A session with what its record says; ``finding`` is empty where it left none in this run."""

    name: str
    result: Result
    seconds: float
    """How long it took."""
    finding: str = ""
    """One line: what it found."""
    why: str = ""
    """Why it ran, was reused, or did not run."""
    problems: list[Problem] = Field(default_factory=list)
    """What a person should act on."""


class Refusal(BaseModel):
    """Why an environment says no. ``kind`` is the evidence it speaks of, None for the release as a whole."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    code: str
    """Stable; docs/codes.md lists them."""
    message: str
    """`<subject>: <what differs> (got X, expected Y)`."""
    fix: str
    """What to type or change."""
    kind: str | None = None


class Verified(BaseModel):
    """A bundle that the gate looked at; ``time`` is None where it did not verify."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    digest: str
    time: str | None = None
    platform: str | None = None


class Verdict(BaseModel):
    """``dist/verdicts/<environment>.json``, the fields that the report shows."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    environment: str
    result: Literal["PASSED", "FAILED"]
    image: str
    """The digest that was judged."""
    policy: str
    """The SHA-256 of the policy."""
    refusals: list[Refusal]
    """Empty where the result is PASSED."""
    warnings: list[Refusal] = Field(default_factory=list)
    """What the policy only warns of here."""
    levels: list[str] = Field(default_factory=list)
    """What was verified, as SLSA names it."""
    evidence: list[Verified] = Field(default_factory=list)
    """Every bundle that was looked at."""
    time: str
    """When it was judged, RFC 3339."""


class Bundle(Document):
    """A signed statement below ``dist/bundles``: ``digest`` is the SHA-256 of the file."""

    file: str
    """Its name below `dist/bundles`."""
    digest: str
    kind: str
    """The kind of evidence, `unreadable` where the file cannot be read."""
    signer: str
    """The identity in the signing certificate."""
    issuer: str
    """Who vouched for that identity."""
    result: str = ""
    """What the predicate itself says: PASSED, WARNED or FAILED, empty where it says nothing."""
    platform: str = ""
    """`linux/amd64`, empty where the statement speaks of the image as a whole."""
    image: str = ""
    """The digest that the statement names first, empty where the file cannot be read."""
    verified: str = ""
    """The time that the gate verified, in RFC 3339; empty where no verdict of this run rests on the bundle."""


class Platform(Document):
    """One image manifest: ``linux/amd64``, its digest, and its sizes in bytes (0 where they were not measured)."""

    name: str
    digest: str
    compressed: int = 0
    """What a registry transfers."""
    unpacked: int = 0
    """What the files take."""


class Image(Document):
    """The image of this tree; ``hardening`` are the attributes that hold on every platform."""

    digest: str
    """`sha256:...` of the index where there are several platforms, else of the manifest."""
    media_type: str
    platforms: list[Platform]
    archive: str
    """OCI layout and `docker load` archive in one tar."""
    hardening: list[str] = Field(default_factory=list)


class Component(Document):
    """One entry of the SBOM."""

    name: str
    version: str
    ecosystem: str
    """The purl's type: ``pypi``, ``deb``, or ``other``."""
    licences: list[str]
    """SPDX identifiers, expressions or names; empty where the SBOM states none."""


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
    """Packages in the locks."""
    audited: int
    """Packages that a feed was really asked about."""
    unaudited: dict[str, str]
    canary: bool
    """The known-vulnerable pin was reported, so the feed does find things."""
    feeds: list[str]
    """Each feed, and whether it answered."""
    findings: list[Finding]


class Difference(Document):
    """One thing in which a second build differs: `got` is the second build's, `expected` the image's."""

    place: str
    """Platform and path, or where else it is."""
    what: str
    """The side of it that differs: path, type, mode, owner, content, link, a field."""
    got: str
    expected: str


class Reproduction(Document):
    """The image built a second time, and what came out."""

    first: str
    """The builder of the image."""
    second: str
    """Who built it again."""
    compared: str
    """`bytes` within one builder, where the same digest is due, else `files`."""
    same_digest: bool
    paths: int
    """How many paths were compared."""
    shared: list[str]
    """What a defect could be in without the second build showing it."""
    count: int
    """Differences; 0 is a pass."""
    differences: list[Difference]
    """The first of them; dist/reports/reproduction.txt has all."""


class Run(Document):
    """Everything that a report shows. Stable: docs/formats.md says what each field means."""

    format: Literal["gatehouse-run/1"] = FORMAT
    run: str
    """The identifier of the run."""
    started: float
    """Seconds since the epoch."""
    seconds: float
    """How long all of it took."""
    app: str
    """`[app] name` of pipeline.toml."""
    version: str
    """`[app] version` of pipeline.toml."""
    source: Source | None
    steps: list[Step]
    image: Image | None
    """null where no image was made of this tree."""
    verdicts: list[Verdict]
    """Those of this run, in the order of promotion."""
    bundles: list[Bundle]
    components: list[Component]
    reproduction: Reproduction | None = None
    """null where this image was not built a second time."""
    audit: Audit | None
    """null where the audit left no evidence."""
    artifacts: list[Artifact]
    """Files below `dist/` that the steps named."""
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
    def files(self) -> list[str]:
        """What lies below ``dist/``; a folder with several files stands for them, with their number."""
        names = [artifact.path.removeprefix("dist/").split("/") for artifact in self.artifacts]
        counted = Counter(name[0] for name in names)
        single = {name[0]: "/".join(name) for name in names}
        return [f"{top}/ ({count} files)" if count > 1 else single[top] for top, count in sorted(counted.items())]

    @property
    def signers(self) -> list[tuple[str, str]]:
        """(identity, issuer) of the bundles, each once."""
        return sorted({(bundle.signer, bundle.issuer) for bundle in self.bundles})

    @property
    def stopped(self) -> list[str]:
        """The steps that stand in the way, in their order."""
        return [step.name for step in self.steps if step.result in STOPPED]
