"""What leaves the clone's own store, and what stays."""

import os
from datetime import UTC, datetime

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.store import pruning
from pipeline.store.pruning import UNUSED_AFTER, prune
from pipeline.store.referrers import attach, attached_bundles
from pipeline.store.transfer import push_archive
from tests.support.images import write_archive

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD = 1_000_000.0
LATER = OLD + UNUSED_AFTER + 1


@pytest.fixture(autouse=True)
def one_is_a_batch(monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 1)


@pytest.fixture
def put(layout, tmp_path, make_bundle):
    """Pushes an image whose tag is the last one's, and attaches a bundle that names its content."""

    def run(content, *, tag="1.0", platforms=("amd64",)):
        path = tmp_path / "image.tar"
        write_archive(path, content=content, platforms=platforms)
        image = push_archive(path, layout, tag)
        attach(layout, image, make_bundle(name=content.decode()), NOW)
        return image.digest

    return run


@pytest.fixture
def age(layout):
    """Lets everything in the store be of long ago."""

    def run():
        for path in layout._blobs.iterdir():
            os.utime(path, (OLD, OLD))

    return run


def blobs(layout):
    return {path.name for path in layout._blobs.iterdir()}


def whole(layout, image):
    """The image and its evidence are there, read as anybody would."""
    assert layout.manifest(image)
    return len(attached_bundles(layout, image)) == 1


def test_an_image_that_nobody_names_goes_with_its_evidence_and_what_it_shared_stays(layout, put, age):
    lost = put(b"old")
    alone = blobs(layout)
    kept = put(b"new")
    age()
    assert prune(layout, keep=tuple, now=LATER) == [lost]
    assert whole(layout, kept)
    assert not layout.has_blob(lost)
    assert attached_bundles(layout, lost) == []
    assert layout.tags() == ["1.0", f"sha256-{kept.hex}"]
    assert len(blobs(layout) & alone) == 1, "the empty configuration of every referrer"


def test_an_image_that_somebody_wants_kept_stays_whole(layout, put, age):
    running = put(b"old")
    put(b"new")
    age()
    before = blobs(layout)
    assert prune(layout, keep=lambda: [running], now=LATER) == []
    assert blobs(layout) == before


def test_an_image_of_which_something_was_attached_lately_stays_whole(layout, put, age, make_bundle):
    image = put(b"old")
    put(b"new")
    age()
    attach(layout, layout.resolve(str(image)), make_bundle(name="today"), NOW)
    assert prune(layout, keep=tuple, now=LATER) == []
    assert len(attached_bundles(layout, image)) == 2


def test_an_image_that_was_pushed_again_stays_whole(layout, put, age):
    image = put(b"old")
    put(b"new")
    age()
    assert put(b"old", tag="2.0") == image
    put(b"newest", tag="2.0")
    assert prune(layout, keep=tuple, now=LATER) == []
    assert whole(layout, image)


def test_both_platforms_of_an_image_go_and_stay_together(layout, put, age):
    lost = put(b"old", platforms=("amd64", "arm64"))
    kept = put(b"new", platforms=("amd64", "arm64"))
    age()
    assert prune(layout, keep=tuple, now=LATER) == [lost]
    assert whole(layout, kept)


def test_what_is_just_being_written_stays(layout, put, age):
    put(b"old")
    put(b"new")
    age()
    upload = layout.put_blob(b"not yet named by anything")
    prune(layout, keep=tuple, now=LATER)
    assert layout.has_blob(upload.digest)


def test_a_few_old_images_are_not_worth_the_look(layout, put, age, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 2)
    put(b"old")
    put(b"new")
    age()
    assert prune(layout, keep=pytest.fail, now=LATER) == []


def test_a_damaged_store_loses_nothing_more(layout, put, age):
    put(b"old")
    kept = put(b"new")
    age()
    before = blobs(layout)
    (layout._blobs / kept.hex).write_bytes(b"{}")
    with pytest.raises(Refused) as refused:
        prune(layout, keep=tuple, now=LATER)
    assert refused.value.code == "store.digest"
    (layout._blobs / kept.hex).unlink()
    with pytest.raises(CannotEvaluate) as absent:
        prune(layout, keep=tuple, now=LATER)
    assert absent.value.code == "store.missing"
    assert blobs(layout) == before - {kept.hex}


def test_an_empty_store_has_nothing_to_lose(layout):
    assert prune(layout, keep=lambda: [Digest.of(b"")], now=LATER) == []
