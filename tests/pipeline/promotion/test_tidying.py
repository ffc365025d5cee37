"""Old images leave the clone's own store after a promotion, and what may be wanted again stays."""

import os
from datetime import UTC, datetime

import pytest

from pipeline.gate.memory import forget, recall
from pipeline.promotion import tidying
from pipeline.promotion.promoting import VERSION_LABEL, promote
from pipeline.promotion.tidying import tidy
from pipeline.store import pruning
from pipeline.store.pruning import UNUSED_AFTER
from pipeline.store.referrers import attach
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.support import release
from tests.support.bundles import unsigned_bundle
from tests.support.images import write_archive

OLD = 1_000_000.0
LATER = OLD + UNUSED_AFTER + 1


@pytest.fixture(autouse=True)
def one_is_a_batch(monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 1)


@pytest.fixture
def gate(stored, policy):
    """An image was promoted to development; two built later were not. The last one has the tag that all had."""
    stored.attest(release.predicates())
    gate = stored.gate(policy)
    promote(gate, str(stored.image.digest), "development")
    for content in (b"second", b"third"):
        path = stored.state / "later.tar"
        write_archive(path, content=content, labels={VERSION_LABEL: "1.1"})
        image = push_archive(path, stored.store, "v1")
        attach(stored.store, image, unsigned_bundle(content.decode()), datetime.now(UTC))
    for path in stored.store._blobs.iterdir():
        os.utime(path, (OLD, OLD))
    return gate


def images(store):
    return {tag for tag in store.tags() if tag.startswith("sha256-")}


def test_what_was_never_promoted_goes_and_what_runs_stays(gate, stored):
    newest = stored.store.resolve("v1").digest
    gone = tidy(gate, now=LATER)
    assert len(gone) == 1
    assert images(stored.store) == {f"sha256-{image.hex}" for image in (stored.image.digest, newest)}
    again = promote(gate, str(stored.image.digest), "development")
    assert again.entry is not None
    assert not again.written


def test_what_may_be_rolled_back_to_stays_and_what_was_promoted_before_that_does_not(gate, stored, monkeypatch):
    moved = stored.store.resolve("v1")
    stored.store.tag("development", moved)  # as if it ran there since
    assert stored.image.digest not in tidy(gate, now=LATER)
    monkeypatch.setattr(tidying, "_promoted", lambda _: [])
    assert tidy(gate, now=LATER) == [stored.image.digest]


def test_an_image_that_went_begins_anew_in_the_memory(gate, stored):
    assert recall(stored.state, stored.store, stored.image.digest).sequences
    forget(stored.state, stored.store, [stored.image.digest])
    assert not recall(stored.state, stored.store, stored.image.digest).sequences


def test_a_registry_is_left_as_it_is(stored, policy):
    registry = Registry("registry.example.org/team/app", locks=stored.state / "locks")
    assert tidy(stored.gate(policy, store=registry), now=LATER) == []
