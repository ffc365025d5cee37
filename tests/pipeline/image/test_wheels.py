import hashlib

import pytest

from pipeline.hash_locks import Locked
from pipeline.image.wheels import fetch_wheels, for_image
from pipeline.model.errors import CannotEvaluate, Refused
from tests.support.supplies import simple_index
from tests.support.wheelhouse import NAME, make_pip, make_wheel


@pytest.fixture
def house(tmp_path):
    """A folder of wheels that stands for the index."""
    folder = tmp_path / "house"
    folder.mkdir()
    return folder


@pytest.fixture
def pip(tmp_path, house):
    """A program that downloads from ``house``; its text may be replaced."""
    return make_pip(tmp_path, house)


@pytest.fixture
def fetch(tmp_path, pip):
    def run(*locked, architecture="amd64"):
        return fetch_wheels(
            locked,
            architecture=architecture,
            python="3.13",
            cache=tmp_path / "cache",
            pip=pip,
            pip_environment={},
            say=lambda _: None,
        )

    return run


def locked(path, *, marker=None):
    return Locked("thing", "1.0", frozenset({hashlib.sha256(path.read_bytes()).hexdigest()}), marker)


def fail(pip, stderr):
    pip.write_text(f"#!/bin/sh\nprintf '%s\\n' \"{stderr}\" >&2\nexit 1\n")


def test_only_the_requirements_of_the_image_count():
    both = [Locked("a", "1", frozenset(), 'sys_platform == "win32"'), Locked("b", "1", frozenset(), None)]
    arm = Locked("c", "1", frozenset(), 'platform_machine == "aarch64" and python_version >= "3.13"')
    assert [item.name for item in for_image([*both, arm], architecture="amd64", python="3.13")] == ["b"]
    assert [item.name for item in for_image([*both, arm], architecture="arm64", python="3.13")] == ["b", "c"]


def test_a_locked_wheel_is_fetched_once_and_kept_by_its_hash(house, fetch, tmp_path):
    item = locked(make_wheel(house, {"thing/__init__.py": b""}))
    for _ in range(2):
        ((wheel, path),) = fetch(item).items()
        assert (wheel.name, wheel.version, wheel.filename) == ("thing", "1.0", NAME)
        assert path == tmp_path / "cache" / wheel.sha256 / NAME
    assert (tmp_path / "log").read_text().count("download") == 1


def test_pip_may_neither_build_nor_resolve_nor_take_another_hash(house, fetch, tmp_path):
    item = locked(make_wheel(house, {}))
    fetch(item, architecture="arm64")
    asked = (tmp_path / "log").read_text()
    for word in ("--no-deps", "--require-hashes", "--only-binary=:all:", "--platform manylinux_2_36_aarch64"):
        assert word in asked
    assert f"thing==1.0 --hash=sha256:{next(iter(item.hashes))}\n" in asked


def test_a_wheel_that_changed_in_the_cache_is_fetched_again(house, fetch, tmp_path):
    item = locked(make_wheel(house, {}))
    ((_, path),) = fetch(item).items()
    path.write_bytes(b"other")
    ((_, path),) = fetch(item).items()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in item.hashes
    assert (tmp_path / "log").read_text().count("download") == 2


def test_a_wheel_with_another_hash_is_refused_whatever_pip_says(house, fetch):
    make_wheel(house, {})
    with pytest.raises(Refused) as refused:
        fetch(Locked("thing", "1.0", frozenset({"a" * 64}), None))
    assert refused.value.code == "wheels.wrong-hash"
    assert NAME in refused.value.message


def test_a_wheel_that_is_not_locked_is_refused(house, fetch):
    item = locked(make_wheel(house, {}))
    make_wheel(house, {}, name="other-1.0-py3-none-any.whl", info="other-1.0.dist-info")
    with pytest.raises(Refused) as refused:
        fetch(item)
    assert refused.value.code == "wheels.wrong-hash"


def test_pips_own_complaint_about_hashes_is_a_refusal(house, fetch, pip):
    item = locked(make_wheel(house, {}))
    fail(pip, "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE")
    with pytest.raises(Refused) as refused:
        fetch(item)
    assert refused.value.code == "wheels.wrong-hash"


def test_a_package_without_a_wheel_cannot_be_used(house, fetch, pip):
    item = locked(make_wheel(house, {}))
    fail(pip, "ERROR: No matching distribution found for thing==1.0")
    with pytest.raises(CannotEvaluate) as refused:
        fetch(item)
    assert refused.value.code == "wheels.not-fetched"
    assert "got No matching distribution found for thing==1.0" in refused.value.message
    assert "nothing is built from source" in refused.value.fix


def test_a_locked_source_distribution_is_refused_by_name(checks_python, tmp_path):
    """With pip itself: what it says of links that it passes over is what the refusal is read from."""
    sdist = b"a source distribution"
    locked_sdist = Locked("core", "2.1", frozenset({hashlib.sha256(sdist).hexdigest()}), None)
    index = simple_index(("core-2.1.tar.gz", sdist), ("core-1.0.tar.gz", b"older"))
    with index as address, pytest.raises(Refused) as refused:
        fetch_wheels(
            [locked_sdist],
            architecture="amd64",
            python="3.13",
            cache=tmp_path / "cache",
            pip=checks_python,
            pip_environment={"PIP_INDEX_URL": address},
            say=lambda _: None,
        )
    assert refused.value.code == "wheels.sdist"
    assert "(got core-2.1.tar.gz, a source distribution, expected a wheel" in refused.value.message


def test_a_source_distribution_of_another_release_is_not_named(house, fetch, pip):
    item = locked(make_wheel(house, {}))
    says = "Skipping link: No sources permitted for thing: https://index.example/thing-0.9.tar.gz#sha256=00"
    pip.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\nprintf 'ERROR: none\\n' >&2\nexit 1\n")
    with pytest.raises(CannotEvaluate) as refused:
        fetch(item)
    assert refused.value.code == "wheels.not-fetched"


def test_an_sdist_is_refused_even_if_it_arrives(house, fetch):
    item = locked(make_wheel(house, {}))
    (house / "thing-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(CannotEvaluate) as refused:
        fetch(item)
    assert "thing-1.0.tar.gz, which is no wheel" in refused.value.message


def test_a_password_in_pips_words_is_not_repeated(house, fetch, pip):
    item = locked(make_wheel(house, {}))
    fail(pip, "ERROR: cannot reach https://user:hidden@index.example/simple")
    with pytest.raises(CannotEvaluate) as refused:
        fetch(item)
    assert "hidden" not in str(refused.value)
