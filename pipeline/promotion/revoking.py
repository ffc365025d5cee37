"""Revoke an image: an entry of the ledger after which it may never run in the environment again."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.gate.judgement import rfc3339
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.predicates import RevocationPredicate
from pipeline.promotion.grants import Action, Asked, Grant, find_grant
from pipeline.promotion.ledger import Ledger
from pipeline.promotion.recording import Gate, check_repository, grant_file, opened_ledger, place_of, record
from pipeline.store.interface import Descriptor, Store
from pipeline.store.referrers import attach, attached_bundles


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """What came of it in one environment. ``written`` says whether the entry is new."""

    environment: str
    sequence: int
    written: bool
    runs: bool
    """The image runs there still: it has to be rolled back."""


def revoke(gate: Gate, image: Digest, environment: str, grants: Iterable[bytes] = ()) -> Revocation:
    """Revoke ``image`` in one environment; again changes nothing.

    ``grants`` are bundles beside those attached to the image. The image need not be in the store any more. Raises
    Refused (``grant.*``, ``ledger.*``) and CannotEvaluate.
    """
    with opened_ledger(gate, environment) as ledger:
        check_repository(gate, ledger, image, settling=True)  # a moved tag keeps nobody from revoking
        written = image.hex not in ledger.revoked
        if written:
            bundles = [*grants, *attached_grants(gate, image)]
            asked = asked_for(gate, "revocation", ledger, image)
            ledger_after = _write(gate, ledger, find_grant(bundles, asked, gate.policy, gate.roots))
        else:
            ledger_after = ledger
        entry = next(
            one for one in ledger_after.entries if one.predicate.image == image.hex and _revokes(one.predicate)
        )
        for store in _stores(gate, environment):
            found = _there(store, image)
            if found is not None:
                attach(store, found, entry.line, gate.now)
        running = ledger_after.running
        return Revocation(
            environment=environment,
            sequence=entry.predicate.sequence,
            written=written,
            runs=running is not None and running.image == image.hex,
        )


def _write(gate: Gate, ledger: Ledger, grant: Grant) -> Ledger:
    here, sequence, previous = place_of(gate, ledger)
    predicate = RevocationPredicate(
        environment=here.name,
        sequence=sequence,
        previous=previous,
        image=grant.predicate.image,
        reason=grant.predicate.reason,
        time=rfc3339(gate.now),
        requester=gate.asked_by,
        grant=grant.digest,
    )
    return record(gate, ledger, predicate, {grant_file(grant.digest): grant.bundle + b"\n"})


def asked_for(gate: Gate, action: Action, ledger: Ledger, image: Digest) -> Asked:
    """What a grant is needed for."""
    signer = gate.signer().identity
    return Asked(action=action, ledger=ledger, image=image.hex, requester=gate.asked_by, signer=signer, now=gate.now)


def _revokes(predicate: object) -> bool:
    return isinstance(predicate, RevocationPredicate)


def attached_grants(gate: Gate, image: Digest) -> list[bytes]:
    """Every bundle on the image where it was attested; which of them are grants is found out by reading them."""
    return [one.bundle for one in attached_bundles(gate.store, image)]


def _stores(gate: Gate, environment: str) -> Iterable[Store]:
    return {store.address: store for store in (gate.store, gate.repository(environment))}.values()


def _there(store: Store, image: Digest) -> Descriptor | None:
    try:
        return store.resolve(str(image))
    except CannotEvaluate as error:
        if error.code == "store.missing":
            return None
        raise
