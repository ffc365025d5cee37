"""A verdict told in full, as frozen data: what the image is, who built it from what, what was checked.

Nothing is decided here: it says again, in one place, what the judge was given and what it found.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

from pydantic import Field

from pipeline.gate.evidence import ImageFacts, Piece
from pipeline.gate.judgement import Finding, Input, Judgement, rfc3339
from pipeline.gate.standing import difference
from pipeline.gate.verify_command import Release
from pipeline.model.context import Source
from pipeline.model.documents import Document
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Hardening, Provenance, Sbom, TestResult, Vulnerabilities

Result = Literal["passed", "warned", "refused", "not looked at"]
RESULTS: tuple[Result, ...] = get_args(Result)

_TITLE = "org.opencontainers.image.title"
_VERSION = "org.opencontainers.image.version"

#: What the judge itself looks at, beside the rules: beginnings of codes to what holds where none of them was found.
#: A code that is in none of them gets a line of its own.
_JUDGED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("signer.",), "Whoever signed may sign that kind of evidence in this environment"),
    (("bundle.", "document.", "subject."), "Every bundle can be read, verifies, and speaks of this image"),
    (("list.",), "The evidence lists are one unbroken chain, and none newer was seen before"),
    (("evidence.withheld",), "Nothing that is listed was taken away"),
    (("evidence.unlisted",), "Nothing was added that is not listed"),
    (("evidence.other-source",), "All evidence, and the image itself, name the source that was built"),
    (("evidence.other-locks",), "All evidence names the locks that were built from"),
    (("evidence.incomplete",), "SBOM and audit cover everything that went into the image"),
    (("evidence.expired",), "No evidence is past its age"),
    (("evidence.future",), "No evidence is of the future"),
    (("evidence.contradiction",), "No two results of one kind disagree"),
    (("exception.",), "Exceptions are inside their budget, found, and none ends soon"),
    (("image.revoked",), "The image was not revoked"),
    (("evidence.foreign", "evidence.many"), "Nothing else hangs on the image"),
)


class Subject(Document):
    """What was judged. Name and version are the image's own labels, empty where it has none."""

    digest: str
    name: str
    version: str
    platforms: dict[str, str]
    """Platform to the digest of its manifest."""


class Build(Document):
    """Who built it from what, as the provenance says."""

    trusted: bool
    """Whether the provenance's signer may sign it here; of any other it is a claim."""
    builder: str
    source: Source
    parameters: dict[str, Any]
    packages: dict[str, int]
    """Type of package URL (``deb``, ``pypi``) to how many of them went in."""
    signer: str
    issuer: str
    """Who vouched for the signer's identity."""
    signed: str
    """The verified time, RFC 3339."""


class Check(Document):
    """One thing that was looked at. ``findings`` are what refused, or what warned."""

    code: str
    """A rule's id, or the beginning of the codes that the judge has for it."""
    title: str
    about: str
    """The kind of evidence, ``release`` for all of it together."""
    result: Result
    findings: list[str] = Field(default_factory=list)
    fixes: list[str] = Field(default_factory=list)


class Looked(Document):
    """A bundle that was looked at, with what its predicate says in a few words."""

    digest: str
    kind: str
    platform: str
    signer: str
    time: str
    counts: bool
    """Whether its signer may sign it here."""
    says: str

    @property
    def name(self) -> str:
        return f"{self.kind} {self.platform}" if self.platform else self.kind


class Account(Document):
    """What is told of a verdict. ``subject``, ``build`` and ``checks`` stand in its JSON too."""

    environment: str
    subject: Subject
    build: Build | None
    """None where no provenance that can be read is attached."""
    checks: list[Check]
    looked: list[Looked]


def account_of(release: Release, judgement: Judgement) -> Account:
    here = judgement.environment
    pieces = {one.digest: one for one in release.evidence if isinstance(one, Piece)}
    seen = [one for one in judgement.inputs if one.kind is not None and one.verified_at is not None]
    return Account(
        environment=here,
        subject=_subject(release.image),
        build=_build(release, here, (pieces[one.digest] for one in seen)),
        checks=[*_judged(judgement, release), *_required(judgement, release), *_ruled(judgement, release)],
        looked=[_looked(one, pieces.get(one.digest), release, here) for one in _in_order(judgement.inputs)],
    )


def as_json(judgement: Judgement, account: Account) -> bytes:
    """What ``verify --format json`` prints: the verdict, with what it is about beside it."""
    told = account.model_dump(mode="json", include={"subject", "build", "checks"})
    # ASCII, because it may land on a terminal: a control or bidi character is shown as its escape.
    return (json.dumps(judgement.to_json() | told, indent=2, ensure_ascii=True) + "\n").encode()


def _subject(image: ImageFacts) -> Subject:
    return Subject(
        digest=str(image.digest),
        name=image.labels.get(_TITLE, ""),
        version=image.labels.get(_VERSION, ""),
        platforms={name: str(digest) for name, digest in sorted(image.platforms.items())},
    )


def _build(release: Release, here: str, pieces: Iterable[Piece]) -> Build | None:
    """Of the first provenance by an allowed signer, else of the first that there is."""
    told = [piece for piece in pieces if isinstance(piece.predicate, Provenance)]
    trusted = [piece for piece in told if _counts(piece, release, here)]
    piece = next(iter(sorted(trusted or told, key=lambda one: (one.verified.verified_at, one.digest))), None)
    if piece is None or not isinstance(piece.predicate, Provenance):
        return None
    definition = piece.predicate.build_definition
    purls = [one.uri for one in definition.resolved_dependencies if one.uri and one.uri.startswith("pkg:")]
    return Build(
        trusted=bool(trusted),
        builder=piece.predicate.run_details.builder.id,
        source=piece.predicate.context.source,
        parameters=definition.external_parameters,
        packages=dict(sorted(Counter(purl[4:].partition("/")[0] for purl in purls).items())),
        signer=piece.verified.identity.san,
        issuer=piece.verified.identity.issuer,
        signed=rfc3339(piece.verified.verified_at),
    )


def _counts(piece: Piece, release: Release, here: str) -> bool:
    return difference(piece.verified, piece.kind, release.policy, release.policy.environment(here)) is None


def _in_order(inputs: Iterable[Input]) -> list[Input]:
    kinds = list(Kind)
    return sorted(inputs, key=lambda one: (kinds.index(one.kind) if one.kind else 99, one.platform or "", one.digest))


def _looked(one: Input, piece: Piece | None, release: Release, here: str) -> Looked:
    return Looked(
        digest=f"sha256:{one.digest}",
        kind=str(one.kind or "unreadable"),
        platform=one.platform or "",
        signer=one.signer or "",
        time=rfc3339(one.verified_at) if one.verified_at else "",
        counts=piece is not None and _counts(piece, release, here),
        says=says(piece) if piece is not None else "cannot be read, or does not verify",
    )


def says(piece: Piece) -> str:
    """The predicate in a few words; empty where the kind says all of it."""
    match piece.predicate:
        case TestResult() as result:
            measures = [f"{name.replace('_', ' ')} {value}" for name, value in sorted(result.measures.items())]
            return ", ".join([result.result, *measures[:6]])
        case Vulnerabilities() as audit:
            asked = f"{len(audit.coverage.audited)} of {len(audit.coverage.locked)} packages asked about"
            return f"{len(audit.scanner.result)} found, {asked}"
        case Sbom() as sbom:
            return f"{len(sbom.components)} components"
        case Hardening() as hardening:
            return f"{len(hardening.attributes)} properties hold"
        case Provenance() as provenance:
            return f"{len(provenance.build_definition.resolved_dependencies)} materials"
    return ""


def _judged(judgement: Judgement, release: Release) -> Iterator[Check]:
    """What the judge looks at itself, and every finding that is neither that, nor a rule's, nor a missing kind's."""
    rules = {compiled.rule.id for compiled in release.policy.rules}
    for codes, title in _JUDGED:
        found = [one for one in _findings(judgement) if one.code.startswith(codes)]
        yield _check(codes[0].removesuffix("."), title, "release", found, judgement)
    known = ("evidence.missing", *(code for codes, _ in _JUDGED for code in codes))
    others = [one for one in _findings(judgement) if one.code not in rules and not one.code.startswith(known)]
    for code in sorted({one.code for one in others}):
        yield _check(code, code, "release", [one for one in others if one.code == code], judgement)


def _required(judgement: Judgement, release: Release) -> Iterator[Check]:
    for kind in release.policy.environment(judgement.environment).required:
        found = [one for one in _findings(judgement) if one.code == "evidence.missing" and one.kind == kind]
        yield _check("evidence.missing", "Evidence of this kind is attached", str(kind), found, judgement)


def _ruled(judgement: Judgement, release: Release) -> Iterator[Check]:
    there = {one.kind for one in judgement.inputs}
    for compiled in release.policy.rules:
        rule = compiled.rule
        for kind in rule.kinds:
            if not rule.applies(kind, judgement.environment):
                continue
            found = [one for one in _findings(judgement) if one.code == rule.id and one.kind == kind]
            if kind in there or found:
                yield _check(rule.id, rule.title, str(kind), found, judgement)
            else:
                yield Check(code=rule.id, title=rule.title, about=str(kind), result="not looked at")


def _findings(judgement: Judgement) -> tuple[Finding, ...]:
    return (*judgement.refusals, *judgement.warnings)


def _check(code: str, title: str, about: str, found: list[Finding], judgement: Judgement) -> Check:
    refused = any(one in judgement.refusals for one in found)
    return Check(
        code=code,
        title=title,
        about=about,
        result="refused" if refused else "warned" if found else "passed",
        findings=[f"{one.code}: {one.message}" for one in found],
        fixes=list(dict.fromkeys(one.fix for one in found)),
    )
