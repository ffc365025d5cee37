import hashlib

import pytest

from pipeline.debian import base_lock
from pipeline.image.archive import gunzip, read_tree
from pipeline.image.lower_layers import LowerLayers, Workshop
from pipeline.image.wheels import Wheel
from pipeline.model.errors import CannotEvaluate, Refused
from tests.support.composing import site
from tests.support.wheelhouse import make_wheel


@pytest.fixture
def layers(tmp_path):
    with site(tmp_path) as made:
        shop = Workshop(root=made.root, cache=tmp_path / "cache", pip=made.pip)
        yield LowerLayers(shop, made.settings.base, base_lock.load(made.root), "amd64")


def wheel(folder, files, name="thing"):
    folder.mkdir(exist_ok=True)
    path = make_wheel(folder, files, name=f"{name}-1.0-py3-none-any.whl", info=f"{name}-1.0.dist-info")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(name=name, version="1.0", filename=path.name, sha256=digest, size=path.stat().st_size), path


def tree(packed):
    return read_tree(gunzip(packed.content))


def test_dependencies_lie_where_debians_python_looks(layers, tmp_path):
    found = tree(layers.dependencies(dict([wheel(tmp_path / "w", {"thing/a.txt": b"a"})])))
    assert "usr/local/lib/python3.13/dist-packages/thing/a.txt" in found


def test_no_dependencies_are_a_layer_too(layers):
    assert tree(layers.dependencies({})) == {}


def test_other_wheels_are_another_layer(layers, tmp_path):
    one = layers.dependencies(dict([wheel(tmp_path / "w", {"a.txt": b"a"})]))
    assert layers.dependencies(dict([wheel(tmp_path / "w", {"a.txt": b"b"})])) != one


def test_two_wheels_with_one_file_are_refused(layers, tmp_path):
    both = dict([wheel(tmp_path / "w", {"x.txt": b"1"}), wheel(tmp_path / "w", {"x.txt": b"2"}, "other")])
    with pytest.raises(Refused) as refused:
        layers.dependencies(both)
    assert refused.value.code == "wheel.overlap"
    assert "/x.txt: in two wheels" in refused.value.message


def test_two_wheels_may_bring_the_same_content(layers, tmp_path):
    both = dict([wheel(tmp_path / "w", {"x.txt": b"1"}), wheel(tmp_path / "w", {"x.txt": b"1"}, "other")])
    assert "usr/local/lib/python3.13/dist-packages/x.txt" in tree(layers.dependencies(both))


def test_a_base_whose_python_does_not_run_compiles_nothing_and_says_so(layers, tmp_path):
    with pytest.raises(CannotEvaluate) as refused:
        layers.dependencies(dict([wheel(tmp_path / "w", {"thing/a.py": b"a = 1\n"})]))
    assert refused.value.code == "image.bytecode"
    assert "got no ld-linux in the base" in refused.value.message


def test_without_byte_code_there_are_only_the_sources(tmp_path):
    with site(tmp_path) as made:
        shop = Workshop(root=made.root, cache=tmp_path / "cache", pip=made.pip)
        lock = base_lock.load(made.root)
        plain = LowerLayers(shop, made.settings.base, lock, "amd64", byte_code=False)
        found = tree(plain.dependencies(dict([wheel(tmp_path / "w", {"thing/a.py": b"a = 1\n"})])))
    assert [path for path in found if "/thing/" in path] == ["usr/local/lib/python3.13/dist-packages/thing/a.py"]
