"""The image that is to be reproduced, and the provenance that says from what it was built."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.gate.evidence import Evidence, Flaw, ImageFacts, Piece
from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.identity import Verified
from pipeline.gate.policy import Policy, load_policy
from pipeline.gate.standing import stand
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Provenance, same_predicate
from pipeline.settings import Settings, with_registry
from pipeline.steps.job import Job
from pipeline.store.interface import Descriptor, Readable

_REFERENCE = re.compile(r"(?:([^@]+)@)?(sha256:[0-9a-f]{64})")
POLICIES = "policies"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """``signed`` is who vouches for ``provenance``."""

    image: Descriptor
    facts: ImageFacts
    provenance: Provenance
    signed: Verified


def read_reference(options: Sequence[str], settings: Settings) -> tuple[Digest | None, Settings]:
    """What was typed, ``[HOST/REPO@]sha256:...``: the digest (None: nothing) and the settings with that registry.

    Raises Misuse (``reproduction.arguments``, ``arguments.registry``).
    """
    if not options:
        return None, settings
    match = _REFERENCE.fullmatch(options[0])
    if len(options) > 1 or match is None:
        raise Misuse(
            "reproduction.arguments",
            f"reproduce: not one image by its digest (got {' '.join(options)[:200]!r}, "
            "expected [HOST/REPO@]sha256:... or nothing)",
            fix="type `scripts/nox -s reproduce -- HOST/REPO@sha256:...`; a tag may point elsewhere tomorrow",
        )
    registry, digest = match.groups()
    return Digest.parse(digest), with_registry(settings, registry) if registry else settings


def built_here(job: Job) -> Digest | None:
    """The image that this clone built from its present source tree."""
    record = job.read_record("image")
    digest = record.outcome.data.get("digest") if record else None
    return Digest.parse(digest) if isinstance(digest, str) else None


def find_target(job: Job, store: Readable, digest: Digest) -> Target:
    """Read image and evidence; the provenance counts that some environment's signers vouch for.

    What was built tells whoever rebuilds it what to run, so a stranger's word will not do. Raises CannotEvaluate
    (``reproduction.provenance``, ``store.*``, ``registry.*``, ``policy.*``, ``trust.*``) and Refused
    (``reproduction.dirty``, ``store.digest``).
    """
    image, facts = read_image(store, str(digest))
    policies = job.root / POLICIES
    policy = load_policy(policies)
    evidence = gather(store, facts, load_roots(job.state, policies))
    trusted = list(_trusted([one for one in evidence if isinstance(one, Piece)], policy))
    same = all(same_predicate(dict(one.plain), dict(trusted[0].plain)) for one in trusted)
    if not trusted or not same or not isinstance(trusted[0].predicate, Provenance):
        raise _no_provenance(digest, f"{len(trusted)} that say different things" if trusted else _others(evidence))
    provenance = trusted[0].predicate
    if provenance.context.source.dirty:
        raise _dirty(provenance)
    return Target(image=image, facts=facts, provenance=provenance, signed=trusted[0].verified)


def _trusted(pieces: Sequence[Piece], policy: Policy) -> Iterator[Piece]:
    accepted = [stand(pieces, policy, environment).accepted for environment in policy.environments]
    for piece in pieces:
        if piece.kind is Kind.PROVENANCE and any(piece in pieces for pieces in accepted):
            yield piece


def _others(evidence: Sequence[Evidence]) -> str:
    pieces = [one for one in evidence if isinstance(one, Piece)]
    signers = sorted({str(piece.verified.identity) for piece in pieces if piece.kind is Kind.PROVENANCE})
    if signers:
        return f"only one by {signers[0]}"
    unknown = [one for one in evidence if isinstance(one, Flaw)]
    return f"{len(unknown)} bundles that do not verify here: {unknown[0].error.message}" if unknown else "none"


def _no_provenance(digest: Digest, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "reproduction.provenance",
        f"{digest}: no provenance to rebuild from (got {got}, expected one by a signer that the policy trusts)",
        fix="attest the image first (`scripts/pipeline`), or name its builder's root and identity in "
        "policies/environments.toml",
    )


def _dirty(provenance: Provenance) -> Refused:
    source = provenance.context.source
    return Refused(
        "reproduction.dirty",
        f"source: built from uncommitted changes (got tree {source.tree[:12]}, "
        f"expected that of commit {source.commit[:12]})",
        fix="commit them, build and attest again (`scripts/pipeline`), then reproduce that image",
    )
