"""Both kinds of store, so that one specification holds for each."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.store.interface import Descriptor, Store
from pipeline.store.layout import OciLayout
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.support.bundles import unsigned_bundle
from tests.support.images import write_archive
from tests.support.registries import docker_registry

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def layout(tmp_path) -> OciLayout:
    return OciLayout(tmp_path / "store")


@pytest.fixture(params=["layout", pytest.param("registry", marks=pytest.mark.registry)])
def store(request, tmp_path) -> Store:
    if request.param == "layout":
        return OciLayout(tmp_path / "store")
    host = request.getfixturevalue("registry_host")
    return Registry(f"{host}/{tmp_path.name.replace('_', '-')}/app", locks=tmp_path / "locks")


@pytest.fixture
def archive(tmp_path) -> Path:
    path: Path = tmp_path / "image.tar"
    write_archive(path)
    return path


@pytest.fixture
def image(store, archive) -> Descriptor:
    return push_archive(archive, store, "1.0")


@pytest.fixture
def make_bundle():
    return unsigned_bundle
