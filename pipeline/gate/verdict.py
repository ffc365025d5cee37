"""A Judgement as a verification summary (SLSA v1.2, ``verification_summary/v1``), ready to be signed."""

from pipeline import __version__
from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.model.digests import Digest
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import VerdictPredicate, VsaInput, dump
from pipeline.model.statement import make_statement

VERIFIER = "https://gatehouse.dev/gate"


def image_purl(name: str, image: Digest) -> str:
    """The image as a package URL (purl specification, type ``oci``); it names no place, since copies are the same."""
    return f"pkg:oci/{name}@sha256%3A{image.hex}"


def resource_uri(name: str, judgement: Judgement) -> str:
    return image_purl(name, judgement.image)


def verdict_predicate(judgement: Judgement, name: str) -> VerdictPredicate:
    """``name`` is the image's. ``inputAttestations`` is complete: every bundle that was looked at."""
    return VerdictPredicate(
        verifier={"id": VERIFIER, "version": {"gatehouse": __version__}},
        timeVerified=rfc3339(judgement.time),
        resourceUri=resource_uri(name, judgement),
        policy=VsaInput(uri=f"urn:gatehouse:policy:{judgement.environment}", digest={"sha256": judgement.policy}),
        inputAttestations=[
            VsaInput(uri=f"urn:gatehouse:evidence:{one.kind or 'unreadable'}", digest={"sha256": one.digest})
            for one in sorted(judgement.inputs, key=lambda one: one.digest)
        ],
        verificationResult=judgement.result,
        verifiedLevels=list(judgement.levels),
        gatehouse_refusals=sorted({finding.code for finding in judgement.refusals}),
        gatehouse_environment=judgement.environment,
    )


def verdict_statement(judgement: Judgement, name: str) -> bytes:
    """The bytes to sign."""
    predicate = dump(verdict_predicate(judgement, name))
    return make_statement([(name, judgement.image)], SHAPES[Kind.VERDICT].predicate_type, predicate)


def same_verdict(one: VerdictPredicate, other: VerdictPredicate) -> bool:
    """Whether two verdicts say the same, whenever they were made."""
    return one.model_copy(update={"time_verified": other.time_verified}) == other
