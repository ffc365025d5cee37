import gzip
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.archive import merge, read_tree
from pipeline.image.engine_output import Saved, built_tree, difference, read_saved
from pipeline.image.layer import Entry, Kind, file, folder, link, sha256, tar, with_folders
from pipeline.model.errors import CannotEvaluate

LOWER = tar({"etc/issue": file(b"Debian"), "tmp": folder(0o1777)}, time=1)
UPPER = tar({"app/main.py": file(b"x")}, time=2)


def saved(path, files, links=()):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def config(*layers):
    return json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(x) for x in layers]}}).encode()


def manifest(*layers, name="c.json"):
    return json.dumps([{"Config": name, "RepoTags": [], "Layers": list(layers)}]).encode()


def refusal(path):
    with pytest.raises(CannotEvaluate) as refused:
        read_saved(path)
    assert refused.value.code == "image.engine-output"
    return refused.value.message


class TestEachEnginesForm:
    def test_a_folder_a_layer_with_links_to_equal_ones(self, tmp_path):
        files = {"a/layer.tar": LOWER, "c.json": config(LOWER, LOWER)}
        files["manifest.json"] = manifest("a/layer.tar", "b/layer.tar")
        found = read_saved(saved(tmp_path / "s", files, [("b/layer.tar", "../a/layer.tar")]))
        assert found.layers == (LOWER, LOWER)

    def test_blobs_compressed_or_plain(self, tmp_path):
        files = {"blobs/sha256/1": gzip.compress(LOWER), "blobs/sha256/2": UPPER, "c.json": config(LOWER, UPPER)}
        files["manifest.json"] = manifest("blobs/sha256/1", "blobs/sha256/2")
        found = read_saved(saved(tmp_path / "s", files))
        assert found.layers == (LOWER, UPPER)
        assert built_tree(found).keys() == {"etc", "etc/issue", "tmp", "app", "app/main.py"}


class TestWhatIsNoSoundImage:
    def test_a_layer_that_was_changed(self, tmp_path):
        files = {"l": UPPER, "c.json": config(LOWER), "manifest.json": manifest("l")}
        assert "layers of other content than the configuration names" in refusal(saved(tmp_path / "s", files))

    def test_a_layer_too_few(self, tmp_path):
        files = {"l": LOWER, "c.json": config(LOWER, UPPER), "manifest.json": manifest("l")}
        assert "layers of other content" in refusal(saved(tmp_path / "s", files))

    def test_no_manifest(self, tmp_path):
        assert "KeyError: 'manifest.json'" in refusal(saved(tmp_path / "s", {"c.json": config(LOWER)}))

    def test_two_images(self, tmp_path):
        both = json.dumps(json.loads(manifest("l")) * 2).encode()
        assert "too many values" in refusal(saved(tmp_path / "s", {"l": LOWER, "manifest.json": both}))

    def test_an_ambiguous_configuration(self, tmp_path):
        files = {"l": LOWER, "c.json": b'{"os": 1, "os": 2}', "manifest.json": manifest("l")}
        assert "duplicate key 'os'" in refusal(saved(tmp_path / "s", files))

    def test_a_stream_that_was_cut(self, tmp_path):
        whole = saved(tmp_path / "s", {"l": LOWER, "c.json": config(LOWER), "manifest.json": manifest("l")})
        whole.write_bytes(whole.read_bytes()[: 512 * 8])
        assert "ReadError" in refusal(whole)

    def test_a_link_round_in_circles(self, tmp_path):
        files = {"c.json": config(LOWER), "manifest.json": manifest("l")}
        assert "l: no file" in refusal(saved(tmp_path / "s", files, [("l", "l")]))

    def test_a_device_in_a_layer(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as layer:
            member = tarfile.TarInfo("dev/sda")
            member.type = tarfile.BLKTYPE
            layer.addfile(member)
        with pytest.raises(CannotEvaluate) as refused:
            built_tree(Saved({}, (packed.getvalue(),)))
        assert "dev/sda, which is a device or pipe" in refused.value.message


class TestTheLayerBetween:
    def test_what_is_the_same_is_not_in_it(self):
        lower = {"a": file(b"1"), "b": folder(), "b/c": file(b"2")}
        assert difference(lower, lower) == {}

    def test_folders_above_a_change_come_as_they_are(self):
        whole = {"tmp": folder(0o1777), "tmp/x": file(b"x")}
        assert difference({"tmp": folder(0o1777)}, whole) == whole

    def test_what_is_gone_is_whited_out_once(self):
        lower = with_folders({"etc/issue": file(b"1"), "var/log/a": file(b"2"), "var/log/b": file(b"3")})
        whole = {"etc": folder(), "var": folder()}
        assert set(difference(lower, whole)) == {"etc", "etc/.wh.issue", "var", "var/.wh.log"}

    def test_another_group_is_a_change(self):
        assert difference({"a": file(b"")}, {"a": Entry(Kind.FILE, group=7)}) == {"a": Entry(Kind.FILE, group=7)}

    @pytest.mark.parametrize("path", ["etc/hostname", "etc/hosts", "etc/resolv.conf"])
    def test_what_an_engine_mounted_there_is_not_the_images(self, path):
        whole = with_folders({path: Entry(Kind.FILE, 0o755)})
        assert difference({"etc": folder()}, whole) == {}
        assert path in difference({"etc": folder()}, with_folders({path: file(b"127.0.0.1 db\n")}))
        assert path in difference(with_folders({path: file(b"was there")}), whole)

    _entries = st.one_of(
        st.builds(file, st.binary(max_size=2)),
        st.builds(folder, st.sampled_from([0o755, 0o700])),
        st.builds(link, st.sampled_from(["a", "/b"])),
    )

    @staticmethod
    def _sound(drawn):
        """Paths whose folders are folders."""
        files = {p for p, e in drawn.items() if e.kind is not Kind.FOLDER}
        kept = {p: e for p, e in drawn.items() if not any(p.startswith(f"{other}/") for other in files)}
        return with_folders(kept)

    _trees = st.dictionaries(st.sampled_from(["a", "b", "a/x", "a/y", "a/x/1", "a/x/2", "b/x", "c/d/e"]), _entries)

    @given(_trees, _trees)
    def test_on_the_lower_tree_it_gives_the_whole_one(self, one, other):
        lower, whole = self._sound(one), self._sound(other)
        layer = read_tree(tar(difference(lower, whole), time=0))
        assert merge([lower, layer]) == whole
