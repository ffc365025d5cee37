"""What stops a command before any step runs."""

import pytest

from pipeline.model.errors import Misuse
from pipeline.running import stops


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "riscv64")])
def test_another_operating_system_or_machine_is_said(monkeypatch, system, machine):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(Misuse) as refused:
        stops.check_host()
    assert refused.value.code == "host.unsupported"
    assert f"(got {system}, expected Linux on amd64 or arm64)" in refused.value.message


def test_a_machine_without_git_is_said(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(Misuse) as refused:
        stops.check_host()
    assert refused.value.code == "host.no-git"


def test_this_machine_will_do():
    stops.check_host()


@pytest.mark.parametrize(("number", "code"), [(13, "files.unusable"), (28, "files.full")])
def test_a_file_that_cannot_be_used_is_named(tmp_path, number, code):
    error = stops.unusable(tmp_path, OSError(number, "No", "/state/x"))
    assert error.code == code
    assert error.message == "/state/x: not usable (got No, expected to read and write it)"


def test_a_defect_leaves_its_traceback_in_a_file(tmp_path):
    error = stops.defect(tmp_path, ZeroDivisionError("division by zero"))
    assert error.code == "internal.defect"
    assert "ZeroDivisionError: division by zero" in (tmp_path / ".gatehouse" / "logs" / "start.log").read_text()


def test_a_defect_is_said_even_where_no_file_can_be_written(tmp_path):
    (tmp_path / ".gatehouse").write_text("a file")
    assert stops.defect(tmp_path, ZeroDivisionError()).code == "internal.defect"
