"""A store in one file: read in place, and nothing but the documented errors whatever the file holds."""

import contextlib
import hashlib
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.export import write_export
from pipeline.gate.exported import Own, open_offline
from pipeline.gate.gathering import read_image
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.store.archived import open_archived
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach, attached_bundles
from pipeline.store.transfer import push_archive
from tests.pipeline.store.conftest import NOW
from tests.support.bundles import unsigned_bundle
from tests.support.images import write_archive


@pytest.fixture(scope="module")
def made(tmp_path_factory, root):
    """(file, image): an export of an image of two platforms with two referrers."""
    folder = tmp_path_factory.mktemp("archived")
    write_archive(folder / "image.tar", platforms=("amd64", "arm64"))
    store = OciLayout(folder / "store")
    image = push_archive(folder / "image.tar", store, "v1")
    for number in range(2):
        attach(store, image, unsigned_bundle(str(number)), NOW)
    return write_export(store, "v1", root / "policies", folder / "state", folder / "release.tar").path, image


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def rewritten(made, target, change):
    with tarfile.open(made[0]) as tar:
        opened = {member.name: tar.extractfile(member) for member in tar}
        members = {name: file.read() for name, file in opened.items() if file is not None}
    with tarfile.open(target, "w") as tar:
        for name, content in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target


def test_it_is_read_as_any_other_store(made):
    file, image = made
    with open_archived(file) as store:
        assert store.resolve(str(image.digest)) == image
        assert store.tags() == ["image"]
        assert len(attached_bundles(store, image.digest)) == 2
        assert sorted(read_image(store, str(image.digest))[1].platforms) == ["linux/amd64", "linux/arm64"]
        store.check_whole(image)


def test_a_tag_in_the_file_is_not_followed(made):
    with open_archived(made[0]) as store, pytest.raises(CannotEvaluate) as refused:
        store.resolve("image")
    assert refused.value.code == "store.missing"


def test_two_members_of_one_name_are_refused(made, tmp_path):
    doubled = rewritten(made, tmp_path / "a.tar", lambda members: [*members.items(), ("index.json", b"{}")])
    with pytest.raises(CannotEvaluate, match="two members index") as refused, open_archived(doubled):
        pass
    assert refused.value.code == "store.malformed"


def test_more_members_than_an_export_has_are_refused(made, monkeypatch):
    monkeypatch.setattr("pipeline.store.archived.MAX_MEMBERS", 10)
    with pytest.raises(CannotEvaluate, match="files, expected at most 10") as refused, open_archived(made[0]):
        pass
    assert refused.value.code == "store.malformed"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_not_followed(tmp_path, kind):
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with open_archived(tmp_path / "link.tar") as store, pytest.raises(CannotEvaluate) as refused:
        store.tags()
    assert refused.value.code == "store.malformed"


def test_a_blob_of_other_content_than_its_name_is_refused(made, tmp_path):
    _, image = made
    name = f"blobs/sha256/{image.digest.hex}"
    other = rewritten(made, tmp_path / "other.tar", lambda members: {**members, name: b"{}"}.items())
    with open_archived(other) as store, pytest.raises(Refused) as refused:
        store.resolve(str(image.digest))
    assert refused.value.code == "store.digest"


def test_indexes_in_indexes_end(made, tmp_path):
    media = "application/vnd.oci.image.index.v1+json"
    blobs, inner = {}, json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": []}).encode()
    for _ in range(5):
        digest = hashlib.sha256(inner).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = inner
        entry = {"mediaType": media, "digest": f"sha256:{digest}", "size": len(inner)}
        inner = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": [entry]}).encode()
    outer = hashlib.sha256(inner).hexdigest()
    more = {**blobs, f"blobs/sha256/{outer}": inner}
    file = rewritten(made, tmp_path / "nested.tar", lambda members: {**members, **more}.items())
    with open_archived(file) as store, pytest.raises(CannotEvaluate, match="indexes in indexes"):
        store.check_whole(store.resolve(f"sha256:{outer}"))


PLACES = st.one_of(st.integers(0, 4096), st.integers(0, 200_000))
DAMAGE = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), PLACES, st.integers(1, 255)),
        st.tuples(st.just("cut"), PLACES, st.integers(1, 2000)),
        st.tuples(st.just("put"), PLACES, st.binary(min_size=1, max_size=40)),
    ),
    min_size=1,
    max_size=6,
)


def damaged(content, damage):
    changed = bytearray(content)
    for kind, where, value in damage:
        place = where % (len(changed) or 1)
        if kind == "flip" and changed:
            changed[place] ^= value
        elif kind == "cut":
            del changed[place : place + value]
        elif kind == "put":
            changed[place:place] = value
    return bytes(changed)


@given(damage=DAMAGE)
def test_a_damaged_export_is_read_or_refused_and_nothing_is_written(made, scratch, damage):
    file, image = made
    (scratch / "damaged.tar").write_bytes(damaged(file.read_bytes(), damage))
    own = Own(policy=str(scratch), trust_roots={})
    with contextlib.suppress(Refused, CannotEvaluate), open_offline(scratch / "damaged.tar", own) as offline:
        read_image(offline.store, str(image.digest))
        offline.store.check_whole(image)
        attached_bundles(offline.store, image.digest)
    assert [path.name for path in scratch.iterdir()] == ["damaged.tar"]
