"""Manifests, indexes and descriptors as they come from anybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.store.documents import (
    artifact_type_of,
    media_type_of,
    parse_reference,
    read_descriptor,
    read_descriptors,
    read_object,
)
from pipeline.store.interface import DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor

DIGEST = Digest.of(b"content")
GOOD = {"mediaType": MANIFEST, "digest": str(DIGEST), "size": 7}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "annotations", "x"]), inner),
    max_leaves=12,
)


def test_a_descriptor_is_read_with_its_annotations():
    found = read_descriptor({**GOOD, "artifactType": "a/b", "annotations": {"k": "v"}, "data": "ignored"}, what="x")
    assert found == Descriptor(MANIFEST, DIGEST, 7, "a/b", {"k": "v"})
    assert read_descriptor(found.to_json(), what="x") == found


@pytest.mark.parametrize(
    "change",
    [
        {"mediaType": "no slash"},
        {"mediaType": "a/b\r\nX-Evil: 1"},
        {"mediaType": None},
        {"size": -1},
        {"size": True},
        {"size": "7"},
        {"digest": "sha512:" + "a" * 128},
        {"digest": "sha256:../../etc/passwd"},
        {"digest": None},
        {"annotations": {"k": 1}},
        {"annotations": ["k"]},
    ],
)
def test_a_descriptor_that_is_none_is_refused(change):
    with pytest.raises(CannotEvaluate) as refused:
        read_descriptor({**GOOD, **change}, what="x")
    assert refused.value.code == "store.malformed"


@given(JSON)
def test_whatever_json_is_read_or_refused(value):
    try:
        assert isinstance(read_descriptor(value, what="x"), Descriptor)
    except CannotEvaluate as refused:
        assert refused.code == "store.malformed"  # noqa: PT017


@given(st.binary(max_size=200))
def test_whatever_bytes_are_an_object_or_refused(content):
    try:
        assert isinstance(read_object(content, what="x"), dict)
    except CannotEvaluate as refused:
        assert refused.code in ("document.malformed", "store.malformed")  # noqa: PT017


@given(JSON)
def test_a_list_of_descriptors_is_a_list(value):
    try:
        read_descriptors({"manifests": value}, "manifests", what="x")
    except CannotEvaluate as refused:
        assert refused.code == "store.malformed"  # noqa: PT017


def manifest(**changes):
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": [], **changes}


def test_the_manifest_s_own_media_type_counts():
    assert media_type_of(manifest(), None, what="x") == MANIFEST
    assert media_type_of(manifest(), MANIFEST, what="x") == MANIFEST
    assert media_type_of(manifest(), "application/json; charset=utf-8", what="x") == MANIFEST


def test_a_manifest_without_one_is_what_the_store_says():
    document = manifest()
    del document["mediaType"]
    assert media_type_of(document, f"{MANIFEST}; charset=utf-8", what="x") == MANIFEST


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (manifest(), INDEX),
        (manifest(), DOCKER_MANIFEST),
        (manifest(manifests=[]), None),
        (manifest(mediaType=INDEX), None),
        ({"mediaType": INDEX, "manifests": [], "layers": []}, None),
        ({"mediaType": MANIFEST, "config": {}}, None),
        (manifest(mediaType="text/html"), None),
        (manifest(mediaType=None), "text/html"),
        (manifest(mediaType=["x"]), None),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(document, told):
    with pytest.raises(CannotEvaluate) as refused:
        media_type_of(document, told, what="x")
    assert refused.value.code == "store.malformed"


def test_the_artifact_type_falls_back_to_the_config_s():
    assert artifact_type_of({"artifactType": "a/b", "config": {"mediaType": "c/d"}}) == "a/b"
    assert artifact_type_of({"artifactType": "", "config": {"mediaType": "c/d"}}) == "c/d"
    assert artifact_type_of({"config": []}) is None


def test_a_reference_is_a_digest():
    assert parse_reference(str(DIGEST)) == DIGEST
    with pytest.raises(CannotEvaluate, match=r"reference sha256:x: not readable"):
        parse_reference("sha256:x")
