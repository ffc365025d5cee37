"""Writing an environment's ledger: the entry, which is the commit point, and what follows from it.

The order is such that a crash at any point leaves the old state or the new one, and that the same command again
completes the new one: attaching, tagging and the overlay say nothing that the entry has not said.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import locked
from pipeline.gate.environments import Environment
from pipeline.gate.memory import recall_head, remember_ledger
from pipeline.gate.policy import Policy
from pipeline.model.digests import Digest
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import PromotionPredicate, RevocationPredicate, dump
from pipeline.model.statement import make_statement
from pipeline.promotion.history import History
from pipeline.promotion.ledger import (
    Entry,
    Ledger,
    check_known,
    extended,
    head_of,
    ledger_bytes,
    ledger_file,
    read_ledger,
)
from pipeline.promotion.ledger_store import LedgerStore, Overtaken, lock_path
from pipeline.promotion.overlays import overlay, overlay_image, overlay_path
from pipeline.promotion.registry_heads import check_pointer, registry_head, tagged_image
from pipeline.signing.signer import Signer
from pipeline.store.interface import Descriptor, Store
from pipeline.store.referrers import attach

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

#: How often a push is tried again that another environment's promotion overtook.
ATTEMPTS = 8


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a promotion is decided with. ``signer`` is opened at the first signature, so that nothing new costs none."""

    store: Store
    """Where the image was attested."""
    state: Path
    policy: Policy
    roots: "Mapping[str, TrustedRoot]"
    signer: Callable[[], Signer]
    name: str
    """The image's name."""
    now: datetime
    ledgers: LedgerStore
    repository: Callable[[str], Store]
    """The repository that an environment runs from."""
    history: History
    requester: str = ""
    """Who asked for it, where the CI system says so; else it is who signs."""
    waiting: Callable[[], None] | None = None
    """Called where another promotion of this clone has to end first."""

    @property
    def asked_by(self) -> str:
        return self.requester or self.signer().identity


@contextlib.contextmanager
def opened_ledger(gate: Gate, environment: str) -> Iterator[Ledger]:
    """The environment's ledger, read and verified whole, and locked against this machine's other promotions.

    Raises Refused and CannotEvaluate (``ledger.*``).
    """
    with locked(lock_path(gate.state, gate.policy.environment(environment).name), waiting=gate.waiting):
        gate.ledgers.refresh()
        yield known_ledger(gate, environment)


def known_ledger(gate: Gate, environment: str) -> Ledger:
    """The ledger as last refreshed, held against this verifier's memory, which then has it."""
    known = recall_head(gate.state, gate.ledgers.address, environment)
    ledger = read_ledger(gate.ledgers, environment, gate.policy, gate.roots, known)
    check_known(ledger, known)
    _remember(gate, ledger)
    return ledger


def _remember(gate: Gate, ledger: Ledger) -> None:
    place, head = gate.ledgers.address, head_of(ledger, gate.policy)
    remember_ledger(gate.state, place, ledger.environment, head, revoked=ledger.revoked, lists=ledger.lists)


def check_repository(gate: Gate, ledger: Ledger, image: Digest, *, settling: bool) -> None:
    """Hold the ledger against what the environment's repository knows of it.

    ``settling`` is completing what was promoted before, which sets tag and overlay back. Raises Refused
    (``ledger.older-than-known``, ``promotion.moved``).
    """
    here, target = gate.policy.environment(ledger.environment), gate.repository(ledger.environment)
    tagged = tagged_image(target, here.name)
    running = [Digest(ledger.running.image)] if ledger.running else []
    images = [image, *running, *([tagged] if tagged else [])]
    check_known(ledger, registry_head(target, images, ledger, gate.policy, gate.roots), where="its repository")
    if settling or here.name in gate.policy.succession.unordered:
        return  # whoever may promote anything may point a tag anywhere: there it is a name and no more
    check_pointer(ledger, f"the tag {here.name}", tagged.hex if tagged else None)
    written = gate.ledgers.read(overlay_path(here.name))
    check_pointer(ledger, "the overlay", None if written is None else overlay_image(written) or "")


def record(
    gate: Gate,
    ledger: Ledger,
    predicate: PromotionPredicate | RevocationPredicate,
    also: Mapping[str, bytes] | None = None,
) -> Ledger:
    """Sign the next entry, hold it against the chain, and write it, with the files ``also``: the commit point.

    Raises Refused (``ledger.signature`` where this signer may not, ``ledger.overtaken``) and CannotEvaluate.
    """
    here = gate.policy.environment(ledger.environment)
    kind = Kind.PROMOTION if isinstance(predicate, PromotionPredicate) else Kind.REVOCATION
    subjects = [(gate.name, Digest(predicate.image))]
    line = gate.signer().sign(make_statement(subjects, SHAPES[kind].predicate_type, dump(predicate)))
    longer = extended(ledger, line, here, gate.policy, gate.roots)
    changes = {**(also or {}), ledger_file(here.name): ledger_bytes(longer)}
    _write(gate, ledger, changes, f"{here.name}: {kind} of {predicate.image[:12]}, entry {predicate.sequence}")
    _remember(gate, longer)
    return longer


def _write(gate: Gate, ledger: Ledger, changes: Mapping[str, bytes], message: str) -> None:
    """Environments share a branch: one that overtakes another is no reason to decide anew."""
    for attempt in range(ATTEMPTS):
        try:
            gate.ledgers.write(changes, message)
        except Overtaken:
            gate.ledgers.refresh()
            now = gate.ledgers.read(ledger_file(ledger.environment)) or b""
            if now != ledger_bytes(ledger) or attempt + 1 == ATTEMPTS:
                raise
        else:
            return


def follow(gate: Gate, ledger: Ledger, entry: Entry, image: Descriptor) -> None:
    """What follows from a promotion's entry: attached to the image, the tag, the overlay. Again changes nothing.

    Raises CannotEvaluate (``store.*``, ``registry.*``, ``ledger.*``): the image is promoted then, and the same command
    completes it.
    """
    here, target = gate.policy.environment(ledger.environment), gate.repository(ledger.environment)
    for store in {store.address: store for store in (gate.store, target)}.values():
        attach(store, image, entry.line, gate.now)
    if tagged_image(target, here.name) != image.digest:
        target.tag(here.name, target.resolve(str(image.digest)))
    _write_overlay(gate, ledger, image.digest, target)


def _write_overlay(gate: Gate, ledger: Ledger, image: Digest, target: Store) -> None:
    path = overlay_path(ledger.environment)
    repository = "" if target.address.startswith("/") else target.address
    content = overlay(ledger.environment, gate.name, repository, image.hex)
    if gate.ledgers.read(path) == content:
        return
    try:
        _write(gate, ledger, {path: content}, f"{ledger.environment}: run {image.short}")
    except Overtaken:
        if (gate.ledgers.read(ledger_file(ledger.environment)) or b"") == ledger_bytes(ledger):
            raise
        # A later promotion was faster, and writes its own.


def grant_file(digest: str) -> str:
    """Where the ledger's store keeps a grant that an entry rests on; ``digest`` is the grant's."""
    return f"grants/{digest}.json"


def place_of(gate: Gate, ledger: Ledger) -> tuple[Environment, int, str | None]:
    """The environment, and sequence and predecessor of the ledger's next entry."""
    head = ledger.head
    return gate.policy.environment(ledger.environment), len(ledger.entries) + 1, head.digest if head else None
