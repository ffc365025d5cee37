"""The shipped policy, and a judge over it with everything but the evidence fixed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.gate.evidence import Evidence, ImageFacts, Memory
from pipeline.gate.judgement import Judgement
from pipeline.gate.judging import judge
from pipeline.gate.policy import Policy, load_policy
from tests.support import release
from tests.support.signing import rekor_v1, rekor_v2  # noqa: F401 - fixtures

Judge = Callable[..., Judgement]
NOTHING = Memory()


@pytest.fixture(scope="session")
def policy(root: Path) -> Policy:
    """What the repository ships, for a team whose repository is acme/app."""
    return replace(load_policy(root / "policies"), repository="acme/app")


@pytest.fixture
def judged(policy: Policy) -> Judge:
    def call(
        evidence: Mapping[str, Evidence],
        environment: str = "development",
        *,
        policy: Policy = policy,
        image: ImageFacts = release.IMAGE,
        now: datetime = release.NOW,
        memory: Memory = NOTHING,
    ) -> Judgement:
        return judge(image, list(evidence.values()), policy, environment, now, memory)

    return call
