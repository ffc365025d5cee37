"""A stored release, signed for real, and the shipped policy."""

import pytest

from pipeline.gate.policy import Policy, load_policy
from tests.support.signing import rekor_v1  # noqa: F401 - a fixture
from tests.support.stored import Stored


@pytest.fixture
def stored(tmp_path, rekor_v1, root) -> Stored:  # noqa: F811 - the fixture above
    return Stored.make(tmp_path, rekor_v1, root)


@pytest.fixture(scope="session")
def policy(root) -> Policy:
    return load_policy(root / "policies")
