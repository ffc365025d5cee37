"""The watch over foreign bytes sees what it is to see: without this, the other tests here could not fail."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.model.errors import Refused
from tests.support.fuzzing import nothing_written, only_documented


def test_reading_is_no_writing(root):
    with nothing_written():
        (root / "pyproject.toml").read_bytes()


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: (folder / "new").write_bytes(b""),
        lambda folder: (folder / "there").open("ab").close(),
        lambda folder: (folder / "new").mkdir(),
        lambda folder: (folder / "there").rename(folder / "moved"),
        lambda folder: (folder / "there").unlink(),
        lambda folder: (folder / "new").symlink_to("there"),
        lambda folder: subprocess.run([sys.executable, "-c", ""], check=True),
    ],
)
def test_what_writes_or_runs_is_noticed(tmp_path: Path, write):
    (tmp_path / "there").write_bytes(b"")
    with pytest.raises(AssertionError), nothing_written():
        write(tmp_path)


def test_a_documented_error_is_an_answer():
    with only_documented():
        raise Refused("bundle.signature", "bundle: does not verify (got x, expected y)", fix="sign it again")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a defect"),
        Refused("bundle.surprise", "bundle: x (got x, expected y)", fix="sign it again"),
        Refused("bundle.signature", "bundle: x (got x, expected y)", fix=""),
    ],
)
def test_a_defect_an_undocumented_code_and_an_error_without_a_fix_are_none(error):
    with pytest.raises((ValueError, AssertionError)), only_documented():
        raise error
