"""What every store does, held against the layout and against Debian's docker-registry."""

import io

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.store.interface import BYTES, INDEX, MANIFEST, MAX_MANIFEST, Descriptor

NOTHING = Digest.of(b"nothing")
MANIFEST_BYTES = b'{"schemaVersion":2,"mediaType":"%s","config":{},"layers":[]}' % MANIFEST.encode()


def test_a_blob_comes_back_as_it_was_put(store):
    stored = store.put_blob(b"content")
    assert stored == Descriptor(BYTES, Digest.of(b"content"), 7)
    assert store.blob(stored.digest) == b"content"
    assert store.has_blob(stored.digest)


def test_a_large_blob_is_read_as_a_file(store):
    content = bytes(range(256)) * 20_000
    descriptor = Descriptor(BYTES, Digest.of(content), len(content))
    store.put_file(io.BytesIO(content), descriptor)
    with store.open_blob(descriptor) as file:
        assert file.read() == content


def test_a_file_that_is_not_what_its_descriptor_says_is_refused(store):
    with pytest.raises(Refused) as refused:
        store.put_file(io.BytesIO(b"other"), Descriptor(BYTES, Digest.of(b"content"), 7))
    assert refused.value.code == "store.digest"
    assert "got 5 bytes" in refused.value.message
    assert not store.has_blob(Digest.of(b"content"))


def test_an_absent_blob_is_named(store):
    store.put_blob(b"another")
    assert not store.has_blob(NOTHING)
    for read in (store.blob, store.manifest):
        with pytest.raises(CannotEvaluate) as absent:
            read(NOTHING)
        assert absent.value.code == "store.missing"
        assert str(NOTHING) in absent.value.message
    with pytest.raises(CannotEvaluate) as absent, store.open_blob(Descriptor(BYTES, NOTHING, 7)):
        pass
    assert absent.value.code == "store.missing"


def test_a_blob_beyond_the_limit_is_refused(store):
    stored = store.put_blob(b"x" * 1001)
    assert len(store.blob(stored.digest, limit=1001)) == 1001
    with pytest.raises(CannotEvaluate, match="expected at most 1000 bytes") as large:
        store.blob(stored.digest, limit=1000)
    assert large.value.code == "store.too-large"


def test_a_blob_larger_than_its_descriptor_says_is_not_handed_out(store):
    stored = store.put_blob(b"x" * 2000)
    with pytest.raises((Refused, CannotEvaluate)) as refused, store.open_blob(Descriptor(BYTES, stored.digest, 1999)):
        pass
    assert refused.value.code in ("store.digest", "store.too-large")


def test_a_tag_leads_to_the_manifest_and_can_be_moved(store, image):
    assert store.resolve("1.0") == store.resolve(str(image.digest)) == image
    index = store.put_manifest(b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % INDEX.encode(), INDEX, "1.0")
    assert store.resolve("1.0") == index
    store.tag("1.0", image)
    assert store.resolve("1.0") == image


def test_an_absent_tag_is_named(store, image):
    with pytest.raises(CannotEvaluate, match=r"tag 2\.0|2\.0") as absent:
        store.resolve("2.0")
    assert absent.value.code == "store.missing"


@pytest.mark.parametrize("name", ["", "-dash", "a/b", "../index", "x" * 129, "a b", "ä"])
def test_what_is_no_tag_is_refused(store, name):
    with pytest.raises(Misuse) as refused:
        store.resolve(name)
    assert refused.value.code == "store.tag"


@pytest.mark.parametrize("reference", ["sha256:", "sha256:abc", "sha256:" + "A" * 64, "sha256:../../etc/passwd"])
def test_what_is_no_digest_is_refused(store, reference):
    with pytest.raises(CannotEvaluate) as refused:
        store.resolve(reference)
    assert refused.value.code == "store.malformed"


def test_a_manifest_beyond_what_registries_take_is_not_sent(store):
    with pytest.raises(CannotEvaluate) as large:
        store.put_manifest(b" " * (MAX_MANIFEST + 1), MANIFEST)
    assert large.value.code == "store.too-large"
