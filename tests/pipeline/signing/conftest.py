from tests.support.signing import rekor_v1, rekor_v2  # noqa: F401
