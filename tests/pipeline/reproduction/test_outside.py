"""Against a real registry and a real engine: a clone that never built the image, and a builder that is not ours."""

import contextlib
import dataclasses

import pytest

from pipeline import processes
from pipeline.git import git
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.reproduction.rebuilding import build_again
from pipeline.reproduction.step import reproduce
from pipeline.steps import attest
from pipeline.steps.attached import read_own
from pipeline.store.opening import open_store
from pipeline.store.referrers import attached_bundles
from tests.support.engines import running_engine
from tests.support.registries import docker_registry

NAMED = """
[signer.builder]
type = "exact"
root = "builder"
issuer = "https://local.gatehouse.invalid"
identity = "https://local.gatehouse.invalid/developer"

"""


@pytest.fixture
def stranger(prepared, tmp_path):
    """A fresh clone of the same repository, which knows neither the image nor the keys that signed it."""
    assert git(tmp_path, "clone", "-q", str(prepared.root), str(tmp_path / "other")).exit_code == 0
    return dataclasses.replace(prepared, root=tmp_path / "other")


def trust(clone, root):
    """Name the first clone's root and developer in the second one's policy, as a person would."""
    (clone.root / "policies" / "trust" / "sigstore-builder.json").write_bytes(root)
    path = clone.root / "policies" / "environments.toml"
    text = path.read_text().replace("[signer.attest]", NAMED + "[signer.attest]", 1)
    text = text.replace('roots = ["local", "public"]', 'roots = ["local", "public", "builder"]', 1)
    path.write_text(text.replace('default = ["local", "attest"]', 'default = ["local", "attest", "builder"]', 1))


@pytest.mark.registry
def test_an_image_in_a_registry_is_reproduced_by_a_clone_that_never_built_it(
    built, stranger, rekor_v1, second_build, tmp_path
):
    with docker_registry(tmp_path / "registry") as host:
        repository = f"{host}/team/service"
        store = open_store(repository, built.job.state)
        attest.attest(built.job, store, rekor_v1.signer())
        unknowing = dataclasses.replace(stranger.job, options=(f"{repository}@{built.digest}",), now=built.job.now)
        with pytest.raises(CannotEvaluate, match=r"got \d+ bundles that do not verify here: ") as unknown:
            reproduce(unknowing, lambda: contextlib.nullcontext(rekor_v1.signer()), second_build)
        assert unknown.value.code == "reproduction.provenance"
        trust(stranger, rekor_v1.trusted_root)
        job = dataclasses.replace(stranger.job, options=(f"{repository}@{built.digest}",), now=built.job.now)
        assert job.read_record("image") is None
        mine = rekor_v1.signer(email="second@example.org", iss="https://accounts.example.org")
        outcome = reproduce(job, lambda: contextlib.nullcontext(mine), second_build)
        assert (outcome.status, outcome.data["digest"]) == (Status.PASSED, built.digest)
        image = store.resolve(built.digest).digest
        found = read_own(attached_bundles(store, image), image, mine)
        assert sorted(one.kind for one in found) == [Kind.EVIDENCE_LIST, Kind.REPRODUCTION]
        assert not (job.dist / "bundles").exists()


@pytest.mark.engine
def test_an_engine_builds_the_same_files_and_that_is_another_builder(built):
    running_engine()
    environment = processes.engine_addresses()
    outcome = built.reproduce(
        build=lambda job, target, folder: build_again(job, target, folder, environment=environment)
    )
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert outcome.data["second"].startswith(("engine docker ", "engine podman "))
    (signed,) = built.own(Kind.REPRODUCTION)
    measures = signed.statement.predicate["gatehouse_measures"]
    assert (measures["compared"], measures["independent_builder"]) == ("files", True)
    assert "shared: builder" not in [one["name"] for one in signed.statement.predicate["configuration"]]
