"""One changed byte anywhere in a foreign file: either nothing of it shows, or it is refused with a code."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.image.archive import Archive, PlatformImage, write_archive
from pipeline.image.debs import read_deb
from pipeline.image.layer import file, link, pack
from pipeline.image.wheel_files import read_wheel
from pipeline.model.errors import GatehouseError
from tests.support.debian import make_deb
from tests.support.wheelhouse import NAME, make_wheel

TREE = {"usr/a": file(b"content" * 20), "b": link("usr/a")}

positions = st.integers(0, 1_000_000)
changes = st.integers(1, 255)


def damaged(content: bytes, position: int, change: int) -> bytes:
    index = position % len(content)
    return content[:index] + bytes([content[index] ^ change]) + content[index + 1 :]


def attempt(call, *arguments, **named):
    """What ``call`` gives, or the code that it refuses with."""
    try:
        return call(*arguments, **named), ""
    except GatehouseError as error:
        return None, error.code


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    layer = pack(TREE, time=1)
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"diff_ids": [layer.diff_id]}}
    path: Path = tmp_path_factory.mktemp("archive") / "image.tar"
    write_archive(path, [PlatformImage("linux/amd64", config, [layer])], name="a", tag="b")
    return path


@given(positions, changes)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_image_archive(archive, tmp_path, position, change):
    path = tmp_path / "image.tar"
    path.write_bytes(damaged(archive.read_bytes(), position, change))
    expected = Archive(archive)
    found, code = attempt(lambda: (Archive(path).digest, Archive(path).tree("linux/amd64")))
    assert code.startswith(("archive.", "document.")) or found == (expected.digest, expected.tree("linux/amd64"))


@given(positions, changes)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_wheel(tmp_path, position, change):
    whole = make_wheel(tmp_path, {"thing/__init__.py": b"x = 1\n", "thing/data.txt": b"data"})
    expected = read_wheel(whole)
    folder = tmp_path / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / NAME
    path.write_bytes(damaged(whole.read_bytes(), position, change))
    found, code = attempt(read_wheel, path)
    # The hash of the whole file is checked before; what RECORD covers is checked here.
    assert code.startswith("wheel.") or contents(found) == contents(expected)


def contents(wheel):
    return {name: entry.content for name, entry in wheel.files.items()}


@given(positions, changes)
def test_a_debian_package(position, change):
    content = damaged(make_deb("libx", TREE), position, change)
    found, code = attempt(read_deb, content, what="libx")
    names = [] if found is None else list(found.files)
    assert code in {"base.package", ""}
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in names)
