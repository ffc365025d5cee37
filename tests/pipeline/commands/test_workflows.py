"""``workflows PATH`` over a folder that is no clone."""

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands import edge

BAD = """\
on: [push]
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: pip install thing
"""


def test_a_folder_that_is_no_clone_is_checked_and_its_breaches_are_told(
    tmp_path: Path, checks_python: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").write_text(BAD)
    assert main(["workflows", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "workflows.unpinned-install: .github/workflows/ci.yml: a, step 1: 'pip install thing'" in printed.err
    assert "workflows.timeout: .github/workflows/ci.yml: a: no timeout-minutes" in printed.err
    assert printed.out.startswith("workflows: 1 files, ")


def test_a_folder_without_workflows_is_refused(tmp_path: Path, checks_python: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["workflows", str(tmp_path)]) == 1
    assert "workflows.none: .github/workflows: no workflow" in capsys.readouterr().err


def test_what_steers_a_terminal_is_not_printed(capsys: pytest.CaptureFixture[str]):
    edge.say("a\x1b[31mname\u202e\nfix")
    assert capsys.readouterr().err == "a?[31mname?\nfix\n"
