"""One clone for all tests of a run main job: its environments are made once."""

import pytest

from tests.support.main_job import Clone, clone_of


@pytest.fixture(scope="session")
def warm(root, tmp_path_factory) -> Clone:
    """A clone in an awkward path, where the main job has run once."""
    folder = tmp_path_factory.mktemp("end to end ü")
    clone = clone_of(root, folder / "a clone", folder / "home")
    ended = clone.run()
    assert ended.code == 0, ended.output
    return clone
