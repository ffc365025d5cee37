"""Steps 4 and 5: all evidence is of one source and one set of locks, is timely, and does not disagree."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pipeline.gate.environments import MaxAge
from pipeline.gate.evidence import Piece
from pipeline.gate.judgement import Finding, rfc3339
from pipeline.model.context import Context
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Provenance, Sbom, TestResult, Vulnerabilities
from pipeline.signing.identities import GITHUB_ISSUER

#: How far ahead of ours the clock of a timestamp authority may be.
CLOCK_TOLERANCE = timedelta(minutes=5)

#: Labels with which the composer names the source in the image itself.
TREE_LABEL = "dev.gatehouse.tree"
COMMIT_LABEL = "org.opencontainers.image.revision"

_SAME_TREE = "make all evidence in one run over one commit: `scripts/pipeline --fresh`"


#: What is attested anew on the same image: of these the newest counts. All else says the same of it, however often.
_RENEWED = {
    Kind.VULNERABILITIES: "audit again: `scripts/nox -s audit attest`",
    Kind.EVIDENCE_LIST: "attest again: `scripts/nox -s attest`",
}
_NOT_RENEWED = "build and attest an image of a newer commit: `scripts/pipeline`"


def source_findings(pieces: Sequence[Piece]) -> Iterator[Finding]:
    """Every predicate names the provenance's source tree and locks; a workflow signed on that commit."""
    base = _base(pieces)
    for piece in pieces:
        if base is not None and piece.context is not None:
            yield from _differences(piece, piece.context, base)
        if piece.kind == Kind.PROVENANCE and piece.context is not None:
            yield from _signed_elsewhere(piece, piece.context)


def _base(pieces: Sequence[Piece]) -> Context | None:
    """The provenance's context: the source that the image was built from. Without one, what the others agree on."""
    named = [piece for piece in pieces if piece.context is not None]
    first = min(
        named, key=lambda piece: (piece.kind != Kind.PROVENANCE, piece.verified.verified_at, piece.digest), default=None
    )
    return first.context if first else None


def _differences(piece: Piece, context: Context, base: Context) -> Iterator[Finding]:
    got, expected = context.source, base.source
    if got != expected:
        where = (f"of {got.uri[:120]} ", f"of {expected.uri[:120]} ") if got.uri != expected.uri else ("", "")
        yield Finding(
            code="evidence.other-source",
            message=f"{piece.name}: made from another source "
            f"(got commit {got.commit[:12]} {where[0]}tree {got.tree[:12]}, "
            f"expected commit {expected.commit[:12]} {where[1]}tree {expected.tree[:12]})",
            fix=_SAME_TREE,
            kind=piece.kind,
        )
    names = sorted(
        name for name in context.locks.keys() | base.locks.keys() if context.locks.get(name) != base.locks.get(name)
    )
    if names:
        name = names[0]
        yield Finding(
            code="evidence.other-locks",
            message=f"{piece.name}: made with other locks: {name} (got {context.locks.get(name, 'none')[:12]}, "
            f"expected {base.locks.get(name, 'none')[:12]})",
            fix=_SAME_TREE,
            kind=piece.kind,
        )


def _signed_elsewhere(piece: Piece, context: Context) -> Iterator[Finding]:
    identity = piece.verified.identity
    if identity.issuer == GITHUB_ISSUER and identity.commit != context.source.commit:
        yield Finding(
            code="evidence.other-source",
            message=f"{piece.name}: signed on another commit than it names (got {identity.commit[:12] or 'none'}, "
            f"expected {context.source.commit[:12]})",
            fix=_SAME_TREE,
            kind=piece.kind,
        )


def image_findings(pieces: Iterable[Piece], labels: Mapping[str, str]) -> Iterator[Finding]:
    """The image names the source that its provenance names, where it is labelled with one."""
    for piece in pieces:
        if piece.kind != Kind.PROVENANCE or piece.context is None:
            continue
        source = piece.context.source
        for label, expected in ((TREE_LABEL, source.tree), (COMMIT_LABEL, source.commit)):
            got = labels.get(label, expected)
            if got != expected:
                yield Finding(
                    code="evidence.other-source",
                    message=f"{piece.name}: of another source than the image's label {label} "
                    f"(got {expected[:12]}, expected {got[:60]})",
                    fix=_SAME_TREE,
                    kind=piece.kind,
                )


def completeness_findings(pieces: Sequence[Piece]) -> Iterator[Finding]:
    """What went into the image is in its SBOMs, and is what the audit was about: by package URL.

    The SBOMs of two platforms count together, as a package may be in the image of one alone. Two of one platform have
    to agree: what one of them leaves out is left out.
    """
    went_in = {
        one.uri
        for piece in pieces
        if isinstance(piece.predicate, Provenance)
        for one in piece.predicate.build_definition.resolved_dependencies
        if one.uri is not None and one.uri.startswith("pkg:")
    }
    sboms: dict[str | None, set[str]] = {}
    for piece in pieces:
        if isinstance(piece.predicate, Sbom):
            listed = {str(component.get("purl")) for component in piece.predicate.components}
            sboms[piece.platform] = sboms.get(piece.platform, listed) & listed
    listed = set().union(*sboms.values())
    audits = [piece.predicate for piece in pieces if isinstance(piece.predicate, Vulnerabilities)]
    for kind, said, named in (
        *([(Kind.SBOM, "leaves out", listed)] if sboms else []),
        *((Kind.VULNERABILITIES, "did not look at", set(audit.coverage.locked)) for audit in audits),
    ):
        if missing := sorted(went_in - named):
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            yield Finding(
                code="evidence.incomplete",
                message=f"{kind}: {said} what the provenance says went in "
                f"(got nothing about {', '.join(missing[:3])[:300]}{more}, expected every package)",
                fix=_SAME_TREE,
                kind=kind,
            )


def time_findings(pieces: Iterable[Piece], ages: MaxAge, now: datetime) -> Iterator[Finding]:
    """Nothing from the future, nothing past its age."""
    for piece in pieces:
        verified = piece.verified.verified_at
        oldest = now - timedelta(hours=ages.of(piece.kind))
        if verified > now + CLOCK_TOLERANCE:
            yield Finding(
                code="evidence.future",
                message=f"{piece.name}: signed in the future (got {rfc3339(verified)}, expected before {rfc3339(now)})",
                fix="set this machine's clock, or give the time that you mean with --at",
                kind=piece.kind,
            )
        elif verified < oldest:
            yield Finding(
                code="evidence.expired",
                message=f"{piece.name}: too old (got {rfc3339(verified)}, expected after {rfc3339(oldest)})",
                fix=_RENEWED.get(piece.kind, _NOT_RENEWED),
                kind=piece.kind,
            )


def contradiction_findings(pieces: Iterable[Piece]) -> Iterator[Finding]:
    """Two results of one kind that disagree: running it again does not take a FAILED back."""
    results: dict[tuple[Kind, str], set[str]] = {}
    for piece in pieces:
        if isinstance(piece.predicate, TestResult):
            results.setdefault((piece.kind, piece.name), set()).add(piece.predicate.result)
    for (kind, name), found in results.items():
        if "FAILED" in found and len(found) > 1:
            yield Finding(
                code="evidence.contradiction",
                message=f"{name}: results disagree (got {', '.join(sorted(found))}, expected one result)",
                fix="find out why it failed, mend the source, and build a new image",
                kind=kind,
            )
