"""Evidence on an image: attached, listed, and never believed by its listing."""

import json
import threading
from datetime import timedelta

import pytest

from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.errors import CannotEvaluate
from pipeline.store import referrers
from pipeline.store.interface import INDEX, MANIFEST, MAX_BUNDLE, Descriptor
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach, attached_bundles, ensure_listed, fallback_tag
from pipeline.store.transfer import push_archive
from tests.pipeline.store.conftest import NOW

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def fallback(store, image):
    return json.loads(store.manifest(store.resolve(fallback_tag(image.digest)).digest))


def rewrite_fallback(store, image, entries):
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    store.put_manifest(canonical_json(index), INDEX, fallback_tag(image.digest))


def test_an_image_without_evidence_has_none(store, image):
    assert store.referrers(image.digest) == []
    assert attached_bundles(store, image.digest) == []


def test_a_bundle_comes_back_as_it_was_attached(store, image, make_bundle):
    referrer = attach(store, image, make_bundle(), NOW)
    (found,) = attached_bundles(store, image.digest)
    assert found.bundle == make_bundle()
    assert (found.manifest, found.digest) == (referrer.digest, Digest.of(make_bundle()))


def test_the_manifest_is_what_cosign_specifies(store, image, make_bundle):
    referrer = attach(store, image, make_bundle(), NOW)
    bundle = make_bundle()
    assert json.loads(store.manifest(referrer.digest)) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": str(Digest.of(b"{}")),
            "size": 2,
        },
        "layers": [{"mediaType": BUNDLE, "digest": str(Digest.of(bundle)), "size": len(bundle)}],
        "subject": {"mediaType": image.media_type, "digest": str(image.digest), "size": image.size},
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1",
            "org.opencontainers.image.created": "2026-11-21T22:00:00Z",
        },
    }


def test_the_fallback_index_tells_artifact_type_and_annotations(store, image, make_bundle):
    referrer = attach(store, image, make_bundle(), NOW)
    (entry,) = fallback(store, image)["manifests"]
    assert entry == referrer.to_json()
    assert entry["artifactType"] == BUNDLE
    assert entry["annotations"]["dev.sigstore.bundle.predicateType"] == "https://slsa.dev/provenance/v1"


def test_attaching_the_same_bundle_later_changes_nothing(store, image, make_bundle):
    first = attach(store, image, make_bundle(), NOW)
    again = attach(store, image, make_bundle(), NOW + timedelta(hours=1))
    assert again == first
    assert len(store.referrers(image.digest)) == 1


def test_attaches_at_the_same_time_lose_nothing(store, image, make_bundle):
    threads = [
        threading.Thread(target=attach, args=(store, image, make_bundle(str(number)), NOW)) for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.bundle for found in attached_bundles(store, image.digest)} == {
        make_bundle(str(number)) for number in range(10)
    }


def test_an_entry_that_another_writer_lost_is_written_again(layout, archive, make_bundle):
    class Contended(OciLayout):
        """Someone without our lock overwrites the list three times."""

        overwrites = 3

        def put_manifest(self, content, media_type, tag=None):
            stored = super().put_manifest(content, media_type, tag)
            if tag is not None and tag.startswith("sha256-") and self.overwrites:
                self.overwrites -= 1
                super().put_manifest(b'{"mediaType":"%s","manifests":[]}' % INDEX.encode(), INDEX, tag)
            return stored

    store = Contended(layout._path)
    image = push_archive(archive, store, "1.0")
    attach(store, image, make_bundle(), NOW, wait=lambda _: None)
    assert len(store.referrers(image.digest)) == 1
    store.overwrites = 100
    with pytest.raises(CannotEvaluate, match="not listed after 8 attempts") as lost:
        attach(store, image, make_bundle("two"), NOW, wait=lambda _: None)
    assert lost.value.code == "store.not-listed"


def test_what_another_writer_lost_later_is_listed_again(store, image, make_bundle):
    first, second = (attach(store, image, make_bundle(name), NOW) for name in ("one", "two"))
    rewrite_fallback(store, image, [second.to_json()])
    listed = ensure_listed(store, image.digest, [first.digest, second.digest])
    assert {referrer.digest for referrer in listed} == {first.digest, second.digest}


def test_what_stays_lost_is_named(layout, archive, make_bundle):
    class Forgetful(OciLayout):
        def referrers(self, digest):
            return []

    image = push_archive(archive, layout, "1.0")
    referrer = attach(layout, image, make_bundle(), NOW)
    with pytest.raises(CannotEvaluate, match=f"without {referrer.digest}") as lost:
        ensure_listed(Forgetful(layout._path), image.digest, [referrer.digest], wait=lambda _: None)
    assert lost.value.code == "store.not-listed"


def test_a_listing_of_another_image_s_evidence_is_not_believed(store, image, make_bundle):
    other = store.put_manifest(b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % INDEX.encode(), INDEX, "other")
    elsewhere = attach(store, other, make_bundle(), NOW)
    rewrite_fallback(store, image, [elsewhere.to_json()])
    assert store.referrers(image.digest) == []
    assert attached_bundles(store, image.digest) == []


def test_a_bundle_is_found_whatever_the_index_calls_it(store, image, make_bundle):
    referrer = attach(store, image, make_bundle(), NOW)
    bare = {"mediaType": MANIFEST, "digest": str(referrer.digest), "size": referrer.size}
    for entry in (bare, {**bare, "artifactType": "application/vnd.example.unrelated"}):
        rewrite_fallback(store, image, [entry])
        assert [found.bundle for found in attached_bundles(store, image.digest)] == [make_bundle()]
        assert [found.artifact_type for found in store.referrers(image.digest)] == [BUNDLE]


def test_a_listed_manifest_that_is_gone_is_told(layout, archive, make_bundle):
    image = push_archive(archive, layout, "1.0")
    referrer = attach(layout, image, make_bundle(), NOW)
    (layout._path / "blobs" / "sha256" / referrer.digest.hex).unlink()
    with pytest.raises(CannotEvaluate, match=str(referrer.digest)) as gone:
        layout.referrers(image.digest)
    assert gone.value.code == "store.missing"


def test_foreign_entries_of_the_fallback_index_survive_an_attach(store, image, make_bundle):
    first = attach(store, image, make_bundle("one"), NOW)
    foreign = {**first.to_json(), "platform": {"os": "linux", "architecture": "amd64"}}
    rewrite_fallback(store, image, [foreign])
    second = attach(store, image, make_bundle("two"), NOW)
    assert fallback(store, image)["manifests"] == [foreign, second.to_json()]


def test_a_bundle_of_twenty_megabytes_is_not_attached(layout):
    with pytest.raises(CannotEvaluate) as large:
        attach(layout, Descriptor(INDEX, Digest.of(b""), 0), b" " * 20_000_000, NOW)
    assert large.value.code == "store.too-large"
    assert f"got 20000000 bytes, expected at most {MAX_BUNDLE} bytes" in large.value.message


def test_a_bundle_of_twenty_megabytes_in_the_store_is_not_read(layout, archive, make_bundle):
    image = push_archive(archive, layout, "1.0")
    referrer = attach(layout, image, make_bundle(), NOW)
    large = layout.put_blob(b" " * 20_000_000)
    document = json.loads(layout.manifest(referrer.digest))
    for told in (large.size, 100):
        document["layers"] = [{"mediaType": BUNDLE, "digest": str(large.digest), "size": told}]
        rewritten = layout.put_manifest(canonical_json(document), MANIFEST)
        rewrite_fallback(layout, image, [rewritten.to_json()])
        with pytest.raises(CannotEvaluate) as refused:
            attached_bundles(layout, image.digest)
        assert refused.value.code == "store.too-large"


@pytest.mark.parametrize(
    "bundle",
    [
        b"{}",
        b"[]",
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": {}}',
        b'{"mediaType": "other", "dsseEnvelope": {"payload": "eyJwcmVkaWNhdGVUeXBlIjoiYSJ9"}}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {"payload": "?"}}',
    ],
)
def test_what_is_no_dsse_bundle_is_not_attached(layout, bundle):
    with pytest.raises(CannotEvaluate) as refused:
        attach(layout, Descriptor(INDEX, Digest.of(b""), 0), bundle, NOW)
    assert refused.value.code == "bundle.malformed"


def test_a_manifest_with_more_bundles_than_any_image_has_is_not_read(layout, archive, make_bundle, monkeypatch):
    """One referrer of 4 MiB could name twenty thousand layers of 16 MiB."""
    monkeypatch.setattr(referrers, "MAX_REFERRERS", 2)
    image = push_archive(archive, layout, "v1")
    layers = [layout.put_blob(make_bundle() + b" " * number) for number in range(3)]
    described = [{**layer.to_json(), "mediaType": BUNDLE} for layer in layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": described, "subject": image.to_json()}
    referrers.publish(layout, image.digest, canonical_json(manifest))
    with pytest.raises(CannotEvaluate, match=r"too many bundles \(got more, expected at most 2\)") as error:
        attached_bundles(layout, image.digest)
    assert error.value.code == "store.too-many-referrers"


def test_bundles_that_are_too_large_together_are_not_read(layout, archive, make_bundle, monkeypatch):
    monkeypatch.setattr(referrers, "MAX_TOTAL", len(make_bundle()) + 1)
    image = push_archive(archive, layout, "v1")
    attach(layout, image, make_bundle(), NOW)
    assert len(attached_bundles(layout, image.digest)) == 1
    attach(layout, image, make_bundle() + b" ", NOW)
    with pytest.raises(CannotEvaluate) as error:
        attached_bundles(layout, image.digest)
    assert error.value.code == "store.too-large"


def test_a_list_without_end_is_not_walked(layout, archive):
    image = push_archive(archive, layout, "1.0")
    rewrite_fallback(layout, image, [Descriptor(MANIFEST, Digest.of(b"%d" % n), 1).to_json() for n in range(501)])
    with pytest.raises(CannotEvaluate, match="got 501, expected at most 500") as refused:
        layout.referrers(image.digest)
    assert refused.value.code == "store.too-many-referrers"
