import pytest

from tests.support.signing import rekor_v1, rekor_v2  # noqa: F401


@pytest.fixture(autouse=True)
def _loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own plain requests; the pipeline's need no such help."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
