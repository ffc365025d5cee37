import platform
import sys
from pathlib import Path

import pytest

from pipeline.debian import base_lock
from pipeline.image import bytecode
from pipeline.image.archive import gunzip, read_tree
from pipeline.image.base_layer import TUPLES
from pipeline.image.bytecode import compile_sources, host_architecture
from pipeline.image.layer import file
from pipeline.image.lower_layers import LowerLayers, Workshop
from pipeline.image.soundness import flaws, resolve
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.settings import load


def test_the_hosts_architecture_has_debians_name(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert host_architecture() == "arm64"


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "x86_64"), ("Linux", "riscv64")])
def test_elsewhere_one_line_says_to_use_a_container(monkeypatch, system, machine):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(Misuse) as refused:
        host_architecture()
    assert refused.value.code == "image.host"
    assert "container" in refused.value.fix


def test_without_sources_nothing_is_run():
    assert compile_sources({"a.txt": file(b"")}, {}, python="3.13") == {}


def stand_in(script):
    """A base whose loader is a script of the test's."""
    return {f"usr/lib/{TUPLES[host_architecture()]}/ld-linux.so.2": file(script.encode(), executable=True)}


def test_a_python_that_fails_is_told():
    with pytest.raises(CannotEvaluate) as refused:
        compile_sources({"a.py": file(b"")}, stand_in("#!/bin/sh\necho broken >&2\nexit 3\n"), python="3.13")
    assert refused.value.code == "image.bytecode"
    assert "got exit code 3: broken" in refused.value.message


@pytest.fixture(scope="session")
def real_base(root, tmp_path_factory):
    """The repository's own base for this machine, from the machine's mirror."""
    if platform.machine() not in bytecode._MACHINES:
        pytest.skip("this machine is neither amd64 nor arm64")
    cache = root / ".gatehouse" / "cache"
    shop = Workshop(
        root=root, cache=cache if cache.is_dir() else tmp_path_factory.mktemp("cache"), pip=Path(sys.executable)
    )
    try:
        packed = LowerLayers(shop, load(root).base, base_lock.load(root), host_architecture()).base()
    except (Misuse, CannotEvaluate) as error:
        if error.code not in {"base.no-mirror", "download.unreachable"}:
            raise
        pytest.skip(error.message)
    return read_tree(gunzip(packed.content))


@pytest.mark.network
class TestTheRealBase:
    def test_it_has_no_flaws(self, real_base):
        assert flaws(real_base) == []

    def test_every_package_has_its_licence(self, real_base):
        status = "var/lib/dpkg/status.d/"
        packages = [path.removeprefix(status) for path in real_base if path.startswith(status)]
        names = [name for name in packages if not name.endswith(".md5sums")]
        assert len(names) > 20
        assert [name for name in names if not resolve(real_base, f"usr/share/doc/{name}/copyright")] == []

    def test_its_size_is_small(self, real_base):
        code = sum(len(entry.content) for path, entry in real_base.items() if path.endswith(".pyc"))
        assert sum(len(entry.content) for entry in real_base.values()) - code <= 40_000_000

    def test_its_standard_library_is_compiled(self, real_base):
        assert "usr/lib/python3.13/json/__pycache__/__init__.cpython-313.pyc" in real_base

    def test_code_depends_on_its_source_alone(self, real_base):
        sources = {path: e for path, e in real_base.items() if path.endswith(".py") and "/json/" in path}
        compiled = compile_sources(sources, real_base, python="3.13")
        assert len(compiled) == len(sources)
        assert all(real_base[path] == entry for path, entry in compiled.items())

    def test_code_is_unchecked_and_names_the_images_path(self, real_base):
        ((path, entry),) = compile_sources({"app/x.py": file(b"x = 1\n")}, real_base, python="3.13").items()
        assert path == "app/__pycache__/x.cpython-313.pyc"
        assert int.from_bytes(entry.content[4:8], "little") == 0b01
        assert b"/app/x.py" in entry.content

    def test_a_file_that_is_no_python_has_no_code(self, real_base):
        assert compile_sources({"app/x.py": file(b"print 'old'\n")}, real_base, python="3.13") == {}
