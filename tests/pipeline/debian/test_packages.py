import pytest

from pipeline.debian.packages import BaseLock, PackageList, parse_list
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate, Refused

PACKAGE = {
    "name": "python3.13-minimal",
    "version": "3.13.5-2",
    "architecture": "amd64",
    "source": "python3.13",
    "source_version": "3.13.5-2",
    "sha256": "a" * 64,
    "size": 1,
    "path": "debian/pool/main/p/python3.13/python3.13-minimal_3.13.5-2_amd64.deb",
}


def lock(*packages):
    value = {"version": 1, "suite": "trixie", "time": 1, "snapshot": {}, "suites": [], "packages": {"amd64": packages}}
    return validate(BaseLock, value, what="base lock")


def test_a_list_holds_packages_and_what_is_left_out():
    assert parse_list("# base\nzlib1g\nlibc6  # C\n\n!dpkg # why\n") == PackageList(("libc6", "zlib1g"), ("dpkg",))


@pytest.mark.parametrize(
    ("text", "told"), [("", "'nothing'"), ("two words\n", "'two words'"), ("libc6\nlibc6\n", "'libc6' twice")]
)
def test_a_list_with_anything_else_is_refused(text, told):
    with pytest.raises(Refused) as refused:
        parse_list(text)
    assert refused.value.code == "base.list"
    assert told in refused.value.message


def test_the_images_python_is_its_minimal_interpreters():
    assert lock(PACKAGE).python() == "3.13"


@pytest.mark.parametrize("packages", [[], [PACKAGE, PACKAGE | {"name": "python3.14-minimal"}]])
def test_a_base_without_exactly_one_python_is_refused(packages):
    with pytest.raises(Refused) as refused:
        lock(*packages).python()
    assert refused.value.code == "base.python"


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "debian/pool/../../etc/passwd.deb"},
        {"path": "other/pool/a.deb"},
        {"path": "debian/pool/a.tar"},
        {"name": "../x"},
        {"sha256": "A" * 64},
        {"size": 0},
        {"version": "1; rm"},
        {"unknown": 1},
    ],
)
def test_a_package_that_is_not_one_is_refused(changed):
    with pytest.raises(CannotEvaluate) as refused:
        lock(PACKAGE | changed)
    assert refused.value.code == "document.shape"
