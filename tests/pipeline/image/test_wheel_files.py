import zipfile

import pytest

from pipeline.image.wheel_files import read_wheel
from pipeline.model.errors import CannotEvaluate, Refused
from tests.support.wheelhouse import INFO, make_wheel, record_line

MODULE = {"thing/__init__.py": b"x = 1\n"}


def refusal(path):
    with pytest.raises(Refused) as refused:
        read_wheel(path)
    return refused.value


def test_a_wheel_is_laid_out_with_a_record_of_what_is_there(tmp_path):
    wheel = read_wheel(make_wheel(tmp_path, MODULE))
    assert set(wheel.files) == {"thing/__init__.py", f"{INFO}/METADATA", f"{INFO}/RECORD"}
    lines = wheel.files[f"{INFO}/RECORD"].content.decode().splitlines(keepends=True)
    assert record_line("thing/__init__.py", b"x = 1\n") in lines
    assert lines == sorted(lines)


def test_its_time_is_the_newest_inside(tmp_path):
    assert read_wheel(make_wheel(tmp_path, MODULE)).time == 1772600768


def test_caches_sources_of_extensions_and_own_tests_are_left_out(tmp_path):
    extra = {"thing/__pycache__/a.pyc": b"", "thing/fast.c": b"", "thing/fast.pyx": b"", "thing/tests/test_a.py": b""}
    wheel = read_wheel(make_wheel(tmp_path, {**MODULE, **extra, "thing/testing.py": b""}))
    assert not extra.keys() & wheel.files.keys()
    assert "thing/testing.py" in wheel.files
    assert b"tests/" not in wheel.files[f"{INFO}/RECORD"].content


def test_data_folders_go_where_installers_put_them(tmp_path):
    files = {
        "thing-1.0.data/purelib/other.py": b"1",
        "thing-1.0.data/scripts/thing": b"#!python\n",
        "thing-1.0.data/data/share/thing/a.txt": b"a",
        "thing-1.0.data/headers/thing.h": b"h",
    }
    wheel = read_wheel(make_wheel(tmp_path, {**MODULE, **files}))
    assert "other.py" in wheel.files
    assert list(wheel.shared) == ["share/thing/a.txt"]
    assert not [path for path in wheel.files if ".data/" in path or path.endswith(".h")]


def test_a_file_that_record_does_not_list_is_refused_by_name(tmp_path):
    error = refusal(make_wheel(tmp_path, MODULE, unlisted={"thing/evil.py": b"import os\n"}))
    assert error.code == "wheel.record"
    assert "thing/evil.py: not acceptable (got a file that RECORD does not list" in error.message


def test_a_changed_file_is_refused_by_name(tmp_path):
    path = make_wheel(tmp_path, MODULE, record=record_line("thing/__init__.py", b"y = 2\n"))
    assert refusal(path).message.startswith("thing-1.0-py3-none-any.whl: thing/__init__.py: not acceptable")


def test_a_line_without_its_file_is_refused(tmp_path):
    everything = "".join(
        record_line(name, content)
        for name, content in {
            **MODULE,
            f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
            "gone.py": b"",
        }.items()
    )
    error = refusal(make_wheel(tmp_path, MODULE, record=everything))
    assert "gone.py: not acceptable (got a line of RECORD without its file" in error.message


@pytest.mark.parametrize("record", ["", "thing/__init__.py,md5=x,1\n", "one,two\n", "a,,\na,,\n"])
def test_a_record_that_vouches_for_nothing_is_refused(tmp_path, record):
    assert refusal(make_wheel(tmp_path, MODULE, record=record)).code == "wheel.record"


@pytest.mark.parametrize(
    "name",
    [
        "evil.pth",
        "thing-1.0.data/data/lib/python3.13/dist-packages/evil.pth",
        "sitecustomize.py",
        "usercustomize/__init__.py",
        "thing-1.0.data/purelib/sitecustomize.py",
        "sitecustomize.abi3.so",
    ],
)
def test_what_runs_at_every_start_is_refused_though_record_lists_it(tmp_path, name):
    error = refusal(make_wheel(tmp_path, {**MODULE, name: b"import os\n"}))
    assert error.code == "wheel.pth"
    assert f"{name}: not acceptable (got a file that Python runs at every start" in error.message


def test_a_module_of_such_a_name_inside_a_package_is_harmless(tmp_path):
    assert "thing/sitecustomize.py" in read_wheel(make_wheel(tmp_path, {"thing/sitecustomize.py": b""})).files


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "thing/../../evil.py", "thing\\evil.py", "thing//evil.py"])
def test_a_path_out_of_the_wheel_is_refused(tmp_path, name):
    assert refusal(make_wheel(tmp_path, {**MODULE, name: b""})).code == "wheel.path"


def test_a_symbolic_link_is_refused(tmp_path):
    path = make_wheel(tmp_path, MODULE)
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("thing/link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    error = refusal(path)
    assert error.code == "wheel.path"
    assert "a symbolic link" in error.message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_path_twice_is_refused(tmp_path):
    path = make_wheel(tmp_path, MODULE)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("thing/__init__.py", b"x = 1\n")
    assert "the same path twice" in refusal(path).message


@pytest.mark.parametrize("info", ["other-1.0.dist-info", "thing-2.0.dist-info"])
def test_the_metadata_of_another_package_is_refused(tmp_path, info):
    assert refusal(make_wheel(tmp_path, MODULE, info=info)).code == "wheel.record"


def test_an_executable_keeps_its_bit(tmp_path):
    path = make_wheel(tmp_path, {"thing/run": b"x"})
    with zipfile.ZipFile(path) as archive:
        contents = [(member, archive.read(member)) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in contents:
            member.external_attr = (0o100755 if member.filename == "thing/run" else 0o100644) << 16
            archive.writestr(member, content)
    modes = {name: entry.mode for name, entry in read_wheel(path).files.items()}
    assert modes["thing/run"] == 0o755
    assert modes[f"{INFO}/METADATA"] == 0o644


def test_what_is_no_zip_cannot_be_judged(tmp_path):
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    path.write_bytes(b"not a zip")
    with pytest.raises(CannotEvaluate) as refused:
        read_wheel(path)
    assert refused.value.code == "wheel.malformed"
