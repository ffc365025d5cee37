"""After a promotion: images that nobody can want any more leave the clone's own store, and its memory."""

from pipeline.gate.memory import forget
from pipeline.model.digests import Digest
from pipeline.promotion.recording import Gate, known_ledger
from pipeline.store.layout import OciLayout
from pipeline.store.pruning import prune

LAST = 10
"""How many of an environment's last promotions stay, however old: what a rollback may go back to."""


def tidy(gate: Gate, *, now: float) -> list[Digest]:
    """Prune the layout in the state folder as of ``now`` (seconds since the epoch); a registry is left as it is.

    Returns the images that went. Raises what reading store and ledgers raises, and then has removed nothing.
    """
    if not isinstance(gate.store, OciLayout):
        return []
    gone = prune(gate.store, keep=lambda: _promoted(gate), now=now)
    if gone:
        forget(gate.state, gate.store, gone)
    return gone


def _promoted(gate: Gate) -> list[Digest]:
    ledgers = [known_ledger(gate, here.name) for here in gate.policy.environments]
    return [Digest(promotion.image) for ledger in ledgers for promotion in ledger.promotions[-LAST:]]
