"""Images from an archive into a store, and with their evidence from store to store."""

import io
import json
import tarfile

import pytest

from pipeline.image.archive import Archive as ImageArchive
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.store.interface import INDEX
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach, attached_bundles
from pipeline.store.transfer import copy, pull_archive, push_archive
from tests.pipeline.store.conftest import NOW
from tests.support.images import ImageWriter, write_archive


def test_the_digest_is_the_archive_s_own(store, tmp_path):
    expected = write_archive(tmp_path / "image.tar").image
    image = push_archive(tmp_path / "image.tar", store, "1.0")
    assert image.digest == expected
    assert store.resolve("1.0") == image


def test_an_image_of_several_platforms_is_its_index(store, tmp_path):
    expected = write_archive(tmp_path / "image.tar", platforms=("amd64", "arm64")).image
    image = push_archive(tmp_path / "image.tar", store, "1.0")
    assert (image.digest, image.media_type) == (expected, INDEX)
    for child in json.loads(store.manifest(image.digest))["manifests"]:
        config = json.loads(store.manifest(Digest.parse(child["digest"])))["config"]
        assert json.loads(store.blob(Digest.parse(config["digest"])))["architecture"] in ("amd64", "arm64")


def test_pushing_again_changes_nothing(store, archive):
    assert push_archive(archive, store, "1.0") == push_archive(archive, store, "1.0")


def test_a_missing_archive_is_told_with_the_step_that_makes_it(layout, tmp_path):
    with pytest.raises(CannotEvaluate) as missing:
        push_archive(tmp_path / "image.tar", layout, "1.0")
    assert missing.value.code == "image.missing"
    assert missing.value.fix == "build it with `scripts/nox -s image`"


def test_a_changed_byte_in_a_layer_is_refused_and_nothing_is_tagged(layout, archive):
    content = archive.read_bytes()
    archive.write_bytes(content.replace(b"print('hello')", b"print('HELLO')"))
    with pytest.raises(Refused, match="content was changed or damaged") as refused:
        push_archive(archive, layout, "1.0")
    assert refused.value.code == "store.digest"
    with pytest.raises(CannotEvaluate):
        layout.resolve("1.0")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_an_archive_cut_short_is_refused(layout, archive, share):
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises((CannotEvaluate, Refused)) as refused:
        push_archive(archive, layout, "1.0")
    assert refused.value.code in ("store.malformed", "store.digest")
    with pytest.raises(CannotEvaluate):
        layout.resolve("1.0")


def test_an_archive_with_two_images_is_refused(layout, tmp_path):
    writer = ImageWriter()
    for name in (b"one", b"two"):
        image = writer.manifest("amd64", name)
    writer.write(tmp_path / "image.tar", image)
    _edit_index(tmp_path / "image.tar", lambda index: {**index, "manifests": index["manifests"] * 2})
    with pytest.raises(CannotEvaluate, match="got 2 images, expected one image"):
        push_archive(tmp_path / "image.tar", layout, "1.0")


def test_a_member_that_stands_twice_is_refused(layout, archive):
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo("index.json"))
    with pytest.raises(CannotEvaluate, match=r"two members index\.json") as refused:
        push_archive(archive, layout, "1.0")
    assert refused.value.code == "store.malformed"


def test_a_link_is_not_followed(layout, archive, tmp_path):
    (tmp_path / "secret").write_text("{}")
    with tarfile.open(tmp_path / "links.tar", "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(member)
    with pytest.raises(CannotEvaluate, match=r"no file index\.json"):
        push_archive(tmp_path / "links.tar", layout, "1.0")


def test_one_body_as_two_media_types_is_refused(layout, archive):
    _edit_index(archive, lambda index: {**index, "manifests": [{**index["manifests"][0], "mediaType": INDEX}]})
    with pytest.raises(CannotEvaluate, match="expected an image manifest or index") as refused:
        push_archive(archive, layout, "1.0")
    assert refused.value.code == "store.malformed"


def test_a_copy_takes_the_evidence_along(store, image, tmp_path, make_bundle):
    for name in ("one", "two"):
        attach(store, image, make_bundle(name), NOW)
    target = OciLayout(tmp_path / "target")
    listed = copy(store, image, target, tag="copied")
    assert target.resolve("copied") == image
    assert [referrer.digest for referrer in listed] == [r.digest for r in store.referrers(image.digest)]
    assert attached_bundles(target, image.digest) == attached_bundles(store, image.digest)


def test_a_copy_adds_to_what_the_target_has(layout, archive, tmp_path, make_bundle):
    target = OciLayout(tmp_path / "target")
    image = push_archive(archive, layout, "1.0")
    attach(layout, image, make_bundle("one"), NOW)
    push_archive(archive, target, "1.0")
    attach(target, image, make_bundle("two"), NOW)
    copy(layout, image, target)
    assert {found.bundle for found in attached_bundles(target, image.digest)} == {
        make_bundle("one"),
        make_bundle("two"),
    }


def _edit_index(archive, change):
    with tarfile.open(archive) as tar:
        members = {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name))}
    members["index.json"] = json.dumps(change(json.loads(members["index.json"]))).encode()
    with tarfile.open(archive, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


class TestPulling:
    @pytest.mark.parametrize("platforms", [("amd64",), ("amd64", "arm64")])
    def test_what_was_pushed_comes_back_whole(self, store, tmp_path, platforms):
        expected = write_archive(tmp_path / "image.tar", platforms=platforms).image
        image = push_archive(tmp_path / "image.tar", store, "1.0")
        pull_archive(store, image, tmp_path / "pulled.tar")
        other = OciLayout(tmp_path / "other")
        assert push_archive(tmp_path / "pulled.tar", other, "1.0").digest == expected
        assert sorted(ImageArchive(tmp_path / "pulled.tar").platforms) == [f"linux/{name}" for name in platforms]

    def test_a_layer_that_was_changed_in_the_store_is_refused(self, layout, archive, tmp_path):
        image = push_archive(archive, layout, "1.0")
        layer = json.loads(layout.manifest(image.digest))["layers"][0]["digest"]
        path = tmp_path / "store" / "blobs" / "sha256" / layer.removeprefix("sha256:")
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"hello", b"HELLO"))
        with pytest.raises(Refused, match="content was changed or damaged") as refused:
            pull_archive(layout, image, tmp_path / "pulled.tar")
        assert refused.value.code == "store.digest"

    def test_a_layer_that_is_gone_is_told(self, layout, archive, tmp_path):
        image = push_archive(archive, layout, "1.0")
        layer = json.loads(layout.manifest(image.digest))["layers"][0]["digest"]
        (tmp_path / "store" / "blobs" / "sha256" / layer.removeprefix("sha256:")).unlink()
        with pytest.raises(CannotEvaluate) as missing:
            pull_archive(layout, image, tmp_path / "pulled.tar")
        assert missing.value.code == "store.missing"
