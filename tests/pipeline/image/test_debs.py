import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.debs import read_deb
from pipeline.image.layer import Entry, Kind, file, folder, link
from pipeline.model.errors import CannotEvaluate
from tests.support.debian import ar_of, make_deb, tar_of


def refusal(content):
    with pytest.raises(CannotEvaluate) as refused:
        read_deb(content, what="libx 1.0")
    assert refused.value.code == "base.package"
    return refused.value.message


def one_member(name, kind=tarfile.REGTYPE, target=""):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return packed.getvalue()


def test_files_folders_and_links_are_read_with_their_modes():
    files = {"usr": folder(), "usr/a": file(b"a", executable=True), "usr/b": link("a")}
    deb = read_deb(make_deb("libx", files), what="libx")
    assert deb.files == files
    assert deb.control.startswith(b"Package: libx\n")


def test_a_hard_link_is_a_copy():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        first = tarfile.TarInfo("./a")
        first.size = 1
        archive.addfile(first, io.BytesIO(b"x"))
        second = tarfile.TarInfo("./b")
        second.type, second.linkname = tarfile.LNKTYPE, "./a"
        archive.addfile(second)
    assert read_deb(make_deb("libx", {}, data=packed.getvalue()), what="libx").files["b"].content == b"x"


@pytest.mark.parametrize("path", ["/etc/passwd", "./../escape", "a/../../b"])
def test_a_path_out_of_the_package_is_refused(path):
    assert "got the path" in refusal(make_deb("libx", {}, data=one_member(path)))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_device_or_pipe_is_refused(kind):
    assert "./dev/x, which is a device or pipe" in refusal(make_deb("libx", {}, data=one_member("./dev/x", kind)))


def test_a_hard_link_to_nothing_is_refused():
    refusal(make_deb("libx", {}, data=one_member("./b", tarfile.LNKTYPE, "./a")))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        b"!<arch>\n" + b"x" * 60,
        ar_of({"debian-binary": b"2.0\n"}),
        ar_of({"control.tar.zst": b"", "data.tar.xz": b""}),
        ar_of({"control.tar": tar_of({"./control": Entry(Kind.FILE)}), "data.tar": b"x" * 512}),
    ],
)
def test_what_is_no_package_is_refused(content):
    assert refusal(content).startswith("libx 1.0: not a package that can be unpacked")


@given(st.integers(0, 400))
def test_a_package_that_is_cut_anywhere_is_refused(cut):
    whole = make_deb("libx", {"a": file(b"content")})
    refusal(whole[: min(cut, len(whole) - 2)])
