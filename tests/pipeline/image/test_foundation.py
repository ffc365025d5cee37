import pytest

from pipeline.image.foundation import over
from pipeline.image.layer import file, folder, link
from pipeline.model.errors import Refused

BELOW = {
    "tmp": folder(0o1777),
    "home": folder(),
    "home/me": folder(0o700, owner=65532),
    "lib": link("usr/lib"),
    "etc": folder(),
    "etc/motd": link("../usr/motd"),
    "etc/passwd": file(b"x"),
}


def test_folders_that_are_there_keep_their_owner_and_mode():
    found = over(BELOW, {"tmp/a/b": file(b"1"), "home/me/c": file(b"2"), "home/me": folder()})
    assert found == {
        "home": folder(),
        "home/me": folder(0o700, owner=65532),
        "home/me/c": file(b"2"),
        "tmp": folder(0o1777),
        "tmp/a": folder(),
        "tmp/a/b": file(b"1"),
    }


def test_a_file_takes_the_place_of_a_file():
    assert over(BELOW, {"etc/passwd": file(b"y")})["etc/passwd"] == file(b"y")


@pytest.mark.parametrize(
    ("path", "entry", "got", "fix"),
    [
        ("lib/x", file(b""), "a link of the base (got /lib,", "copy to /usr/lib: "),
        ("etc/motd", file(b""), "a link of the base (got /etc/motd,", "copy to /usr/motd: "),
        ("etc/motd", link("x"), "a link of the base (got /etc/motd,", "copy to /usr/motd: "),
        ("etc/passwd/x", file(b""), "a file of the base (got /etc/passwd,", "copy to another place: "),
    ],
)
def test_nothing_of_the_base_is_hidden(path, entry, got, fix):
    with pytest.raises(Refused) as refused:
        over(BELOW, {path: entry})
    assert refused.value.code == "dockerfile.merged-folder"
    assert refused.value.message.startswith(f"Dockerfile: COPY over {got}")
    assert refused.value.fix.startswith(fix)


def test_a_file_in_place_of_a_folder_of_the_base_is_refused():
    with pytest.raises(Refused) as refused:
        over(BELOW, {"etc": file(b"")})
    assert refused.value.code == "dockerfile.in-the-way"
    assert refused.value.message == "Dockerfile: a file where a folder is (got /etc, expected another place)"
    assert refused.value.fix == "end the target with a slash to copy into /etc"


@pytest.mark.parametrize(
    ("entry", "got"),
    [
        ({"tmp": folder(), "tmp/a": file(b"")}, "/tmp with mode 0755 and owner 0, expected 1777 and 0 as it is"),
        ({"etc": folder(owner=7), "etc/a": file(b"")}, "/etc with mode 0755 and owner 7, expected 0755 and 0 as it is"),
    ],
)
def test_a_copied_folder_does_not_change_one_of_the_base(entry, got):
    with pytest.raises(Refused) as refused:
        over(BELOW, entry, frozenset(entry))
    assert refused.value.code == "dockerfile.changed-folder"
    assert got in refused.value.message
    assert over(BELOW, entry).keys() == entry.keys()


def test_a_copied_folder_that_is_as_the_bases_changes_nothing():
    assert over(BELOW, {"etc": folder(), "etc/a": file(b"")}, frozenset({"etc"})).keys() == {"etc", "etc/a"}
