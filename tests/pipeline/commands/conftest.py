"""An environment that has run two releases."""

from tests.pipeline.promotion.conftest import policy, ran, two_releases  # noqa: F401 - fixtures
from tests.support.signing import rekor_v1  # noqa: F401 - a fixture
