"""Roll an environment back to an image that ran there before: granted by somebody else, and judged by today's news."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts
from pipeline.gate.gathering import gather, read_image
from pipeline.gate.judgement import Finding, Judgement
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.promotion.grants import find_grant
from pipeline.promotion.ledger import Ledger
from pipeline.promotion.promoting import Promotion, judged, place, promotion_entry
from pipeline.promotion.recording import Gate, check_repository, follow, grant_file, opened_ledger, record
from pipeline.promotion.revoking import asked_for, attached_grants
from pipeline.promotion.succession import is_running
from pipeline.store.interface import Descriptor

#: Asks today's advisories about an image whose evidence is given: what refuses, and, where this signer may, signed.
Today: TypeAlias = Callable[[Gate, Descriptor, ImageFacts, tuple[Evidence, ...], Environment], list[Finding]]


def roll_back(gate: Gate, to: Digest, environment: str, today: Today, grants: Iterable[bytes] = ()) -> Promotion:
    """Have ``to`` run in ``environment`` again; ``grants`` are bundles beside those attached to the image.

    1. the ledger is locked, read, verified whole, and held against memory and repository;
    2. the image ran there before, and was not revoked;
    3. somebody whom the policy names, and who does not ask, granted it;
    4. today's advisories are asked about what is in it, and the whole of its evidence is judged again;
    5. to 7. as a promotion goes on: copy, entry (with the grant beside it), attachment, tag and overlay.

    Raises Refused (``rollback.*``, ``grant.*``, ``image.revoked``, ``ledger.*``) and CannotEvaluate.
    """
    with opened_ledger(gate, environment) as ledger:  # 1
        check_repository(gate, ledger, to, settling=True)  # a moved tag keeps nobody from going back
        settling = is_running(ledger, to.hex)
        _check_target(ledger, to)  # 2
        gate, descriptor, image = _found(gate, environment, to)
        here = gate.policy.environment(environment)
        if not settling:
            asked = asked_for(gate, "rollback", ledger, to)
            grant = find_grant([*grants, *attached_grants(gate, to)], asked, gate.policy, gate.roots)  # 3
        refused = today(gate, descriptor, image, gather(gate.store, image, gate.roots), here)  # 4
        release = judged(gate, descriptor, image, environment)
        judgement = _with(release.judgement, refused)
        if not judgement.passed:
            return Promotion(judgement=judgement, entry=None, written=False, signed=release.signed)
        place(gate, release, environment)  # 5
        longer = ledger
        if not settling:
            reason = grant.predicate.reason
            entry = promotion_entry(gate, ledger, release, grant=grant.digest, reason=reason)
            longer = record(gate, ledger, entry, {grant_file(grant.digest): grant.bundle + b"\n"})  # 6
        last = longer.last_promotion
        follow(gate, longer, last, descriptor)  # 7
        signed = release.signed + (not settling)
        return Promotion(judgement=judgement, entry=last, written=not settling, signed=signed)


def _check_target(ledger: Ledger, to: Digest) -> None:
    here = ledger.environment
    if to.hex in ledger.revoked:
        raise Refused(
            "image.revoked",
            f"{here}: {to} was revoked there (got a rollback to it, expected another image)",
            fix="roll back to another image, or promote a new release: a revocation is not taken back",
        )
    if not ledger.holds(to.hex):
        ran = ", ".join(dict.fromkeys(f"{one.version} ({one.image[:12]})" for one in ledger.promotions[-5:]))
        raise Refused(
            "rollback.unknown",
            f"{here}: {to} never ran there (got no entry in its ledger, expected one of {ran or 'none: nothing ran'})",
            fix=f"name an image that ran there, or promote this one: `scripts/nox -s promote -- {here} {to}`",
        )


def _found(gate: Gate, environment: str, to: Digest) -> tuple[Gate, Descriptor, ImageFacts]:
    """The image where it was attested, or where only the environment's repository still has it, there."""
    try:
        return gate, *read_image(gate.store, str(to))
    except CannotEvaluate as error:
        if error.code != "store.missing":
            raise
    there = replace(gate, store=gate.repository(environment))
    return there, *read_image(there.store, str(to))


def _with(judgement: Judgement, refused: Iterable[Finding]) -> Judgement:
    return replace(judgement, refusals=tuple(dict.fromkeys([*refused, *judgement.refusals])))
