import os

import pytest

from pipeline.image import caches
from tests.support.composing import site


@pytest.fixture
def built(tmp_path):
    """A clone whose image was composed once, and its cache."""
    with site(tmp_path) as made:
        made.compose(tmp_path / "image.tar", tmp_path / "cache")
        yield made, tmp_path / "cache"


def files(cache):
    return {path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"}


def test_what_the_last_build_used_stays(built, tmp_path):
    site_, cache = built
    before = files(cache)
    for path in before:
        os.utime(path, (1, 1))
    site_.compose(tmp_path / "again.tar", cache)
    used = {path for path in before if path.stat().st_mtime > 1}
    # The debs are not needed once their layer is made.
    assert {path.parent.name for path in before - used} == {"debs"}
    assert caches.prune(cache, now=1 + caches.UNUSED_AFTER + 1) == len(before - used)
    assert files(cache) == used


def test_what_was_used_two_weeks_ago_stays(built):
    _, cache = built
    before = files(cache)
    newest = max(path.stat().st_mtime for path in before)
    assert caches.prune(cache, now=newest + caches.UNUSED_AFTER - 60) == 0
    assert files(cache) == before


def test_after_everything_went_the_image_is_the_same(built, tmp_path):
    site_, cache = built
    assert caches.prune(cache, now=max(path.stat().st_mtime for path in files(cache)) + caches.UNUSED_AFTER + 1) > 4
    assert files(cache) == set()
    site_.compose(tmp_path / "again.tar", cache)
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "image.tar").read_bytes()


def test_other_tools_caches_are_their_own(tmp_path):
    other = tmp_path / "mypy" / "old"
    other.parent.mkdir()
    other.write_text("")
    os.utime(other, (1, 1))
    assert caches.prune(tmp_path, now=1e10) == 0
