"""The closed set of evidence kinds, and how a statement shows which one it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
OWN = "https://gatehouse.dev/attestation"


class Kind(StrEnum):
    """What a piece of evidence speaks of."""

    SIGNATURE = "signature"
    PROVENANCE = "provenance"
    SOURCE = "source"
    TESTS = "tests"
    SAST = "sast"
    WORKFLOWS = "workflows"
    DEPENDENCIES = "dependencies"
    VULNERABILITIES = "vulnerabilities"
    SBOM = "sbom"
    HARDENING = "hardening"
    SMOKE = "smoke"
    REPRODUCTION = "reproduction"
    EVIDENCE_LIST = "evidence-list"
    # Written by the gate and by people, outside the evidence list.
    VERDICT = "verdict"
    PROMOTION = "promotion"
    GRANT = "grant"
    REVOCATION = "revocation"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kind is told from the others: predicate type and, for test results, the name of ``configuration[0]``."""

    predicate_type: str
    configuration: str | None = None
    per_platform: bool = False
    listed: bool = True


SHAPES: dict[Kind, Shape] = {
    Kind.SIGNATURE: Shape("https://sigstore.dev/cosign/sign/v1"),
    Kind.PROVENANCE: Shape("https://slsa.dev/provenance/v1"),
    Kind.SOURCE: Shape(f"{OWN}/source/v1"),
    Kind.TESTS: Shape(TEST_RESULT, "pytest"),
    Kind.SAST: Shape(TEST_RESULT, "bandit"),
    Kind.WORKFLOWS: Shape(TEST_RESULT, "workflows"),
    Kind.DEPENDENCIES: Shape(TEST_RESULT, "dependencies"),
    Kind.VULNERABILITIES: Shape("https://in-toto.io/attestation/vulns/v0.2"),
    Kind.SBOM: Shape("https://cyclonedx.org/bom", per_platform=True),
    Kind.HARDENING: Shape("https://in-toto.io/attestation/scai/v0.3", per_platform=True),
    Kind.SMOKE: Shape(TEST_RESULT, "smoke", per_platform=True),
    Kind.REPRODUCTION: Shape(TEST_RESULT, "reproduction"),
    Kind.EVIDENCE_LIST: Shape("https://in-toto.io/attestation/reference/v0.1", listed=False),
    Kind.VERDICT: Shape("https://slsa.dev/verification_summary/v1", listed=False),
    Kind.PROMOTION: Shape(f"{OWN}/promotion/v1", listed=False),
    Kind.GRANT: Shape(f"{OWN}/grant/v1", listed=False),
    Kind.REVOCATION: Shape(f"{OWN}/revocation/v1", listed=False),
}

#: The kinds that an evidence list speaks of, in the order of the design's table.
LISTED: tuple[Kind, ...] = tuple(kind for kind, shape in SHAPES.items() if shape.listed)


def kind_of(predicate_type: str, predicate: Any) -> Kind | None:
    """The kind of a statement, or None where it is none of ours (then it is refused as unknown)."""
    name = None
    if predicate_type == TEST_RESULT:
        try:
            name = predicate["configuration"][0]["name"]
        except (KeyError, IndexError, TypeError):
            return None
    for kind, shape in SHAPES.items():
        if shape.predicate_type == predicate_type and shape.configuration == name:
            return kind
    return None
