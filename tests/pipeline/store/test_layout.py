"""The store in a folder."""

import json
import threading

import pytest

from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.store.interface import MANIFEST
from pipeline.store.layout import OciLayout
from pipeline.store.transfer import push_archive

MANIFEST_BYTES = b'{"schemaVersion":2,"mediaType":"%s","config":{},"layers":[]}' % MANIFEST.encode()


def blob_path(layout, digest):
    return layout._path / "blobs" / "sha256" / digest.hex


def test_it_is_an_oci_image_layout(layout, archive):
    image = push_archive(archive, layout, "1.0")
    assert json.loads((layout._path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads((layout._path / "index.json").read_text())["manifests"]
    assert entry["digest"] == str(image.digest)
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "1.0"}


def test_a_folder_that_is_not_there_holds_nothing(layout):
    with pytest.raises(CannotEvaluate) as absent:
        layout.resolve("1.0")
    assert absent.value.code == "store.missing"
    assert not layout._path.exists()


def test_its_tags_are_listed(layout, archive):
    assert layout.tags() == []
    push_archive(archive, layout, "2.0")
    push_archive(archive, layout, "1.0")
    assert layout.tags() == ["1.0", "2.0"]


def test_a_changed_blob_is_refused(layout):
    stored = layout.put_blob(b"content")
    blob_path(layout, stored.digest).write_bytes(b"CONTENT")
    for read in (layout.blob, layout.manifest):
        with pytest.raises(Refused, match="content was changed or damaged") as refused:
            read(stored.digest)
        assert refused.value.code == "store.digest"
    with pytest.raises(Refused), layout.open_blob(stored):
        pass


def test_a_blob_cut_in_half_is_refused_and_put_again(layout):
    stored = layout.put_blob(b"content")
    blob_path(layout, stored.digest).write_bytes(b"con")
    with pytest.raises(Refused):
        layout.blob(stored.digest)
    layout.put_blob(b"content")
    assert layout.blob(stored.digest) == b"content"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"manifests": [', "document.malformed"),
        (b'{"manifests": [], "manifests": []}', "document.malformed"),
        (b"[]", "store.malformed"),
        (b"{}", "store.malformed"),
        (b'{"manifests": [{"mediaType": "a/b", "size": 1}]}', "store.malformed"),
        (b'{"manifests": [{"mediaType": "a/b", "size": -1, "digest": "sha256:%s"}]}' % (b"a" * 64), "store.malformed"),
    ],
)
def test_an_index_that_is_none_is_not_guessed(layout, content, code):
    layout._path.mkdir()
    (layout._path / "index.json").write_bytes(content)
    with pytest.raises(CannotEvaluate) as unreadable:
        layout.resolve("1.0")
    assert unreadable.value.code == code


def test_two_entries_of_one_name_are_refused(layout, archive):
    push_archive(archive, layout, "1.0")
    path = layout._path / "index.json"
    index = json.loads(path.read_text())
    index["manifests"] *= 2
    path.write_text(json.dumps(index))
    with pytest.raises(CannotEvaluate, match="2 entries named") as refused:
        layout.resolve("1.0")
    assert refused.value.code == "store.malformed"


def test_writers_at_the_same_time_lose_no_tag(layout):
    def write(number: int) -> None:
        OciLayout(layout._path).put_manifest(MANIFEST_BYTES + b" " * number, MANIFEST, f"tag-{number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({layout.resolve(f"tag-{number}").digest for number in range(12)}) == 12


def test_nothing_but_blobs_is_left_behind(layout, archive):
    push_archive(archive, layout, "1.0")
    names = [path.name for path in (layout._path / "blobs" / "sha256").iterdir()]
    assert all(len(name) == 64 for name in names)


def test_a_folder_where_nothing_can_be_written_is_told(tmp_path):
    (tmp_path / "store").write_text("a file stands in the way")
    with pytest.raises(CannotEvaluate) as refused:
        OciLayout(tmp_path / "store").put_blob(b"content")
    assert refused.value.code == "files.unwritable"
