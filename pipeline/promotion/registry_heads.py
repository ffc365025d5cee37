"""What an environment's repository says of its ledger: the entries attached to images, and the tag.

A ledger that was cut short is caught by whoever saw the longer one; the repository is one of those.
"""

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from pipeline.gate.environments import Environment
from pipeline.gate.memory import Head
from pipeline.gate.policy import Policy
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, SHAPES, Kind
from pipeline.promotion.ledger import Entry, Ledger, read_entry
from pipeline.store.documents import read_descriptors, read_object
from pipeline.store.interface import Descriptor, Store

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"
_ENTRIES = (SHAPES[Kind.PROMOTION].predicate_type, SHAPES[Kind.REVOCATION].predicate_type)


def registry_head(
    store: Store,
    images: Iterable[Digest],
    ledger: Ledger,
    policy: Policy,
    roots: "Mapping[str, TrustedRoot]",
) -> Head | None:
    """The highest entry of the environment on one of ``images`` that is not in ``ledger``, None where there is none.

    What does not verify, or is by somebody else, is nobody's word. NOTE: bundles are told by their annotation, as
    whoever could lie there could take the bundle away as well.
    """
    here, known = policy.environment(ledger.environment), {entry.digest for entry in ledger.entries}
    found: list[Entry] = []
    for image in dict.fromkeys(images):
        for referrer in store.referrers(image):
            if referrer.annotations.get(PREDICATE_TYPE) in _ENTRIES:
                found += _entries(store, referrer, known, here, policy, roots)
    # The JSON around a signed entry may be written anew by anybody: what says the same is the same entry.
    said = [entry.predicate for entry in ledger.entries]
    found = [entry for entry in found if entry.predicate not in said]
    highest = max(found, key=lambda entry: entry.predicate.sequence, default=None)
    return Head(sequence=highest.predicate.sequence, digest=highest.digest) if highest else None


def _entries(
    store: Store,
    referrer: Descriptor,
    known: Container[str],
    environment: Environment,
    policy: Policy,
    roots: "Mapping[str, TrustedRoot]",
) -> list[Entry]:
    what = f"referrer {referrer.digest}"
    found = []
    for layer in read_descriptors(read_object(store.manifest(referrer.digest), what=what), "layers", what=what):
        if layer.media_type != BUNDLE_MEDIA_TYPE or layer.digest.hex in known:
            continue
        try:
            entry = read_entry(store.blob(layer.digest), environment, policy, roots)
        except GatehouseError:
            continue
        if entry.predicate.environment == environment.name:
            found.append(entry)
    return found


def tagged_image(store: Store, environment: str) -> Digest | None:
    """What the environment's tag points to, None where there is none."""
    try:
        return store.resolve(environment).digest
    except CannotEvaluate as error:
        if error.code == "store.missing":
            return None
        raise


def check_pointer(ledger: Ledger, what: str, got: str | None) -> None:
    """Raise Refused (``promotion.moved``) where a tag or overlay points to what the ledger never said.

    ``got`` is a SHA-256 in hexadecimal, None where it points nowhere, which misleads nobody. The image that ran last
    is fine too: a promotion that ended after its commit point leaves it there.
    """
    allowed = [one.image for one in ledger.promotions[-2:]]
    if got is None or got in allowed:
        return
    running = allowed[-1] if allowed else None
    raise Refused(
        "promotion.moved",
        f"{ledger.environment}: {what} is not what was promoted (got {got[:12] or 'no digest'}, "
        f"expected {running[:12] if running else 'nothing'})",
        fix=f"find out who moved it, then promote again what runs: `scripts/nox -s promote -- {ledger.environment} "
        f"sha256:{running}`, which sets it back"
        if running
        else f"find out who put it there, and remove it: nothing was promoted to {ledger.environment} yet",
    )
