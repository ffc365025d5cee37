"""A promotion stopped at any step leaves the old state or the new one, and the same command completes it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.promotion import promoting, recording
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.rolling_back import roll_back
from pipeline.store.layout import OciLayout
from tests.support.promotions import HERE, copied

#: What changes anything outside the process, by where it is called.
CHANGES: list[tuple[Any, str]] = [
    *((OciLayout, name) for name in ("put_blob", "put_file", "put_manifest", "tag")),
    (LocalLedger, "write"),
    (recording, "remember_ledger"),
    (promoting, "remember"),
]


class Crash(BaseException):
    """Passes everything that catches errors, as a kill does."""


@dataclass
class Crashing:
    """Counts changes, and stops before the one that is due: what is there then is what the ones before have left."""

    due: int
    seen: list[str] = field(default_factory=list)

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) == self.due:
                raise Crash
            return real(*arguments, **options)

        return changed

    def install(self, patched: pytest.MonkeyPatch) -> None:
        for place, name in CHANGES:
            patched.setattr(place, name, self.wrap(name, getattr(place, name)))


def stopped(monkeypatch, act, due: int) -> Crashing | None:
    """Run ``act`` up to its ``due``-th change; None where it has fewer."""
    crashing = Crashing(due)
    with monkeypatch.context() as patched:
        crashing.install(patched)
        try:
            act()
        except Crash:
            return crashing
    return None


def state_of(ran, target):
    running = ran.ledger().running
    tag = str(target.resolve(HERE).digest)
    overlay = ran.files().get(f"overlays/{HERE}/kustomization.yaml", b"").decode()
    return running.version, tag, overlay.rpartition("digest: ")[2].strip()


def _everywhere(begun, tmp_path, monkeypatch, act, expected):
    """Stop before every change; the state is one of two, and the next run completes. The number of stops."""
    due = 0
    while True:
        due += 1
        ran = copied(begun, tmp_path / str(due))
        target, before = ran.target, state_of(ran, ran.target)
        crashing = stopped(monkeypatch, lambda ran=ran, target=target: act(ran, target), due)
        if crashing is None:
            return due - 1
        version, tag, overlay = state_of(ran, target)
        # Tag and overlay never say what the ledger has not said before them.
        assert version in (before[0], expected)
        for said in (tag, overlay):
            assert said == before[1] or (version == expected and said == ran.images[expected]), crashing.seen
        act(ran, target)
        assert state_of(ran, target) == (expected, ran.images[expected], ran.images[expected]), crashing.seen
        assert ran.ran().count(expected) == begun.ran().count(expected) + 1, crashing.seen
        assert not ran.promote(expected, repository=lambda _, target=target: target).written
        shutil.rmtree(ran.folder)


@pytest.mark.full
def test_a_promotion_stopped_before_any_change(ran, tmp_path, monkeypatch):
    def act(ran, target):
        ran.promote("1.2", repository=lambda _: target)

    assert _everywhere(ran, tmp_path, monkeypatch, act, "1.2") > 40


@pytest.mark.full
def test_a_rollback_stopped_before_any_change(ran, tmp_path, monkeypatch):
    bundle = ran.grant()

    def act(ran, target):
        gate = ran.gate(repository=lambda _: target)
        roll_back(gate, ran.digest("1.0"), HERE, lambda *_: [], [bundle])

    assert _everywhere(ran, tmp_path, monkeypatch, act, "1.0") > 30


@pytest.mark.parametrize(
    ("place", "name", "version"),
    [
        (promoting, "copy", "1.1"),
        (LocalLedger, "write", "1.1"),
        (recording, "attach", "1.2"),
        (recording, "_write_overlay", "1.2"),
    ],
)
def test_stopped_at_each_of_its_steps(ran, monkeypatch, place, name, version):
    """The short form of the above: the ledger's entry alone decides what runs."""
    real, committed = getattr(place, name), []
    write = LocalLedger.write

    def noting(*arguments, **options):
        committed.append(1)
        write(*arguments, **options)

    def crash(*arguments, **options):
        # What comes after the commit point has an earlier call as well, which goes through.
        if version == "1.1" or committed:
            raise Crash
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(LocalLedger, "write", noting)
        patched.setattr(place, name, crash)
        with pytest.raises(Crash):
            ran.promote("1.2", repository=lambda _: ran.target)
    assert ran.ledger().running.version == version
    ran.promote("1.2", repository=lambda _: ran.target)
    assert state_of(ran, ran.target) == ("1.2", ran.images["1.2"], ran.images["1.2"])
    assert ran.ran() == ["1.0", "1.1", "1.2"]


def test_the_lock_of_a_promotion_that_was_stopped_is_free(ran, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(recording, "attach", lambda *_: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            ran.promote("1.2")
    waited = []
    ran.promote("1.2", waiting=lambda: waited.append(1))
    assert waited == []
