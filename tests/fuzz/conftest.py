"""One signed release, its policy and roots, made once: every test changes a copy of some part of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.gate.gathering import load_roots
from pipeline.gate.policy import Policy, load_policy
from tests.support import release
from tests.support.signing import rekor_v1, rekor_v2  # noqa: F401 - fixtures
from tests.support.stored import Stored


@pytest.fixture(scope="session")
def policy(root: Path) -> Policy:
    return replace(load_policy(root / "policies"), repository="acme/app")


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, rekor_v1, root: Path) -> Stored:  # noqa: F811
    """An image with two bundles and their list: reading it again and again has to be quick."""
    made = Stored.make(tmp_path_factory.mktemp("stored"), rekor_v1, root)
    predicates = release.predicates()
    made.attest({name: predicates[name] for name in ("signature", "tests")})
    return made


@pytest.fixture(scope="session")
def roots(stored: Stored):
    return load_roots(stored.state, stored.policies)
