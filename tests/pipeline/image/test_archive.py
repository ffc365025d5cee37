import io
import json
import shutil
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.archive import (
    Archive,
    PlatformImage,
    gunzip,
    merge,
    read_config,
    read_tree,
    unpack_rootfs,
    write_archive,
)
from pipeline.image.layer import Entry, Kind, Packed, compress, file, folder, link, pack, sha256, tar
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import run
from tests.support.debian import tar_of

BASE = {"usr/lib/libx.so": file(b"x"), "lib": link("usr/lib"), "tmp": folder(0o1777)}
APP = {"app/run": file(b"#!", executable=True), "home/nonroot": folder(owner=65532)}


def image(platform="linux/amd64"):
    layers = [pack(BASE, time=1), pack(APP, time=2)]
    config = {
        "architecture": platform.partition("/")[2],
        "os": "linux",
        "config": {"User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    return PlatformImage(platform, config, layers)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "image.tar"
    return path, write_archive(path, [image()], name="thing", tag="1.0")


def members(path):
    with tarfile.open(path) as opened:
        return {member.name: body.read() for member in opened if (body := opened.extractfile(member))}


def rewrite(path, **changed):
    """Replace members of an archive by name, None to drop one."""
    found = {**members(path), **changed}
    path.write_bytes(tar({name: file(content) for name, content in found.items() if content is not None}, time=0))


def refusal(call, *arguments):
    with pytest.raises(CannotEvaluate) as refused:
        call(*arguments)
    assert refused.value.code in {"archive.malformed", "document.malformed"}
    return refused.value.message


class TestWriting:
    def test_one_platform_is_named_by_its_manifest(self, written):
        path, result = written
        assert result.platforms == {"linux/amd64": result.digest}
        assert Archive(path).digest == result.digest

    def test_several_platforms_are_named_by_their_index(self, tmp_path):
        path = tmp_path / "image.tar"
        result = write_archive(path, [image(), image("linux/arm64")], name="thing", tag="1.0")
        opened = Archive(path)
        assert opened.digest == result.digest not in result.platforms.values()
        assert opened.platforms == result.platforms
        assert set(opened.platforms) == {"linux/amd64", "linux/arm64"}
        assert json.loads(opened.blob(result.digest))["manifests"][1]["platform"]["variant"] == "v8"

    def test_docker_load_finds_the_same_layers(self, written):
        path, _ = written
        (entry,) = json.loads(members(path)["manifest.json"])
        assert entry["RepoTags"] == ["thing:1.0"]
        digests = [layer["digest"] for layer in Archive(path).manifest("linux/amd64")["layers"]]
        assert entry["Layers"] == [f"blobs/{digest.replace(':', '/')}" for digest in digests]

    def test_writing_again_gives_the_same_bytes(self, written, tmp_path):
        other = tmp_path / "other.tar"
        write_archive(other, [image()], name="thing", tag="1.0")
        assert other.read_bytes() == written[0].read_bytes()

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(CannotEvaluate) as refused:
            write_archive(tmp_path / "file" / "image.tar", [image()], name="thing", tag="1.0")
        assert refused.value.code == "files.unwritable"


class TestReading:
    def test_the_tree_is_all_layers_together(self, written):
        tree = Archive(written[0]).tree("linux/amd64")
        assert tree["app/run"].mode == 0o755
        assert tree["lib"] == link("usr/lib")
        assert tree["home/nonroot"].owner == 65532

    def test_the_configuration_is_as_written(self, written):
        assert read_config(written[0], "linux/amd64")["config"] == {"User": "65532:65532"}

    def test_a_platform_that_is_not_there_is_told(self, written):
        message = refusal(read_config, written[0], "linux/arm64")
        assert "got platforms ['linux/amd64'], expected linux/arm64" in message

    def test_a_changed_blob_is_refused(self, written):
        path, _ = written
        digest = Archive(path).manifest("linux/amd64")["layers"][1]["digest"]
        rewrite(path, **{f"blobs/{digest.replace(':', '/')}": b"other"})
        assert "damaged" in refusal(Archive(path).tree, "linux/amd64")

    def test_an_absent_blob_is_refused(self, written):
        path, result = written
        rewrite(path, **{f"blobs/{result.digest.replace(':', '/')}": None})
        assert "absent" in refusal(Archive, path)

    def test_a_layer_that_is_not_the_configurations_is_refused(self, tmp_path):
        whole = image()
        swapped = PlatformImage(whole.platform, whole.config, list(reversed(whole.layers)))
        write_archive(tmp_path / "image.tar", [swapped], name="thing", tag="1.0")
        assert "of other content" in refusal(Archive(tmp_path / "image.tar").layers, "linux/amd64")

    def test_a_layer_more_than_the_configuration_names_is_refused(self, tmp_path):
        whole = image()
        longer = PlatformImage(whole.platform, whole.config, [*whole.layers, pack({}, time=0)])
        write_archive(tmp_path / "image.tar", [longer], name="thing", tag="1.0")
        assert "got 3 layers, expected 2" in refusal(Archive(tmp_path / "image.tar").layers, "linux/amd64")

    @pytest.mark.parametrize("index", [None, b"{", b"{}", b'{"manifests": []}', b'{"manifests": [1]}'])
    def test_an_archive_without_its_one_image_is_refused(self, written, index):
        rewrite(written[0], **{"index.json": index})
        refusal(Archive, written[0])

    @pytest.mark.parametrize("content", [b"", b"no tar", b"x" * 1024])
    def test_what_is_no_archive_is_refused(self, tmp_path, content):
        (tmp_path / "image.tar").write_bytes(content)
        refusal(Archive, tmp_path / "image.tar")

    @given(st.binary(max_size=100))
    def test_gunzip_takes_one_whole_stream_only(self, extra):
        packed = compress(b"content")
        if extra:
            with pytest.raises(ValueError, match="one gzip stream"):
                gunzip(packed + extra)
        assert gunzip(packed) == b"content"


class TestLayers:
    @pytest.mark.parametrize("path", ["/etc/passwd", "../escape", "a/../../b", "a//b", "a/./b", "././b"])
    def test_a_path_outside_is_refused(self, path):
        with pytest.raises(ValueError, match="the path"):
            read_tree(tar_of({path: file(b"x")}))

    @pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
    def test_a_device_or_pipe_is_refused(self, kind):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as opened:
            member = tarfile.TarInfo("dev/x")
            member.type = kind
            opened.addfile(member)
        with pytest.raises(ValueError, match="device or pipe"):
            read_tree(packed.getvalue())

    def test_file_capabilities_are_refused(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as opened:
            member = tarfile.TarInfo("bin/ping")
            member.pax_headers = {"SCHILY.xattr.security.capability": "x"}
            opened.addfile(member)
        with pytest.raises(ValueError, match="security attributes"):
            read_tree(packed.getvalue())

    def test_a_hard_link_finds_its_file_in_a_lower_layer(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as opened:
            member = tarfile.TarInfo("b")
            member.type, member.linkname = tarfile.LNKTYPE, "a"
            opened.addfile(member)
        assert read_tree(packed.getvalue(), below=[{"a": file(b"x")}])["b"].content == b"x"
        with pytest.raises(ValueError, match="a hard link to nothing"):
            read_tree(packed.getvalue())

    def test_an_upper_layer_wins(self):
        assert merge([{"a": file(b"1")}, {"a": file(b"2")}])["a"].content == b"2"

    def test_a_whiteout_removes_what_is_below(self):
        lower = {"d": folder(), "d/a": file(b"1"), "d/b": file(b"2")}
        assert set(merge([lower, {"d/.wh.a": file(b"")}])) == {"d", "d/b"}
        assert set(merge([lower, {".wh.d": file(b"")}])) == set()

    def test_an_opaque_folder_hides_the_lower_one_only(self):
        lower = {"d": folder(), "d/a": file(b"1")}
        upper = {"d": folder(), "d/.wh..wh..opq": file(b""), "d/new": file(b"2")}
        assert set(merge([lower, upper])) == {"d", "d/new"}

    def test_a_path_below_a_link_is_refused(self):
        with pytest.raises(ValueError, match="below something that is no folder"):
            merge([{"d": link("/etc")}, {"d/passwd": file(b"x")}])

    def test_a_file_in_place_of_a_folder_removes_what_was_in_it(self):
        assert set(merge([{"d": folder(), "d/a": file(b"")}, {"d": file(b"now a file")}])) == {"d"}


class TestUnpacking:
    def test_files_links_and_modes_are_laid_out(self, written, tmp_path):
        target = tmp_path / "rootfs"
        target.mkdir()
        unpack_rootfs(written[0], "linux/amd64", target)
        assert (target / "lib" / "libx.so").read_bytes() == b"x"
        assert (target / "app" / "run").stat().st_mode & 0o777 == 0o755
        assert (target / "tmp").stat().st_mode & 0o1777 == 0o1777

    def test_a_set_user_bit_is_not_given_by_unpacking(self, tmp_path):
        layer = pack({"bin/su": Entry(Kind.FILE, 0o4755, b"x")}, time=0)
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [layer.diff_id]}}
        write_archive(tmp_path / "i.tar", [PlatformImage("linux/amd64", config, [layer])], name="a", tag="b")
        (tmp_path / "rootfs").mkdir()
        unpack_rootfs(tmp_path / "i.tar", "linux/amd64", tmp_path / "rootfs")
        assert (tmp_path / "rootfs" / "bin" / "su").stat().st_mode & 0o7000 == 0

    def test_nothing_is_written_through_a_link(self, tmp_path):
        plain = tar_of({"out/escaped": file(b"x")})
        layers = [
            pack({"out": link(str(tmp_path))}, time=0),
            Packed(compress(plain), sha256(compress(plain)), sha256(plain)),
        ]
        diff_ids = [layer.diff_id for layer in layers]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": diff_ids}}
        write_archive(tmp_path / "i.tar", [PlatformImage("linux/amd64", config, layers)], name="a", tag="b")
        (tmp_path / "rootfs").mkdir()
        refusal(unpack_rootfs, tmp_path / "i.tar", "linux/amd64", tmp_path / "rootfs")
        assert not (tmp_path / "escaped").exists()


@pytest.mark.interop
def test_skopeo_reads_the_same_digest_as_a_layout_and_the_same_layers_as_dockers(written):
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not on the PATH: .ci/install-outside-verifiers installs it")

    def inspect(transport):
        ended = run([skopeo, "inspect", f"{transport}:{written[0]}"])
        assert ended.exit_code == 0, ended.last_words
        return json.loads(ended.stdout)

    assert inspect("oci-archive")["Digest"] == written[1].digest
    diff_ids = Archive(written[0]).config("linux/amd64")["rootfs"]["diff_ids"]
    assert inspect("docker-archive")["Layers"] == diff_ids
