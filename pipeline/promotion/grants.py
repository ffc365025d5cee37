"""Grants: a person whom the policy names allows somebody else one rollback or revocation, for a few days."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pipeline.gate.agreement import CLOCK_TOLERANCE
from pipeline.gate.environments import Environment
from pipeline.gate.identity import Verified
from pipeline.gate.judgement import rfc3339
from pipeline.gate.policy import Policy
from pipeline.gate.signers import PersonSigner
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import GrantPredicate, dump, parse_predicate
from pipeline.model.statement import make_statement
from pipeline.promotion.ledger import Ledger
from pipeline.signing.identities import GITHUB

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

Action = Literal["rollback", "revocation"]
_ASK = (
    "have a person named in policies/environments.toml grant it: `scripts/gatehouse grant {action} {environment} "
    "--image sha256:{image} --requester {requester} --reason ...`"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A grant by a person whom the policy names.

    ``digest`` is the SHA-256 of its statement, in hexadecimal: the bundle around it may be written anew by anybody, and
    would be another one each time.
    """

    predicate: GrantPredicate
    person: PersonSigner
    granted_at: datetime
    bundle: bytes
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What somebody asks a grant for: ``image`` is a SHA-256 in hexadecimal."""

    action: Action
    ledger: Ledger
    image: str
    requester: str
    signer: str
    """Who signs the entry."""
    now: datetime

    @property
    def fix(self) -> str:
        environment, image = self.ledger.environment, self.image
        return _ASK.format(action=self.action, environment=environment, image=image, requester=self.requester)


def grant_statement(name: str, predicate: GrantPredicate) -> bytes:
    """The bytes to sign; ``name`` is the image's."""
    subjects = [(name, Digest(predicate.image))]
    return make_statement(subjects, SHAPES[Kind.GRANT].predicate_type, dump(predicate))


def find_grant(bundles: Iterable[bytes], asked: Asked, policy: Policy, roots: "Mapping[str, TrustedRoot]") -> Grant:
    """The first of ``bundles`` that grants what is asked for; bundles of other kinds are passed over.

    Raises Refused (``grant.*``) with what keeps the nearest one from counting, or that there is none.
    """
    here = policy.environment(asked.ledger.environment)
    persons = _persons(here, policy, asked)
    reasons: list[Refused] = []
    for bundle in bundles:
        try:
            grant = _read(bundle, persons, roots)
            if grant is not None:
                _check(grant, asked, policy.succession.grant_days)
                return grant
        except Refused as error:
            reasons.append(error)
    # The reason of one that is by a named person says more than that a stranger's does not count.
    raise min(reasons, key=lambda error: error.code == "grant.signer", default=_missing(asked))


def _persons(here: Environment, policy: Policy, asked: Asked) -> list[PersonSigner]:
    named = [signer for signer in policy.signers_of(here, Kind.GRANT) if isinstance(signer, PersonSigner)]
    if not named:
        raise Refused(
            "grant.nobody",
            f"{here.name}: nobody may grant a {asked.action} there (got no person in the policy, expected one)",
            fix="name persons of type `person` in policies/environments.toml and as signers of kind `grant` of "
            f"{here.name}, on the protected branch",
        )
    return named


def _read(bundle: bytes, persons: list[PersonSigner], roots: "Mapping[str, TrustedRoot]") -> Grant | None:
    """The grant in a bundle, None where it is another kind of statement or not to be verified by anybody here."""
    from pipeline.gate.verification import verify_bundle  # noqa: PLC0415 - imports sigstore

    try:
        verified = verify_bundle(bundle, roots)
        if verified.statement.kind != Kind.GRANT:
            return None
        predicate = parse_predicate(Kind.GRANT, verified.statement.predicate)
    except GatehouseError:
        return None
    if not isinstance(predicate, GrantPredicate):
        return None
    return Grant(
        predicate=predicate,
        person=_person(verified, persons),
        granted_at=verified.verified_at,
        bundle=bundle,
        digest=Digest.of(canonical_json(verified.statement.model_dump(mode="json", by_alias=True))).hex,
    )


def _person(verified: Verified, persons: list[PersonSigner]) -> PersonSigner:
    nearest = min((person.differences(verified, "") for person in persons), key=len)
    if nearest:
        raise _refused("grant.signer", "by nobody whom the policy names", "; ".join(nearest), "a named person")
    return next(person for person in persons if not person.differences(verified, ""))


def _check(grant: Grant, asked: Asked, days: int) -> None:
    """Raise Refused where the grant is for something else, for somebody else, too old, or spent."""
    said = grant.predicate
    got = (said.action, said.image, asked.ledger.environment in said.environments)
    if got != (asked.action, asked.image, True):
        place = ", ".join(said.environments)
        raise _refused(
            "grant.other",
            "for something else",
            f"{said.action} of {said.image[:12]} in {place}"[:200],
            f"{asked.action} of {asked.image[:12]} in {asked.ledger.environment}",
        )
    if grant.person.is_also(asked.requester) or grant.person.is_also(asked.signer):
        raise _refused("grant.self", "by who asks for it", grant.person.identity, "another person")
    if asked.requester.startswith(GITHUB) and not grant.person.logins:
        # Nobody can tell whether it is the same person.
        raise _refused("grant.self", "by somebody of no known login", grant.person.identity, "`logins` in the policy")
    if said.requester.casefold() != asked.requester.casefold():
        raise _refused("grant.requester", "for somebody else", said.requester[:120], asked.requester)
    expires = _time(said.expires)
    if not grant.granted_at - CLOCK_TOLERANCE <= asked.now < expires:
        of = f"{rfc3339(grant.granted_at)} to {said.expires}"
        raise _refused("grant.expired", "does not count now", of, f"a grant that counts at {rfc3339(asked.now)}")
    if expires - grant.granted_at > timedelta(days=days, minutes=10):
        got_days = f"{(expires - grant.granted_at) / timedelta(days=1):.1f} days"
        raise _refused("grant.long", "for too long", got_days, f"at most {days} days")
    if asked.ledger.spent(grant.digest):
        raise _refused("grant.used", "used before", f"an entry of {asked.ledger.environment}", "a new grant")


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _refused("grant.expired", "ends at no time", text, "a time") from error


def _missing(asked: Asked) -> Refused:
    return Refused(
        "grant.missing",
        f"{asked.action} of {asked.image[:12]} in {asked.ledger.environment}: nobody granted it (got no grant on the "
        f"image, expected one for {asked.requester})",
        fix=asked.fix,
    )


def _refused(code: str, what: str, got: str, expected: str) -> Refused:
    return Refused(
        code,
        f"grant: {what} (got {got}, expected {expected})",
        fix="have it granted anew by a person whom the policy names and who does not ask for it: "
        "`scripts/gatehouse grant`",
    )


def read_grant_file(content: bytes, name: str) -> bytes:
    """The bundle in a file as ``grant`` writes it; raises CannotEvaluate (``grant.unreadable``)."""
    if not content.strip() or b"\n" in content.strip():
        raise CannotEvaluate(
            "grant.unreadable",
            f"{name}: no grant (got {len(content)} bytes, expected one bundle on one line)",
            fix="give the file that `scripts/gatehouse grant --output FILE` wrote",
        )
    return content.strip()
