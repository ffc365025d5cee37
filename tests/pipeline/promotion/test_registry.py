"""Promotion between two repositories of a real registry."""

from functools import cache

import pytest
import requests

from pipeline.model.errors import Refused
from pipeline.promotion.rolling_back import roll_back
from pipeline.store.referrers import attached_bundles
from pipeline.store.registry import Registry
from pipeline.store.transfer import copy
from tests.support.promotions import HERE
from tests.support.registries import docker_registry

pytestmark = pytest.mark.registry


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def moved(ran, host, request):
    """What waits is in one repository of the registry, what runs in development's own."""
    name = request.node.name.replace("_", "-")

    @cache
    def repository(environment):
        return Registry(f"{host}/{name}/{environment}", locks=ran.state / "locks")

    for version in ("1.2", "1.3"):
        copy(ran.store, ran.descriptor(version), repository("built"))
    copy(ran.store, ran.descriptor("1.1"), repository(HERE), tag=HERE)
    return ran, repository


def tagged(repository):
    host, _, name = repository.address.partition("/")
    found = requests.head(
        f"http://{host}/v2/{name}/manifests/{HERE}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        timeout=5,
    )
    return found.headers["Docker-Content-Digest"]


def test_image_evidence_verdict_and_entry_are_in_the_environments_repository(moved):
    ran, repository = moved
    done = ran.promote("1.2", store=repository("built"), repository=repository)
    assert done.written
    assert tagged(repository(HERE)) == ran.images["1.2"]
    image = ran.digest("1.2")
    there = {one.digest for one in repository(HERE).referrers(image)}
    assert there == {one.digest for one in repository("built").referrers(image)}
    attached = {one.digest.hex for one in attached_bundles(repository(HERE), image)}
    assert {done.entry.digest, done.entry.predicate.verdict} <= attached
    assert f"newName: {repository(HERE).address}\n".encode() in ran.files()[f"overlays/{HERE}/kustomization.yaml"]
    assert not ran.promote("1.2", store=repository("built"), repository=repository).written


def test_a_tag_that_was_moved_in_the_registry_is_refused(moved):
    """Attack 37."""
    ran, repository = moved
    copy(repository("built"), ran.descriptor("1.3"), repository(HERE), tag=HERE)
    with pytest.raises(Refused, match="the tag development is not what was promoted"):
        ran.promote("1.2", store=repository("built"), repository=repository)
    assert ran.ran() == ["1.0", "1.1"]


def test_back_to_an_image_that_only_the_environments_repository_still_has(moved):
    ran, repository = moved
    ran.promote("1.2", store=repository("built"), repository=repository)
    gate = ran.gate(store=repository("pruned"), repository=repository)
    done = roll_back(gate, ran.digest("1.1"), HERE, lambda *_: [], [ran.grant(version="1.1")])
    assert done.written
    assert tagged(repository(HERE)) == ran.images["1.1"]


def test_a_ledger_that_lacks_what_the_registry_knows_is_refused(moved, tmp_path):
    """Attack: a machine without memory is given yesterday's ledger."""
    ran, repository = moved
    yesterday = ran.files()
    ran.promote("1.2", store=repository("built"), repository=repository)
    for name, content in yesterday.items():
        (ran.state / "ledger" / name).write_bytes(content)
    (ran.state / "memory.json").unlink()
    with pytest.raises(Refused) as error:
        ran.promote("1.3", store=repository("built"), repository=repository)
    assert error.value.code == "ledger.older-than-known"
