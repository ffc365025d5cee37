"""Strict shapes of the predicates, one model a kind; what does not fit is refused, not ignored.

Sources: in-toto attestation framework (``spec/predicates``), SLSA v1.2 provenance and verification summary.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from pipeline.model.context import CONTEXT_PROPERTY, Context, GitHash, Sha256Hex
from pipeline.model.documents import Document, canonical_json, parse, validate
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind

Line = Annotated[str, StringConstraints(max_length=4096)]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""RFC 3339 in UTC, to the second, as CEL's ``timestamp()`` reads it."""
Result = Literal["PASSED", "WARNED", "FAILED"]
_HEXADECIMAL = re.compile(r"[0-9a-f]*")


class Descriptor(Document):
    """in-toto ResourceDescriptor v1, the fields in use."""

    name: Line | None = None
    uri: Line | None = None
    digest: dict[str, Line] | None = None
    media_type: Line | None = Field(default=None, alias="mediaType")
    annotations: dict[str, Any] | None = None


class Contextual(Document):
    context: Context = Field(alias="gatehouse_context")


class SignaturePredicate(Document):
    """``https://sigstore.dev/cosign/sign/v1``: the empty object."""


class TestResult(Contextual):
    """``https://in-toto.io/attestation/test-result/v0.1``: what ran and passed or failed."""

    __test__ = False  # not a pytest class

    result: Result
    configuration: Annotated[list[Descriptor], Field(min_length=1)]
    """``configuration[0]`` names the kind and holds the digest of the tool's configuration."""
    url: Line | None = None
    passed_tests: list[Line] = Field(default_factory=list, alias="passedTests")
    warned_tests: list[Line] = Field(default_factory=list, alias="warnedTests")
    failed_tests: list[Line] = Field(default_factory=list, alias="failedTests")
    measures: dict[str, int | float | str | bool] = Field(default_factory=dict, alias="gatehouse_measures")
    """Numbers that rules look at: ``tests``, ``failures``, ``coverage_percent``, ``findings_high`` ..."""


class BuildDefinition(Document):
    build_type: Line = Field(alias="buildType")
    external_parameters: dict[str, Any] = Field(alias="externalParameters")
    internal_parameters: dict[str, Any] = Field(default_factory=dict, alias="internalParameters")
    resolved_dependencies: list[Descriptor] = Field(alias="resolvedDependencies")

    @field_validator("resolved_dependencies")
    @classmethod
    def _are_named_in_hexadecimal(cls, found: list[Descriptor]) -> list[Descriptor]:
        """Their length is a rule's to judge; a word in place of a digest names nothing."""
        if not all(_HEXADECIMAL.fullmatch(value) for one in found for value in (one.digest or {}).values()):
            raise ValueError("should have digests in hexadecimal")
        return found


class Builder(Document):
    id: Line
    version: dict[str, Line] = Field(default_factory=dict)


class BuildMetadata(Document):
    invocation_id: Line | None = Field(default=None, alias="invocationId")
    started_on: Time | None = Field(default=None, alias="startedOn")
    finished_on: Time | None = Field(default=None, alias="finishedOn")


class RunDetails(Document):
    builder: Builder
    metadata: BuildMetadata = Field(default_factory=BuildMetadata)
    byproducts: list[Descriptor] = Field(default_factory=list)


class Provenance(Contextual):
    """``https://slsa.dev/provenance/v1`` (SLSA v1.2, build provenance)."""

    build_definition: BuildDefinition = Field(alias="buildDefinition")
    run_details: RunDetails = Field(alias="runDetails")


Severity = Literal["critical", "high", "medium", "low", "none", "unknown"]


class Score(Document):
    """One severity: ``method`` is ``CVSS_V3``, ``CVSS_V4`` or ``gatehouse`` (then ``score`` is a Severity)."""

    method: Line
    score: Line


class VulnerabilityAnnotations(Document):
    package: Line
    version: Line
    purl: Line
    severity: Severity
    published: Time | None = None
    """When the advisory was published; None where its record does not say."""
    aliases: list[Line]
    fixed_in: list[Line]
    direct: bool
    withdrawn: bool = False


class VulnerabilityFinding(Document):
    id: Line
    severity: list[Score]
    annotations: Annotated[list[VulnerabilityAnnotations], Field(min_length=1, max_length=1)]


class Feed(Document):
    uri: Line
    version: Line | None = None
    last_update: Time | None = Field(default=None, alias="lastUpdate")


class Scanner(Document):
    uri: Line
    version: Line
    db: Feed
    result: list[VulnerabilityFinding]


class ScanMetadata(Document):
    scan_started_on: Time = Field(alias="scanStartedOn")
    scan_finished_on: Time = Field(alias="scanFinishedOn")


class Coverage(Document):
    """Which locked packages the scan really asked about, as purls; ``unaudited`` maps a purl to the reason."""

    locked: list[Line]
    audited: list[Line]
    unaudited: dict[str, Line]
    canary: bool
    """The known-vulnerable pin was reported, so the feed does find things."""
    feeds: list[dict[str, Any]]
    """Per feed: name, answered (bool), age_seconds (int or null), note."""


class Vulnerabilities(Contextual):
    """``https://in-toto.io/attestation/vulns/v0.2``."""

    scanner: Scanner
    metadata: ScanMetadata
    coverage: Coverage = Field(alias="gatehouse_coverage")


class ScaiAttribute(Document):
    attribute: Line
    target: Descriptor | None = None
    conditions: dict[str, Any] | None = None
    evidence: Descriptor | None = None


class Hardening(Contextual):
    """``https://in-toto.io/attestation/scai/v0.3``: attributes read from the image's layers.

    An attribute stands only where it holds (``NON_ROOT_USER``, ``NO_SETUID_FILES``, ``NO_SHELL``,
    ``NO_PACKAGE_MANAGER``, ``NO_WORLD_WRITABLE_FILES``, ``ELF_CLOSURE``, ``NO_DANGLING_LINKS``, ``NO_SECRETS``,
    ``PACKAGES_UNALTERED``).
    """

    attributes: list[ScaiAttribute]
    producer: Descriptor
    measures: dict[str, int | float | str | bool] = Field(default_factory=dict, alias="gatehouse_measures")


class Sbom(Document):
    """``https://cyclonedx.org/bom``: CycloneDX 1.6, held to its JSON schema where it is made."""

    model_config = {**Document.model_config, "extra": "allow"}

    bom_format: Literal["CycloneDX"] = Field(alias="bomFormat")
    spec_version: Literal["1.6"] = Field(alias="specVersion")
    components: list[dict[str, Any]]
    metadata: dict[str, Any]
    dependencies: list[dict[str, Any]]

    @property
    def context(self) -> Context:
        properties = self.metadata.get("properties")
        items = [item for item in properties if isinstance(item, dict)] if isinstance(properties, list) else []
        found = [str(item.get("value", "")) for item in items if item.get("name") == CONTEXT_PROPERTY]
        if len(found) == 1:
            return parse(Context, found[0].encode(), what="sbom context")
        raise CannotEvaluate(
            "document.shape",
            f"sbom: no one source named (got {len(found)} properties {CONTEXT_PROPERTY}, "
            "expected one in metadata.properties)",
            fix="make the SBOM again with `scripts/nox -s sbom`",
        )


class Review(Document):
    """A reviewer's last word, and the commit that it was said of (None where the forge no longer knows it)."""

    reviewer: Line
    state: Literal["APPROVED", "CHANGES_REQUESTED", "DISMISSED"]
    head: GitHash | None = None


class Change(Document):
    """The merged change that brought the commit. ``head`` is the last commit of the change itself."""

    number: int = Field(ge=1)
    author: Line
    authors: list[Line]
    """Who wrote or committed any part of it: none of them reviews it."""
    head: GitHash
    reviews: list[Review]


class Protection(Document):
    """The protected branch: whether it ``contains`` the commit, and the rules in force on it."""

    name: Line
    contains: bool
    rules: list[Line]
    """Types of the rules, sorted."""
    digest: Sha256Hex
    """Over the rules whole, so that policy can pin them."""


class SignedTag(Document):
    """The tag that is released: what it points to, and the forge's word on its signature."""

    name: Line
    commit: GitHash
    signed: bool
    reason: Line


class SourcePredicate(Contextual):
    """``source/v1``: what the forge says of the commit; absent ``change`` and ``tag`` are none."""

    repository: Line
    commit: GitHash
    tree: GitHash
    branch: Protection
    change: Change | None = None
    tag: SignedTag | None = None


class EvidenceAnnotations(Document):
    kind: Kind
    status: Literal["present", "skipped", "crashed"]
    platform: str | None = None
    reason: Line | None = None


class EvidenceReference(Document):
    """One line of the list. ``digest`` is the bundle's SHA-256; absent where the kind is skipped or crashed."""

    name: Line
    digest: dict[Literal["sha256"], Sha256Hex] | None = None
    media_type: Line | None = Field(default=None, alias="mediaType")
    annotations: EvidenceAnnotations


class EvidenceList(Contextual):
    """``https://in-toto.io/attestation/reference/v0.1`` with sequence, previous list and time of issue."""

    attester: dict[Literal["id"], Line]
    references: list[EvidenceReference]
    sequence: int = Field(ge=1, alias="gatehouse_sequence")
    previous: Sha256Hex | None = Field(default=None, alias="gatehouse_previous")
    """SHA-256 of the bundle of the list before, None for the first."""
    issued: Time = Field(alias="gatehouse_issued")


class VsaInput(Document):
    uri: Line
    digest: dict[Literal["sha256"], Sha256Hex]


class VerdictPredicate(Document):
    """``https://slsa.dev/verification_summary/v1`` (SLSA v1.2), PASSED and FAILED alike."""

    verifier: dict[str, Any]
    time_verified: Time = Field(alias="timeVerified")
    resource_uri: Line = Field(alias="resourceUri")
    policy: VsaInput
    input_attestations: list[VsaInput] = Field(alias="inputAttestations")
    verification_result: Literal["PASSED", "FAILED"] = Field(alias="verificationResult")
    verified_levels: list[Line] = Field(alias="verifiedLevels")
    slsa_version: Line = Field(default="1.2", alias="slsaVersion")
    refusals: list[Line] = Field(default_factory=list, alias="gatehouse_refusals")
    """The codes of what refused, sorted; empty for PASSED."""
    environment: Line = Field(alias="gatehouse_environment")


class PromotionPredicate(Document):
    """``promotion/v1``: one entry of an environment's ledger."""

    environment: Line
    sequence: int = Field(ge=1)
    previous: Sha256Hex | None = None
    """SHA-256 of the bundle of the entry before, None for the first."""
    image: Sha256Hex
    version: Line
    commit: Line
    verdict: Sha256Hex
    """SHA-256 of the verdict's bundle."""
    time: Time
    requester: Line
    """Who asked for it: the signer, or whom the CI system names."""
    reason: Line | None = None
    grant: Sha256Hex | None = None
    """SHA-256 of the grant's statement: an entry with one is a rollback, which may go back to an older version."""
    lists: dict[Line, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """The highest evidence list of each signer that carried it in a registry, so that none of them can go missing."""


class RevocationPredicate(Document):
    """``revocation/v1``: an entry of the ledger after which an image may never run in the environment again."""

    environment: Line
    sequence: int = Field(ge=1)
    previous: Sha256Hex | None = None
    image: Sha256Hex
    reason: Line
    time: Time
    requester: Line
    grant: Sha256Hex


class GrantPredicate(Document):
    """``grant/v1``: a person allows somebody else one rollback or revocation of one image."""

    action: Literal["rollback", "revocation"]
    environments: Annotated[list[Line], Field(min_length=1, max_length=16)]
    image: Sha256Hex
    requester: Line
    """Who may use it."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    expires: Time


AnyPredicate = (
    SignaturePredicate
    | TestResult
    | Provenance
    | SourcePredicate
    | Vulnerabilities
    | Hardening
    | Sbom
    | EvidenceList
    | VerdictPredicate
    | PromotionPredicate
    | GrantPredicate
    | RevocationPredicate
)

_TEST_KINDS = (Kind.TESTS, Kind.SAST, Kind.WORKFLOWS, Kind.DEPENDENCIES, Kind.SMOKE, Kind.REPRODUCTION)

MODELS: dict[Kind, type[AnyPredicate]] = {
    Kind.SIGNATURE: SignaturePredicate,
    Kind.PROVENANCE: Provenance,
    Kind.SOURCE: SourcePredicate,
    **dict.fromkeys(_TEST_KINDS, TestResult),
    Kind.VULNERABILITIES: Vulnerabilities,
    Kind.SBOM: Sbom,
    Kind.HARDENING: Hardening,
    Kind.EVIDENCE_LIST: EvidenceList,
    Kind.VERDICT: VerdictPredicate,
    Kind.PROMOTION: PromotionPredicate,
    Kind.GRANT: GrantPredicate,
    Kind.REVOCATION: RevocationPredicate,
}


def parse_predicate(kind: Kind, predicate: dict[str, Any]) -> AnyPredicate:
    """The typed predicate; raises CannotEvaluate (``document.shape``), also for a kind that nothing writes yet."""
    model = MODELS.get(kind)
    if model is None:
        raise CannotEvaluate(
            "document.shape",
            f"{kind}: no shape known for this kind (got {kind}, expected one of {', '.join(sorted(MODELS))})",
            fix="judge it with a version of the pipeline that knows this kind",
        )
    return validate(model, predicate, what=f"{kind} predicate")


def context_of(predicate: AnyPredicate) -> Context | None:
    """The source, locks and tool that a predicate names; None for signature, verdict and promotion."""
    if isinstance(predicate, Contextual | Sbom):
        return predicate.context
    return None


def dump(predicate: AnyPredicate) -> dict[str, Any]:
    """The JSON object of a predicate, by the field names of its specification, absent fields left out."""
    return predicate.model_dump(mode="json", by_alias=True, exclude_none=True)


def same_predicate(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return canonical_json(one) == canonical_json(other)
