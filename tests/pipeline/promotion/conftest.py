"""A stored release, signed for real, the shipped policy, and an environment that has run two releases."""

import pytest

from pipeline.gate.policy import Policy, load_policy
from tests.support.promotions import Ran, copied, run_two
from tests.support.signing import rekor_v1  # noqa: F401 - a fixture
from tests.support.stored import Stored


@pytest.fixture
def stored(tmp_path, rekor_v1, root) -> Stored:  # noqa: F811 - the fixture above
    return Stored.make(tmp_path, rekor_v1, root)


@pytest.fixture(scope="session")
def policy(root) -> Policy:
    return load_policy(root / "policies")


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory, rekor_v1, root, policy) -> Ran:  # noqa: F811
    return run_two(tmp_path_factory.mktemp("two-releases"), rekor_v1, root, policy)


@pytest.fixture
def ran(two_releases, tmp_path) -> Ran:
    """1.0 ran in development, and now 1.1 does; 1.2 and 1.3 wait. The test may do with it what it wants."""
    return copied(two_releases, tmp_path)
