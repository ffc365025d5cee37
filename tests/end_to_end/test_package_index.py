"""Where an index, or the way to it, is not as it should be: the bootstrap's pip, and uv for all other environments."""

import hashlib
import os

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.running import environments
from tests.support.package_index import make_wheel, package_index
from tests.support.private_ca import private_ca

THING = ("thing", "1.0")


def lock_of(sha256: str, version: str = "1.0") -> str:
    return f"thing=={version} --hash=sha256:{sha256}\n"


@pytest.fixture
def lock():
    """A lock of the one wheel, with its right hash."""
    return lock_of(hashlib.sha256(make_wheel(*THING)).hexdigest())


@pytest.fixture
def clone(tmp_path, monkeypatch, tools):
    """A folder whose bootstrap is the one that is here; nothing of this user's configuration counts."""
    if "bootstrap" not in tools:
        pytest.skip("environment bootstrap is not made: run scripts/test")
    root = tmp_path / "clone"
    (root / "requirements").mkdir(parents=True)
    (root / "requirements" / "bootstrap.txt").write_text("uv\n")
    bootstrap = environments.locate(root, "bootstrap").folder
    bootstrap.parent.mkdir(parents=True)
    bootstrap.symlink_to(tools["bootstrap"].parent.parent)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_", "REQUESTS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return root


#: uv makes environment ``test``; pip makes the bootstrap, which takes seconds.
WAYS = [pytest.param("test", id="uv"), pytest.param("bootstrap", id="pip", marks=pytest.mark.network)]


def make(root, name, lock, url, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", url)
    (root / "requirements" / f"{name}.txt").write_text(lock)
    return environments.ensure(root, name, lambda line: None)


def refusal(root, name, lock, url, monkeypatch):
    with pytest.raises(CannotEvaluate) as refused:
        make(root, name, lock, url, monkeypatch)
    assert not environments.locate(root, name).folder.exists(), "something half-made was left"
    assert str(refused.value).count("\n") == 1
    return refused.value


def test_what_the_index_serves_is_installed(clone, lock, monkeypatch):
    with package_index(THING) as index:
        made = make(clone, "test", lock, index.url, monkeypatch)
    assert list(made.folder.glob("lib/python*/site-packages/thing-1.0.dist-info"))


@pytest.mark.parametrize("name", WAYS)
def test_other_bytes_than_the_lock_names_are_refused(clone, name, monkeypatch):
    with package_index(THING) as index:
        error = refusal(clone, name, lock_of("0" * 64), index.url, monkeypatch)
    assert error.code == "environment.hash-mismatch"
    assert "reader:sesame" not in str(error)


def test_a_version_that_the_index_does_not_have_is_named(clone, monkeypatch):
    with package_index(THING) as index:
        error = refusal(clone, "test", lock_of("0" * 64, "2.0"), index.url, monkeypatch)
    assert error.code == "environment.package-missing"
    assert "thing==2.0" in error.message


@pytest.mark.parametrize("name", WAYS)
def test_a_package_that_the_index_does_not_have_is_named(clone, name, lock, monkeypatch):
    with package_index(("other", "1.0")) as index:
        error = refusal(clone, name, lock, index.url, monkeypatch)
    assert error.code == "environment.package-missing"
    assert "thing" in error.message


@pytest.mark.parametrize("name", WAYS)
def test_an_index_that_is_not_there_is_unreachable(clone, name, lock, monkeypatch):
    with package_index(THING) as index:
        url = index.url
    assert refusal(clone, name, lock, url, monkeypatch).code == "environment.unreachable"


@pytest.mark.parametrize("name", WAYS)
def test_a_private_root_certificate_in_the_systems_store_is_honoured(clone, tmp_path, name, lock, monkeypatch):
    bundle, tls = private_ca(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with package_index(THING, tls=tls) as index:
        assert make(clone, name, lock, index.url, monkeypatch).ready()


@pytest.mark.parametrize("name", WAYS)
def test_a_root_certificate_that_nobody_knows_is_said(clone, tmp_path, name, lock, monkeypatch):
    _, tls = private_ca(tmp_path)
    with package_index(THING, tls=tls) as index:
        assert refusal(clone, name, lock, index.url, monkeypatch).code == "environment.certificate"
