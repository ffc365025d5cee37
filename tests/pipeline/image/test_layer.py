import gzip
import io
import os
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image import layer
from pipeline.image.archive import gunzip, read_tree
from pipeline.image.layer import BLOCK, Entry, Kind, compress, compressor, file, folder, link, pack, tar, with_folders

TREE = {"usr/bin/x": file(b"x", executable=True), "a": link("usr/bin/x"), "home": folder(owner=65532)}
#: Seen once, on Python 3.11 with zlib 1.2.13, and 3.13 with zlib 1.3.1; a change of it changes every image.
KNOWN = "sha256:5494de6aec00eb56f5409ce4ca4b2788f887b09c327815543a9fdbd5d7863752"


def test_every_folder_above_a_path_is_there():
    assert list(with_folders(TREE)) == ["a", "home", "usr", "usr/bin", "usr/bin/x"]


def test_the_order_of_entries_does_not_matter():
    assert pack(TREE, time=1) == pack(dict(reversed(TREE.items())), time=1)


def test_every_entry_carries_the_given_time_and_no_name_of_an_owner():
    with tarfile.open(fileobj=io.BytesIO(tar(TREE, time=1234))) as opened:
        members = opened.getmembers()
    assert {member.mtime for member in members} == {1234}
    assert {(member.uname, member.gname) for member in members} == {("", "")}
    assert {member.name: member.uid for member in members}["home"] == 65532


def test_the_bytes_are_the_known_ones_on_every_python():
    assert pack(TREE, time=1234).digest == KNOWN


def test_zlib_is_known_by_what_it_writes(monkeypatch):
    compressor.cache_clear()
    assert compressor() == "zlib"
    compressor.cache_clear()
    monkeypatch.setattr(layer, "LEVEL", 1)  # as another library at our level: the same content in other bytes
    assert compressor() == f"not zlib: {zlib.ZLIB_RUNTIME_VERSION}"
    compressor.cache_clear()


def test_the_gzip_header_names_no_time_and_no_system():
    packed = compress(b"content" * 100)
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert gzip.decompress(packed) == b"content" * 100


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_a_layer_of_any_length_is_one_gzip_stream(length):
    plain = (bytes(range(251)) * (length // 251 + 1))[:length]
    assert gunzip(compress(plain)) == plain


def test_the_number_of_processors_does_not_matter(monkeypatch):
    plain = bytes(range(251)) * (3 * BLOCK // 251)
    many = compress(plain)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert compress(plain) == many


paths = st.from_regex(r"[a-z]{1,3}(/[a-zé]{1,120}){0,2}", fullmatch=True)
entries = st.one_of(
    st.builds(file, st.binary(max_size=50), executable=st.booleans()),
    st.builds(link, st.from_regex(r"[a-z/.]{1,150}", fullmatch=True)),
)


@given(st.dictionaries(paths, entries, max_size=5))
def test_what_is_packed_is_read_back(tree):
    leaves = {path: e for path, e in tree.items() if not any(other.startswith(f"{path}/") for other in tree)}
    read = read_tree(tar(leaves, time=0))
    assert {path: entry for path, entry in read.items() if entry.kind is not Kind.FOLDER} == leaves
    assert all(entry == Entry(Kind.FOLDER, 0o755) for entry in read.values() if entry.kind is Kind.FOLDER)


def test_a_group_of_its_own_is_packed_and_read_again():
    tree = {"data": Entry(Kind.FOLDER, 0o750, owner=1000, group=2000), "x": Entry(Kind.FILE, owner=1000)}
    plain = tar(tree, time=0)
    with tarfile.open(fileobj=io.BytesIO(plain)) as opened:
        assert [(member.uid, member.gid) for member in opened] == [(1000, 2000), (1000, 1000)]
    assert read_tree(plain) == tree
