"""Manifests, indexes and configurations out of a store that somebody else writes to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.gathering import gather, read_image
from pipeline.model.documents import canonical_json
from pipeline.store.interface import INDEX
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import fallback_tag
from tests.support.fuzzing import changed, fuzzed, nothing_written, only_documented, overwritten


@pytest.fixture(scope="module")
def layout(stored, tmp_path_factory) -> OciLayout:
    """A copy of the store whose index a test may replace."""
    folder = tmp_path_factory.mktemp("layout") / "store"
    folder.mkdir()
    (folder / "blobs").symlink_to(stored.store._path / "blobs")
    (folder / "index.json").write_bytes((stored.store._path / "index.json").read_bytes())
    return OciLayout(folder)


def _document(stored, descriptor):
    return json.loads(stored.store.manifest(descriptor.digest))


def _put(store, document) -> str:
    """Stored under its own digest: what is there is what somebody meant to put there."""
    return str(store.put_manifest(json.dumps(document).encode(), INDEX).digest)


def _look(store, reference, roots):
    with only_documented(), nothing_written():
        _, image = read_image(store, reference)
        gather(store, image, roots)


@fuzzed
@given(data=st.data())
def test_an_image_manifest_with_other_fields(stored, roots, data):
    document = data.draw(changed(_document(stored, stored.image)))
    _look(stored.store, _put(stored.store, document), roots)


@fuzzed
@given(data=st.data())
def test_an_image_index_with_other_fields(stored, roots, data):
    entry = {**stored.image.to_json(), "platform": {"os": "linux", "architecture": "amd64"}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    _look(stored.store, _put(stored.store, data.draw(changed(index))), roots)


@fuzzed
@given(data=st.data())
def test_an_image_configuration_with_other_fields(stored, roots, data):
    manifest = _document(stored, stored.image)
    config = json.loads(stored.store.blob(stored.image.digest.parse(manifest["config"]["digest"])))
    put = stored.store.put_blob(json.dumps(data.draw(changed(config))).encode())
    manifest["config"] |= {"digest": str(put.digest), "size": put.size}
    _look(stored.store, _put(stored.store, manifest), roots)


@fuzzed
@given(data=st.data())
def test_a_layouts_index_with_other_fields(layout, stored, roots, data):
    document = json.loads((stored.store._path / "index.json").read_bytes())
    (layout._path / "index.json").write_text(json.dumps(data.draw(changed(document))))
    _look(layout, str(stored.image.digest), roots)
    with only_documented(), nothing_written():
        layout.resolve("v1")


@fuzzed
@given(data=st.data())
def test_a_layouts_index_with_other_bytes(layout, stored, roots, data):
    (layout._path / "index.json").write_bytes(data.draw(overwritten((stored.store._path / "index.json").read_bytes())))
    _look(layout, str(stored.image.digest), roots)


@fuzzed
@given(data=st.data())
def test_a_list_of_referrers_with_other_fields(layout, stored, roots, data):
    listed = stored.store.resolve(fallback_tag(stored.image.digest))
    changes = canonical_json_or_none(data.draw(changed(_document(stored, listed))))
    if changes is None:
        return
    _name_fallback(layout, stored, layout.put_blob(changes))
    _look(layout, str(stored.image.digest), roots)


@fuzzed
@given(data=st.data())
def test_a_referrer_with_other_fields(layout, stored, roots, data):
    referrer = stored.store.referrers(stored.image.digest)[0]
    put = layout.put_blob(json.dumps(data.draw(changed(_document(stored, referrer)))).encode())
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**referrer.to_json(), "digest": str(put.digest)}]}
    _name_fallback(layout, stored, layout.put_blob(canonical_json(index)))
    _look(layout, str(stored.image.digest), roots)


def canonical_json_or_none(document) -> bytes | None:
    try:
        return canonical_json(document)
    except UnicodeEncodeError:
        return None


def _name_fallback(layout, stored, blob) -> None:
    """An index.json in which the image's list of referrers is ``blob``."""
    entry = {
        "mediaType": INDEX,
        "digest": str(blob.digest),
        "size": blob.size,
        "annotations": {"org.opencontainers.image.ref.name": fallback_tag(stored.image.digest)},
    }
    (layout._path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
