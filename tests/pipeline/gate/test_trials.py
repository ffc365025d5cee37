"""The tests of the shipped policy, and what keeps a case from being one."""

from pathlib import Path

import pytest

from pipeline.gate.policy import Policy
from pipeline.gate.trials import Trial, load_trials


@pytest.fixture(scope="session")
def trials(root: Path, policy: Policy) -> list[Trial]:
    return load_trials(root / "policies", policy)


def test_every_case_of_the_shipped_policy_gets_its_verdict(trials, policy):
    assert {trial.name: said for trial in trials if (said := trial.problems(trial.judge(policy)))} == {}
