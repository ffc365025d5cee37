"""Attached bundles, each read once: a piece of evidence, or the flaw that keeps it from being one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.gate.identity import Verified
from pipeline.gate.judgement import Input
from pipeline.model.context import Context
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import AnyPredicate, Hardening, context_of, parse_predicate


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """The image as resolved: the digest that everything attaches to, and its platform manifests."""

    digest: Digest
    platforms: Mapping[str, Digest] = field(default_factory=dict)
    """``linux/amd64`` to the manifest; for a single manifest its own digest."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the image's configuration: what it says of itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What the verifier has seen before: the highest evidence list of this image, by who signed it (``Piece.by``)."""

    sequences: Mapping[str, int] = field(default_factory=dict)
    revoked: Mapping[str, str] = field(default_factory=dict)
    """Environments whose ledger revokes this image, with the reason."""

    def joined(self, sequences: Mapping[str, int]) -> "Memory":
        """With what somebody else has seen too (a ledger's entries say it): of each signer the highest counts."""
        both = [*self.sequences.items(), *sequences.items()]
        return replace(self, sequences={by: max(n for other, n in both if other == by) for by, _ in both})


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A verified statement of a known kind whose predicate fits its model."""

    verified: Verified
    kind: Kind
    predicate: AnyPredicate
    context: Context | None
    platform: str | None
    """Set for kinds that exist once per platform."""

    @property
    def digest(self) -> str:
        return self.verified.bundle_digest

    @property
    def plain(self) -> Mapping[str, Any]:
        """The predicate's JSON, as rules see it."""
        return self.verified.statement.predicate

    @property
    def name(self) -> str:
        return f"{self.kind} {self.platform}" if self.platform else str(self.kind)

    @property
    def by(self) -> str:
        """Root and identity: whose word this is, and whose chain a list belongs to."""
        return f"{self.verified.root} {self.verified.identity.san}"

    def as_input(self) -> Input:
        return Input(
            digest=self.digest,
            kind=self.kind,
            signer=self.verified.identity.san,
            verified_at=self.verified.verified_at,
            platform=self.platform,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """A bundle that is no evidence. ``verified`` where the signature held and only the content did not."""

    digest: str
    error: GatehouseError
    kind: Kind | None = None
    verified: Verified | None = None

    def as_input(self) -> Input:
        return Input(digest=self.digest, kind=self.kind)


Evidence = Piece | Flaw


def read_piece(verified: Verified, image: ImageFacts) -> Evidence:
    """Steps 4 and 6 of the verification: the kind is known, the subject is this image, the predicate parses."""
    statement = verified.statement
    kind = statement.kind
    if kind is None:
        return Flaw(digest=verified.bundle_digest, error=_unknown(statement.predicate_type), verified=verified)
    try:
        predicate = parse_predicate(kind, statement.predicate)
        context = context_of(predicate)
        platform = _platform(verified, kind, image)
        _check_targets(predicate, verified)
    except GatehouseError as error:
        return Flaw(digest=verified.bundle_digest, error=error, kind=kind, verified=verified)
    return Piece(verified=verified, kind=kind, predicate=predicate, context=context, platform=platform)


def _unknown(predicate_type: str) -> CannotEvaluate:
    return CannotEvaluate(
        "evidence.unknown",
        f"evidence: not of a known kind (got {predicate_type[:120]!r}, expected one of the design's kinds)",
        fix="judge it with a version of the pipeline that knows this kind, or remove it from the image",
    )


def _platform(verified: Verified, kind: Kind, image: ImageFacts) -> str | None:
    """The platform spoken of; raises Refused (``subject.mismatch``) where a statement names another artifact."""
    named = set(verified.statement.digests())
    if image.digest not in named or not named <= {image.digest, *image.platforms.values()}:
        got = ", ".join(sorted(str(digest) for digest in named)[:3])
        raise _mismatch(kind, got, f"{image.digest} and its platform manifests")
    if not SHAPES[kind].per_platform:
        return None
    manifests = sorted(name for name, manifest in image.platforms.items() if manifest in named)
    if len(manifests) != 1:
        raise _mismatch(kind, ", ".join(manifests) or "no platform manifest", "exactly one platform manifest")
    return manifests[0]


def _check_targets(predicate: AnyPredicate, verified: Verified) -> None:
    """Attributes of hardening name what they were read from: it has to be what the statement speaks of."""
    if not isinstance(predicate, Hardening):
        return
    named = {digest.hex for digest in verified.statement.digests()}
    for one in predicate.attributes:
        for got in (one.target.digest or {}).values() if one.target else ():
            if got not in named:
                raise _mismatch(Kind.HARDENING, got[:64], "what the statement names")


def _mismatch(kind: Kind, got: str, expected: str) -> Refused:
    return Refused(
        "subject.mismatch",
        f"{kind}: speaks of another artifact (got {got}, expected {expected})",
        fix="attest this image: evidence of another one says nothing about it",
    )
