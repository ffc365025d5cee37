"""What this signer has attached to an image before, as far as it still verifies."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sigstore.models import Bundle
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from pipeline.model.digests import Digest
from pipeline.model.kinds import PAYLOAD_TYPE, SHAPES, Kind
from pipeline.model.predicates import parse_predicate, same_predicate
from pipeline.model.statement import Statement, parse_statement
from pipeline.signing.signer import Signer
from pipeline.signing.trust import load_trusted_root
from pipeline.store.referrers import Attached

#: A repeated audit, and an unchanged evidence list, are made anew once a day, with time for a late run.
EXPIRES = timedelta(hours=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """A bundle of this signer's on this image. ``manifest`` is the referrer's digest."""

    statement: Statement
    kind: Kind
    bundle: bytes
    manifest: Digest

    @property
    def digest(self) -> Digest:
        return Digest.of(self.bundle)

    def platform(self, platforms: dict[str, Digest]) -> str | None:
        """The platform that the statement speaks of, None for kinds that exist once."""
        if not SHAPES[self.kind].per_platform:
            return None
        named = self.statement.digests()
        return next((name for name, manifest in platforms.items() if manifest in named), None)


def read_own(attached: Iterable[Attached], image: Digest, signer: Signer) -> list[Own]:
    """The bundles of ``signer``'s identity that verify and speak of ``image``.

    Others are left out: they are in nobody's list but their signer's, and the gate judges them for itself.
    """
    verifier = Verifier(trusted_root=load_trusted_root(signer.trusted_root))
    policy = Identity(identity=signer.identity, issuer=signer.issuer)
    read = (_read_one(one, image, verifier, policy) for one in attached)
    return [own for own in read if own is not None]


def _read_one(attached: Attached, image: Digest, verifier: Verifier, policy: Identity) -> Own | None:
    try:
        payload_type, payload = verifier.verify_dsse(Bundle.from_json(attached.bundle), policy)
        statement = parse_statement(payload)
        kind = statement.kind
        if payload_type != PAYLOAD_TYPE or kind is None or image not in statement.digests():
            return None
        parse_predicate(kind, statement.predicate)
    except Exception:  # noqa: BLE001 - whatever foreign bytes make a verifier raise, they are not ours to keep
        return None
    return Own(statement=statement, kind=kind, bundle=attached.bundle, manifest=attached.manifest)


def find_equal(own: Iterable[Own], statement: Statement, now: datetime) -> Own | None:
    """The attached bundle that makes signing ``statement`` needless: same subjects, same predicate.

    Of vulnerabilities only the newest counts, as it does in the gate; it is kept for ``EXPIRES`` where the
    result is the same, whenever it was scanned.
    """
    same = [one for one in own if one.kind == statement.kind and one.statement.subject == statement.subject]
    if statement.kind is not Kind.VULNERABILITIES:
        return next((one for one in same if same_predicate(one.statement.predicate, statement.predicate)), None)
    newest = max(same, key=lambda one: _scanned(one.statement.predicate), default=None)
    if newest is None or not is_fresh(_scanned(newest.statement.predicate), now):
        return None
    equal = same_predicate(_without_times(newest.statement.predicate), _without_times(statement.predicate))
    return newest if equal else None


def is_fresh(made: datetime, now: datetime) -> bool:
    """Not older than ``EXPIRES``, and not of the future: a clock that was wrong must not keep evidence alive."""
    return timedelta(minutes=-5) <= now - made < EXPIRES


def read_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _scanned(predicate: dict[str, Any]) -> datetime:
    return read_time(predicate["metadata"]["scanFinishedOn"])


def _without_times(predicate: dict[str, Any]) -> dict[str, Any]:
    """The result of a scan: without when it was made and how old its feeds were."""
    scanner, coverage = predicate["scanner"], predicate["gatehouse_coverage"]
    database = {name: value for name, value in scanner["db"].items() if name != "lastUpdate"}
    feeds = [{name: value for name, value in feed.items() if name != "age_seconds"} for feed in coverage["feeds"]]
    return {
        **{name: value for name, value in predicate.items() if name != "metadata"},
        "scanner": {**scanner, "db": database},
        "gatehouse_coverage": {**coverage, "feeds": feeds},
    }
