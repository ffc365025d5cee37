"""A ledger for people: one line an entry."""

from collections.abc import Iterator

from pipeline.model.predicates import PromotionPredicate
from pipeline.promotion.ledger import Entry, Ledger


def lines(ledger: Ledger) -> Iterator[str]:
    """Oldest first, then what runs. What others wrote is shown without what could steer a terminal."""
    yield from (_printable(_line(entry)) for entry in ledger.entries)
    running = ledger.running
    what = f"{running.version} (sha256:{running.image})" if running else "nothing"
    revoked = " and is revoked: roll back" if running and running.image in ledger.revoked else ""
    yield _printable(f"{ledger.environment}: {len(ledger.entries)} entries; {what} runs{revoked}")


def _line(entry: Entry) -> str:
    one = entry.predicate
    if isinstance(one, PromotionPredicate):
        what = f"{'rollback to' if one.grant else 'promotion of'} {one.version}"
    else:
        what = "revocation"
    reason = f": {one.reason}" if one.reason else ""
    return f"{one.sequence:>4}  {one.time}  {what}  sha256:{one.image}  by {one.requester}{reason}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
