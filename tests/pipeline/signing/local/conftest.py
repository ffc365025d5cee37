import datetime as dt

import pytest

from pipeline.signing.local.keys import Keys, load_or_create


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return load_or_create(tmp_path_factory.mktemp("keys"), dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
