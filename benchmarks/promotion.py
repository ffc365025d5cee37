"""Promotion, rollback and revocation: local and over a git remote, and long ledgers read whole. Prints, never judges.

The image is small, so that what is measured is deciding, signing and recording; copying takes what the network takes.
Signed by the embedded instance, whose answer comes at once: Sigstore's public one takes a second or two a signature.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.gate.policy import load_policy  # noqa: E402 - the root must be on the path first
from pipeline.git import git  # noqa: E402
from pipeline.model.predicates import PromotionPredicate  # noqa: E402
from pipeline.promotion.git_ledger import GitLedger  # noqa: E402
from pipeline.promotion.ledger import Ledger, head_of, ledger_bytes, parse_ledger  # noqa: E402
from pipeline.promotion.ledger_store import LedgerStore, LocalLedger  # noqa: E402
from pipeline.promotion.recording import record  # noqa: E402
from pipeline.promotion.revoking import revoke  # noqa: E402
from pipeline.promotion.rolling_back import roll_back  # noqa: E402
from tests.support.promotions import HERE, Ran, copied, run_two  # noqa: E402
from tests.support.repositories import make_repository  # noqa: E402
from tests.support.signing import world  # noqa: E402

LENGTHS = (10, 100, 1000)


def timed(what: str, call: Callable[[], Any]) -> None:
    started = time.monotonic()
    call()
    print(f"  {what:<52} {1000 * (time.monotonic() - started):>8.0f} ms", flush=True)


def decisions(ran: Ran, ledgers: LedgerStore) -> None:
    """What a release manager does, one after the other."""

    def known_today(*_: object) -> list[Any]:
        return []

    grant, revocation = ran.grant(), ran.grant("revocation", "1.1")
    timed("promote a new release", lambda: ran.promote("1.2", ledgers=ledgers))
    timed("promote it again (nothing to do)", lambda: ran.promote("1.2", ledgers=ledgers))
    timed(
        "roll back, with a grant (without asking the feed)",
        lambda: roll_back(ran.gate(ledgers=ledgers), ran.digest("1.0"), HERE, known_today, [grant]),
    )
    timed("revoke, with a grant", lambda: revoke(ran.gate(ledgers=ledgers), ran.digest("1.1"), HERE, [revocation]))


def on_a_branch(ran: Ran, folder: Path) -> GitLedger:
    """A clone and its remote on this disk, with the ledgers so far on its branch."""
    git(folder, "init", "-q", "--bare", "remote.git")
    clone = make_repository(folder / "clone", {"file": "one"})
    git(clone, "remote", "add", "origin", str(folder / "remote.git"))
    ledger = GitLedger(clone, "origin", "ledger")
    ledger.refresh()
    ledger.write(ran.files(), "what ran")
    return ledger


def long_ledgers(ran: Ran) -> None:
    """Chains of real signatures, read and verified whole, as each promotion does."""
    gate = ran.gate(ledgers=LocalLedger(ran.folder / "long"), state=ran.folder / "long")
    ledger = Ledger(environment=HERE, entries=())
    for length in LENGTHS:
        while len(ledger.entries) < length:
            ledger = record(gate, ledger, entry(ran, ledger))
        content, known = ledger_bytes(ledger), head_of(ledger, ran.policy)
        parse = partial(parse_ledger, content, ran.here, ran.policy, gate.roots)
        timed(f"read and verify {length} entries ({len(content) / 1024:.0f} KiB)", parse)
        timed("  the same by who verified it before", partial(parse, known))


def entry(ran: Ran, ledger: Ledger) -> PromotionPredicate:
    number = len(ledger.entries) + 1
    return PromotionPredicate(
        environment=HERE,
        sequence=number,
        previous=ledger.head.digest if ledger.head else None,
        image=ran.digest("1.0").hex,
        version=f"1.{number}",
        commit="a" * 40,
        verdict="d" * 64,
        time="2026-11-20T10:00:00Z",
        requester="somebody",
    )


def main() -> int:
    print(f"promotion, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as name:
        folder = Path(name)
        with world(folder / "sigstore") as signing:
            (folder / "begun").mkdir()
            begun = run_two(folder / "begun", signing, ROOT, load_policy(ROOT / "policies"))
            print("the clone's own ledger")
            local = copied(begun, folder / "local")
            decisions(local, LocalLedger(local.state))
            print("a git branch, its remote on this disk")
            remote = copied(begun, folder / "remote")
            decisions(remote, on_a_branch(remote, folder))
            print("ledgers")
            long_ledgers(begun)
    return 0


if __name__ == "__main__":
    sys.exit(main())
