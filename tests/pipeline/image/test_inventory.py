"""What is installed, as an image's own files say it."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.inventory import accounted_for, altered, read_inventory
from pipeline.image.layer import file, link
from pipeline.model.errors import CannotEvaluate
from tests.support.wheelhouse import record_line

SITE = "usr/local/lib/python3.13/dist-packages"
LIBC = b"Package: libc6\nVersion: 2.41-12\nArchitecture: amd64\nMaintainer: Ann <ann@example.org>\n"


def status(name, content):
    return {f"var/lib/dpkg/status.d/{name}": file(content)}


def dist(folder, name="thing", version="1.0"):
    return {f"{folder}/METADATA": file(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n".encode())}


def releases(tree):
    return [(one.name, one.version) for one in read_inventory(tree).distributions]


def test_packages_of_a_base_without_dpkg_are_read_from_its_folder():
    tree = {**status("libc6", LIBC), "var/lib/dpkg/status.d/libc6.md5sums": file(b"")}
    (package,) = read_inventory(tree).debian
    assert (package.name, package.version, package.fields["Architecture"]) == ("libc6", "2.41-12", "amd64")


def test_of_a_whole_debian_only_what_is_installed_counts():
    gone = b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    here = b"Package: here\nStatus: install ok installed\nVersion: 2\n"
    tree = {"var/lib/dpkg/status": file(gone + b"\n" + here)}
    assert [package.name for package in read_inventory(tree).debian] == ["here"]


@pytest.mark.parametrize("content", [b"Package: x\n", b"Version: 1\n", b"no field\n"])
def test_a_record_that_names_no_package_and_version_cannot_be_read(content):
    with pytest.raises(CannotEvaluate, match="what is installed cannot be read") as raised:
        read_inventory(status("x", content))
    assert raised.value.code == "image.inventory"


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "var/lib/rpm/rpmdb.sqlite"])
def test_packages_of_a_system_that_nothing_here_reads_are_not_passed_over(path):
    with pytest.raises(CannotEvaluate, match="packages of another system"):
        read_inventory({path: file(b"")})


def test_a_licence_is_found_behind_the_link_of_a_shared_folder():
    shared = {"usr/share/doc/libc6": link("glibc"), "usr/share/doc/glibc/copyright": file(b"LGPL")}
    (package,) = read_inventory({**status("libc6", LIBC), **shared}).debian
    assert package.copyright == "LGPL"


def test_distributions_are_found_wherever_they_were_installed():
    tree = {**dist(f"{SITE}/thing-1.0.dist-info"), **dist("app/vendor/other-2.dist-info", "Other_Thing", "2")}
    assert releases(tree) == [("other-thing", "2"), ("thing", "1.0")]


def test_what_a_distribution_vendors_is_a_part_of_it():
    assert releases(dist(f"{SITE}/thing/_vendor/inner-1.dist-info", "inner")) == []


def test_metadata_is_read_as_the_utf_8_that_it_is():
    text = "Name: thing\nVersion: 1.0\nAuthor-email: Łukasz <l@example.org>\n"
    (found,) = read_inventory({f"{SITE}/thing-1.0.dist-info/METADATA": file(text.encode())}).distributions
    assert found.metadata["Author-email"] == "Łukasz <l@example.org>"


def test_a_distribution_without_a_name_cannot_be_read():
    with pytest.raises(CannotEvaluate, match="no name or version"):
        read_inventory({f"{SITE}/thing-1.0.dist-info/METADATA": file(b"Metadata-Version: 2.4\n")})


@pytest.mark.parametrize(
    ("tree", "version"),
    [
        ({}, ""),
        (status("p", b"Package: python3.13-minimal\nVersion: 1:3.13.5-2+deb13u5\n"), "3.13.5"),
        ({"usr/local/bin/python3.12": file(b"")}, "3.12"),
        (
            {
                "usr/local/bin/python3.12": file(b""),
                "usr/local/include/python3.12/patchlevel.h": file(b'#define PY_VERSION      "3.12.4"\n'),
            },
            "3.12.4",
        ),
    ],
)
def test_the_interpreter_is_the_one_that_is_there(tree, version):
    assert read_inventory(tree).python == version


@pytest.mark.parametrize("path", ["etc/os-release", "usr/lib/os-release"])
def test_the_system_is_what_os_release_says(path):
    tree = {path: file(b'ID=debian\nVERSION_CODENAME="trixie"\n')}
    assert read_inventory(tree).system == ("debian", "trixie")
    assert read_inventory({}).system == ("unknown", "unknown")


def test_what_lists_name_by_their_digest_is_accounted_for_and_its_byte_code_too():
    info, source, code = f"{SITE}/thing-1.0.dist-info", f"{SITE}/thing.py", f"{SITE}/__pycache__/thing.cpython-313.pyc"
    libc = hashlib.md5(b"libc", usedforsecurity=False).hexdigest()
    tree = {
        **status("libc6", LIBC),
        "usr/lib/libc.so.6": file(b"libc"),
        "usr/lib/other.so": file(b"changed"),
        "var/lib/dpkg/status.d/libc6.md5sums": file(
            f"{libc}  usr/lib/libc.so.6\n{'0' * 32}  usr/lib/other.so\n".encode()
        ),
        **dist(info),
        f"{info}/RECORD": file((record_line("thing.py", b"x = 1\n") + record_line("../../../bin/tool", b"t")).encode()),
        source: file(b"x = 1\n"),
        code: file(b"code"),
        f"{SITE}/__pycache__/unlisted.cpython-313.pyc": file(b"code"),
        "usr/local/bin/tool": file(b"t"),
        "app/main.py": file(b""),
        "var/lib/dpkg/info/libc6:amd64.list": file(b"/usr/lib/libc.so.6"),
        "var/lib/dpkg/notes": file(b"of nobody"),
    }
    known = accounted_for(tree, read_inventory(tree))
    assert tree.keys() - known == {
        "usr/lib/other.so",
        f"{info}/METADATA",
        f"{SITE}/__pycache__/unlisted.cpython-313.pyc",
        "app/main.py",
        "var/lib/dpkg/notes",
    }


PLACES = (
    "var/lib/dpkg/status",
    "var/lib/dpkg/status.d/x",
    "var/lib/dpkg/status.d/x.md5sums",
    f"{SITE}/thing-1.dist-info/METADATA",
    f"{SITE}/thing-1.dist-info/RECORD",
    "etc/os-release",
)


@given(st.dictionaries(st.sampled_from(PLACES), st.binary(max_size=80) | st.text(max_size=80).map(str.encode)))
def test_no_bytes_crash_the_reader(contents):
    tree = {path: file(content) for path, content in contents.items()}
    with contextlib.suppress(CannotEvaluate):
        accounted_for(tree, read_inventory(tree))


def test_a_damaged_list_vouches_for_nothing():
    tree = {**dist(f"{SITE}/thing-1.dist-info"), f"{SITE}/thing-1.dist-info/RECORD": file(b"a\0b,\r,\n")}
    assert f"{SITE}/thing-1.dist-info/METADATA" not in accounted_for(tree, read_inventory(tree))


class TestAltered:
    """A package's files as they were packed, and what an upper layer makes of them."""

    MD5 = hashlib.md5(b"libc", usedforsecurity=False).hexdigest()
    BASE = status("libc6", LIBC) | {
        "var/lib/dpkg/status.d/libc6.md5sums": file(f"{MD5}  usr/lib/libc.so.6\n{MD5}  usr/share/doc/gone\n".encode()),
        "usr/lib/libc.so.6": file(b"libc"),
    }
    RECORD = f"{SITE}/thing-1.0.dist-info/RECORD"
    WHEEL = dist(f"{SITE}/thing-1.0.dist-info") | {
        f"{SITE}/thing.py": file(b"x"),
        RECORD: file(f"{record_line('thing.py', b'x')}\nthing-1.0.dist-info/RECORD,,\n".encode()),
    }

    def found(self, upper):
        tree = self.BASE | self.WHEEL | upper
        return set(altered([self.BASE, self.WHEEL, upper], tree, read_inventory(tree)))

    @pytest.mark.parametrize("upper", [{}, {"app/a": file(b"a")}, {f"{SITE}/thing.py": file(b"x", executable=True)}])
    def test_what_is_as_it_was_packed_is_not(self, upper):
        assert self.found(upper) == set()

    @pytest.mark.parametrize("path", ["usr/lib/libc.so.6", f"{SITE}/thing.py"])
    def test_other_content_is_told(self, path):
        assert self.found({path: file(b"other")}) == {path}

    @pytest.mark.parametrize("path", [RECORD, "var/lib/dpkg/status.d/libc6", "var/lib/dpkg/status.d/libc6.md5sums"])
    def test_a_list_that_an_upper_layer_writes_anew_is_told(self, path):
        assert path in self.found({path: file(LIBC + b"Section: libs\n")})
