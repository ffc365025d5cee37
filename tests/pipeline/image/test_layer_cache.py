import ast
import os
from pathlib import Path

import pytest

from pipeline.image import layer_cache
from pipeline.image.layer import file
from pipeline.image.layer_cache import LayerCache


@pytest.fixture
def cache(tmp_path):
    return LayerCache(tmp_path)


class Maker:
    """Makes a layer, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"a": file(b"content")}


@pytest.fixture
def made():
    return Maker()


def test_a_layer_is_made_once(cache, made):
    key = cache.key({"base": "amd64"})
    assert cache.get_or_make(key, made, time=1) == cache.get_or_make(key, made, time=1) == cache.get(key)
    assert made.calls == 1


def test_other_ingredients_have_another_key(cache):
    assert cache.key({"base": "amd64", "time": 1}) != cache.key({"base": "amd64", "time": 2})


def test_changed_code_has_another_key(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(layer_cache, "code_digest", lambda: "sha256:other")
    assert LayerCache(tmp_path).key({}) != cache.key({})


def test_the_code_is_everything_that_the_composer_stands_on():
    reached, ahead = set(), {"composer"}
    while ahead:
        reached |= ahead
        trees = [ast.parse(Path(layer_cache.__file__).with_name(f"{name}.py").read_text()) for name in ahead]
        names = {n.module for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        ahead = {name.removeprefix("pipeline.image.") for name in names if name.startswith("pipeline.image.")} - reached
    assert reached == set(layer_cache.MAKERS)


def test_a_layer_that_is_used_is_not_an_old_one(cache, made, tmp_path):
    key = cache.key({})
    cache.get_or_make(key, made, time=1)
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    cache.get(key)
    assert all(path.stat().st_mtime > 1 for path in tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"other bytes"])
def test_a_damaged_layer_is_made_again(cache, made, tmp_path, damage):
    key = cache.key({})
    packed = cache.get_or_make(key, made, time=1)
    (tmp_path / packed.digest.removeprefix("sha256:")).write_bytes(damage)
    assert cache.get(key) is None
    assert cache.get_or_make(key, made, time=1) == packed


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"digest": "sha256:x", "diff_id": "y"}'])
def test_a_damaged_record_is_no_layer(cache, made, tmp_path, damage):
    key = cache.key({})
    cache.get_or_make(key, made, time=1)
    (tmp_path / f"{key}.json").write_bytes(damage)
    assert cache.get(key) is None
