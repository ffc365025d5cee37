"""What people write by hand names packages, never places."""

import pytest

from pipeline.lock_inputs import read_inputs
from pipeline.model.errors import Refused


def test_requirements_of_included_files_count(tmp_path):
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements.in").write_text("tornado # the framework\n\n# nothing\n")
    (tmp_path / "requirements/test.in").write_text('-r ../requirements.in\npytest>=8; python_version > "3"\n')
    assert [item.name for item in read_inputs(tmp_path, "requirements/test.in")] == ["tornado", "pytest"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("lock.second-index", "--index-url https://evil.example/simple"),
        ("lock.second-index", "--extra-index-url=https://evil.example/simple"),
        ("lock.second-index", "-i https://evil.example/simple"),
        ("lock.second-index", "--find-links wheels"),
        ("lock.second-index", "--trusted-host evil.example"),
        ("lock.url", "tornado @ https://evil.example/x.whl"),
        ("lock.url", "git+https://evil.example/x"),
        ("lock.url", "-e ."),
        ("lock.url", "./wheels/x.whl"),
        ("lock.include", "-r /etc/passwd"),
        ("lock.include", "-c other.txt"),
        ("lock.include", "-r ../outside.in"),
        ("lock.include", "-r requirements.in"),
        ("lock.missing", "-r nothing.in"),
        ("lock.malformed", "tornado=6"),
    ],
)
def test_places_and_stray_includes_are_refused(tmp_path, code, line):
    folder = tmp_path / "clone"
    folder.mkdir()
    (tmp_path / "outside.in").write_text("evil\n")
    (folder / "requirements.in").write_text(f"tornado\n{line}\n")
    with pytest.raises(Refused) as refused:
        read_inputs(folder, "requirements.in")
    assert refused.value.code == code
    assert refused.value.fix.startswith("mend ")
