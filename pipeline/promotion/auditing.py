"""Today's advisories on an image that was built before: what its own signed evidence says is in it is asked about."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from packageurl import PackageURL

from pipeline.advisories.interface import pin
from pipeline.gate.asking import ask
from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts, Piece, read_piece
from pipeline.gate.identity import Identity, Verified
from pipeline.gate.judgement import Finding
from pipeline.gate.policy import Policy
from pipeline.gate.standing import difference
from pipeline.model.context import Context
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.outcome import Evidence as Made
from pipeline.model.predicates import Sbom, Vulnerabilities
from pipeline.model.statement import make_statement, parse_statement
from pipeline.steps.audit import Locked

_PYPI = "pkg:pypi/"


def contents_of(evidence: Iterable[Evidence], policy: Policy, here: Environment) -> tuple[Locked, Context]:
    """What is in the image, by the last audit that this environment trusts, and the source and locks that it names.

    Raises CannotEvaluate (``rollback.contents``) where there is no such audit.
    """
    pieces = [
        one for one in evidence if isinstance(one, Piece) and difference(one.verified, one.kind, policy, here) is None
    ]
    audits = [(one.verified.verified_at, one.predicate) for one in pieces if isinstance(one.predicate, Vulnerabilities)]
    if not audits:
        raise _unknown("no audit by an allowed signer")
    newest = max(audits, key=lambda pair: pair[0])[1]
    purls = newest.coverage.locked
    python = [_parsed(purl) for purl in purls if purl.startswith(_PYPI)]
    locked = Locked(
        pins=sorted({pin(one.name, one.version or "") for one in python}),
        direct=_direct(pieces),
        unfed=sorted({purl for purl in purls if not purl.startswith(_PYPI)}),
    )
    return locked, newest.context


def _parsed(purl: str) -> PackageURL:
    try:
        found = PackageURL.from_string(purl)
    except ValueError:
        raise _unknown(purl[:80]) from None
    if not found.version:
        raise _unknown(purl[:80])
    return found


def _direct(pieces: Sequence[Piece]) -> frozenset[str]:
    """The names of what the application itself depends on, as its SBOMs say."""
    names: set[str] = set()
    for piece in pieces:
        if isinstance(piece.predicate, Sbom):
            component = piece.predicate.metadata.get("component")
            root = component.get("bom-ref") if isinstance(component, dict) else None
            edges = [edge.get("dependsOn") or [] for edge in piece.predicate.dependencies if edge.get("ref") == root]
            names |= {pin(_parsed(ref).name, "").name for edge in edges for ref in edge if str(ref).startswith(_PYPI)}
    return frozenset(names)


def todays_findings(
    made: Made, image: ImageFacts, identity: Identity, policy: Policy, here: Environment, now: datetime
) -> list[Finding]:
    """What the rules refuse in an audit that ``identity`` made just now, asked of it as if it were signed.

    It can only refuse: what lets an image pass is signed evidence, which is judged beside it.
    """
    statement = make_statement([("image", image.digest)], SHAPES[Kind.VULNERABILITIES].predicate_type, made.predicate)
    piece = read_piece(
        Verified(
            statement=parse_statement(statement),
            identity=identity,
            verified_at=now,
            root=here.roots[0],
            bundle_digest=Digest.of(statement).hex,
        ),
        image,
    )
    if not isinstance(piece, Piece):
        raise piece.error
    # Who signs it is not known yet, so that the rules about signers have nothing to say.
    asked = ask([piece], policy, here, image.digest, now, strangers={piece.digest})
    return [one for one in asked.refusals if one.kind == Kind.VULNERABILITIES and one.code not in here.warns]


def _unknown(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "rollback.contents",
        f"image: nobody says what is in it, so that nobody can be asked about it (got {got}, expected an audit)",
        fix="roll back to an image whose evidence is still attached",
    )
