"""Policy files as anybody may write them: loaded or refused, and what was loaded can judge."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.evidence import Memory
from pipeline.gate.judging import judge
from pipeline.gate.policy import load_policy
from pipeline.steps.accepted import FILE, load_accepted
from tests.support import release
from tests.support.fuzzing import fuzzed, nothing_written, only_documented, overwritten, retold

GOOD = list(release.pieces().values())


@pytest.fixture(scope="module")
def folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("clone") / "policies"
    shutil.copytree(root / "policies", copy)
    return copy


def _judged_by(folder: Path) -> None:
    with only_documented(), nothing_written():
        policy = load_policy(folder)
        for environment in policy.environments:
            judge(release.IMAGE, GOOD, policy, environment.name, release.NOW, Memory())


@pytest.mark.parametrize("name", ["environments.toml", "rules.toml", "exceptions.toml"])
@fuzzed
@given(data=st.data())
def test_a_policy_file_with_other_lines_and_values(folder, root, name, data):
    good = (root / "policies" / name).read_text()
    (folder / name).write_text(data.draw(retold(good)))
    try:
        _judged_by(folder)
    finally:
        (folder / name).write_text(good)


@pytest.mark.parametrize("name", ["environments.toml", "rules.toml", "exceptions.toml"])
@fuzzed
@given(data=st.data())
def test_a_policy_file_with_other_bytes(folder, root, name, data):
    good = (root / "policies" / name).read_bytes()
    (folder / name).write_bytes(data.draw(overwritten(good)))
    try:
        _judged_by(folder)
    finally:
        (folder / name).write_bytes(good)


@fuzzed
@given(data=st.data())
def test_accepted_findings_with_other_lines_and_values(folder, root, data):
    (folder.parent / FILE).write_text(data.draw(retold((root / FILE).read_text())))
    with only_documented(), nothing_written():
        load_accepted(folder.parent)
