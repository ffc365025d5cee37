import dataclasses
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.archive import Archive, PlatformImage, write_archive
from pipeline.image.comparison import (
    Difference,
    compare_bytes,
    compare_configs,
    compare_files,
    compare_shapes,
    compare_trees,
)
from pipeline.image.layer import Entry, Kind, Packed, compress, file, folder, link, pack, sha256, tar
from pipeline.model.documents import canonical_json

TREE = {"app": folder(), "app/run": file(b"#!", executable=True), "lib": link("usr/lib")}
CONFIG = {"User": "65532:65532", "Env": ["A=1", "B=2"], "Entrypoint": ["/app/run"]}


def differences(changed, first=TREE):
    return [(one.place, one.what, one.got, one.expected) for one in compare_trees(first, changed, where="linux/amd64")]


def test_equal_trees_do_not_differ_in_whatever_order():
    assert differences(dict(reversed(TREE.items()))) == []


def test_a_group_that_is_the_owner_s_number_is_the_same_written_or_not():
    first = {"x": Entry(Kind.FILE, owner=5)}
    assert differences({"x": Entry(Kind.FILE, owner=5, group=5)}, first) == []


CHANGES = {
    "a file more": ({"app/more": file(b"")}, ("/app/more", "path", "file 0644", "nothing")),
    "another type": ({"lib": folder()}, ("/lib", "type", "folder", "link")),
    "another mode": ({"app/run": file(b"#!")}, ("/app/run", "mode", "0644", "0755")),
    "another owner": ({"app": folder(owner=1)}, ("/app", "owner", "1:1", "0:0")),
    "another group": ({"app": Entry(Kind.FOLDER, 0o755, group=7)}, ("/app", "owner", "0:7", "0:0")),
    "another target": ({"lib": link("lib64")}, ("/lib", "link", "lib64", "usr/lib")),
    "other content": ({"app/run": file(b"##", executable=True)}, ("/app/run", "content", "", "")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_side_of_a_path_is_compared(name):
    changed, (path, what, got, expected) = CHANGES[name]
    (found,) = differences({**TREE, **changed})
    assert found[:2] == (f"linux/amd64 {path}", what)
    if what == "content":
        assert found[2] != found[3]
        assert all(text.startswith("sha256:") and text.endswith(", 2 bytes") for text in found[2:])
    else:
        assert found[2:] == (got, expected)


def test_a_path_that_is_gone_and_two_sides_of_another_are_all_told():
    changed = {"app": TREE["app"], "app/run": Entry(Kind.FILE, 0o700, b"#!", owner=3)}
    assert [found[:2] for found in differences(changed)] == [
        ("linux/amd64 /app/run", "mode"),
        ("linux/amd64 /app/run", "owner"),
        ("linux/amd64 /lib", "path"),
    ]


def config(**changed):
    return {"architecture": "amd64", "os": "linux", "config": {**CONFIG, **changed}}


@pytest.mark.parametrize(
    ("changed", "what", "got"),
    [
        ({"User": "0"}, "User", "0"),
        ({"Entrypoint": ["/app/run", "--debug"]}, "Entrypoint", '["/app/run","--debug"]'),
        ({"Env": ["A=1", "B=3"]}, "Env", '["A=1","B=3"]'),
        ({"Volumes": {"/data": {}}}, "Volumes", '{"/data":{}}'),
        ({"Healthcheck": {"Test": ["CMD", "/x"]}}, "Healthcheck", '{"Test":["CMD","/x"]}'),
        ({"User": ""}, "User", "nothing"),
    ],
)
def test_what_an_engine_is_told_is_compared(changed, what, got):
    (found,) = compare_configs(config(), config(**changed), where="linux/amd64")
    assert (found.place, found.what, found.got) == ("linux/amd64 configuration", what, got)


def test_another_architecture_is_a_difference():
    (found,) = compare_configs(config(), {**config(), "architecture": "arm64"}, where="linux/amd64")
    assert found == Difference(place="linux/amd64 configuration", what="architecture", got="arm64", expected="amd64")


def test_an_empty_field_and_none_are_the_same():
    other = config(Volumes=None, Labels={}, OnBuild=[], Hostname="")
    assert list(compare_configs(config(), {**other, "variant": "", "author": None}, where="linux/amd64")) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (config(user="0"), "user"),
        ({**config(), "Config": {"User": "0"}}, "Config"),
        ({**config(), "os.version": "10"}, "os.version"),
        ({**config(), "rootfs": {"DIFF_IDS": []}}, "rootfs.DIFF_IDS"),
        (config(Env=["B=2", "A=1"]), "Env"),
    ],
)
def test_what_another_reader_could_take_for_something_is_a_difference(changed, what):
    """Go, in which engines are written, reads the names of fields whatever their case; the last one counts."""
    (found,) = compare_configs(config(), changed, where="linux/amd64")
    assert found.what == what


def test_when_and_how_it_was_built_is_each_builder_s_own():
    told = {"created": "2026-01-01T00:00:00Z", "history": [{"created_by": "x"}], "rootfs": {"diff_ids": ["a"]}}
    other = {"created": "2027-01-01T00:00:00Z", "rootfs": {"diff_ids": ["b", "c"]}}
    assert list(compare_configs(config() | told, config() | other, where="linux/amd64")) == []


def written(path, *trees, time=1, platforms=("linux/amd64",), created="2026-01-01T00:00:00Z"):
    layers = [pack(tree, time=time) for tree in trees]
    images = [
        PlatformImage(
            platform,
            {
                "created": created,
                "architecture": platform.rpartition("/")[2],
                "os": "linux",
                "config": CONFIG,
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            },
            layers,
        )
        for platform in platforms
    ]
    write_archive(path, images, name="thing", tag="1")
    return Archive(path)


def test_the_same_files_in_other_layers_at_another_time_are_the_same_files_and_other_bytes(tmp_path):
    first = written(tmp_path / "1", TREE)
    second = written(tmp_path / "2", {"app": TREE["app"]}, TREE, time=2, created="2027-01-01T00:00:00Z")
    assert compare_files(first, second) == []
    assert [(one.place, one.what) for one in compare_bytes(first, second)] == [
        ("image", "digest"),
        ("linux/amd64 configuration", "created"),
        ("linux/amd64", "layers"),
        ("linux/amd64 layer 1", "tar"),
    ]


def test_the_same_image_has_the_same_bytes(tmp_path):
    first = written(tmp_path / "1", TREE)
    assert compare_bytes(first, written(tmp_path / "2", TREE)) == []


def test_a_difference_of_compression_alone_is_told_as_such(tmp_path):
    first = written(tmp_path / "1", TREE)
    packed = pack(TREE, time=1)
    # A gzip header that names the operating system, as zlib's own does.
    other = dataclasses.replace(packed, content=packed.content[:9] + b"\x03" + packed.content[10:])
    image = PlatformImage("linux/amd64", first.config("linux/amd64"), [other])
    write_archive(tmp_path / "2", [image], name="thing", tag="1")
    assert [(one.place, one.what) for one in compare_bytes(first, Archive(tmp_path / "2"))] == [
        ("image", "digest"),
        ("linux/amd64 layer 1", "compression"),
    ]


def test_a_platform_more_or_less_is_a_difference(tmp_path):
    one, both = written(tmp_path / "1", TREE), written(tmp_path / "2", TREE, platforms=("linux/amd64", "linux/arm64"))
    (more,), (less,) = compare_files(one, both), compare_files(both, one)
    assert (more.place, more.what, more.got, more.expected) == ("linux/arm64", "platform", "an image", "nothing")
    assert (less.got, less.expected) == ("nothing", "an image")


def rewritten(source, target, change):
    """The archive at ``source`` with its one manifest changed, digests and all."""
    archive = Archive(source)
    (platform,) = archive.platforms
    manifest = change(archive.manifest(platform))
    content = canonical_json(manifest)
    described = {"mediaType": manifest["mediaType"], "digest": sha256(content), "size": len(content)}
    index = canonical_json({"schemaVersion": 2, "manifests": [described]})
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            if member.name != "index.json":
                new.addfile(member, old.extractfile(member))
        for name, body in (("index.json", index), (f"blobs/{described['digest'].replace(':', '/')}", content)):
            header = tarfile.TarInfo(name)
            header.size = len(body)
            new.addfile(header, io.BytesIO(body))
    return Archive(target)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: {**manifest, "Layers": []},
        lambda manifest: {**manifest, "annotations": {"x": "y"}},
        lambda manifest: {**manifest, "layers": [{**one, "Digest": "sha256:0"} for one in manifest["layers"]]},
        lambda manifest: {**manifest, "layers": [{**one, "urls": ["https://evil"]} for one in manifest["layers"]]},
    ],
)
def test_a_manifest_that_says_more_is_a_difference(tmp_path, change):
    first = written(tmp_path / "1", TREE)
    other = rewritten(tmp_path / "1", tmp_path / "2", change)
    assert [(one.place, one.what) for one in compare_files(first, other)] == [("linux/amd64", "manifest")]
    assert [(one.place, one.what) for one in compare_files(other, first)] == [("linux/amd64", "manifest")]


def twice(tree, path, hidden):
    """A layer in which ``path`` comes twice: our reading takes the last, as engines do, or should."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, entry in {**tree, path: tree[path]}.items():
            for content in (hidden, entry.content) if name == path else (entry.content,):
                with tarfile.open(fileobj=io.BytesIO(tar({name: entry}, time=1))) as one:
                    header = one.getmember(name)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return plain.getvalue()


def test_a_layer_that_can_be_read_in_two_ways_is_a_difference_though_we_read_the_same(tmp_path):
    first = written(tmp_path / "1", TREE)
    plain = twice(TREE, "app/run", b"#!evil")
    compressed = compress(plain)
    layer = Packed(compressed, sha256(compressed), sha256(plain))
    config = {**first.config("linux/amd64"), "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
    write_archive(tmp_path / "2", [PlatformImage("linux/amd64", config, [layer])], name="thing", tag="1")
    ambiguous = Archive(tmp_path / "2")
    assert ambiguous.tree("linux/amd64") == first.tree("linux/amd64")
    assert [(one.place, one.what) for one in compare_files(ambiguous, first)] == [("linux/amd64 layer 1", "form")]


def test_one_platform_twice_in_an_index_is_a_difference(tmp_path):
    both = written(tmp_path / "2", TREE, platforms=("linux/amd64", "linux/arm64"))
    index = json.loads(both.blob(both.digest))
    variant = {**index["manifests"][1], "platform": {**index["manifests"][1]["platform"], "variant": "v7"}}
    changed = {**index, "manifests": [*index["manifests"], variant]}
    (found,) = compare_shapes(index, changed, where="image index")
    assert found.what == "manifest"


ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(Kind),
    mode=st.sampled_from([0o644, 0o755, 0o4755]),
    content=st.sampled_from([b"", b"x", b"y"]),
    target=st.sampled_from(["", "a", "b"]),
    owner=st.sampled_from([0, 1]),
    group=st.sampled_from([None, 0, 1]),
)
TREES = st.dictionaries(st.sampled_from(["a", "b", "b/c"]), ENTRIES)


def seen(tree):
    """What a container could see of a tree: a file has no target, a link no content, every path a group."""
    return {
        path: (
            entry.kind,
            entry.mode,
            entry.content if entry.kind is Kind.FILE else b"",
            entry.target,
            entry.owner,
            entry.owner if entry.group is None else entry.group,
        )
        for path, entry in tree.items()
    }


@given(TREES, TREES)
def test_there_is_a_difference_exactly_where_a_container_could_see_one(first, second):
    found = {one.place.removeprefix("p /") for one in compare_trees(first, second, where="p")}
    ones, others = seen(first), seen(second)
    assert found == {path for path in ones.keys() | others.keys() if ones.get(path) != others.get(path)}
