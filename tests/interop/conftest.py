"""A release in Debian's docker-registry, and the outside programs that are to accept it or to refuse it."""

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.processes import Completed, run
from pipeline.steps.attached import Own, read_own
from pipeline.steps.attest import attest, push_image
from pipeline.store.interface import Descriptor
from pipeline.store.referrers import attached_bundles
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.support.evidence import make_job, write_records
from tests.support.images import write_archive
from tests.support.registries import docker_registry
from tests.support.signing import World, github, world

#: Where ``.ci/install-outside-verifiers`` put them.
OUTSIDE = Path(os.environ.get("GATEHOUSE_OUTSIDE", "/nowhere"))

Program = Callable[..., Completed]


@pytest.fixture
def program(tmp_path) -> Callable[[str], Program]:
    """Runs an outside program by its name, with an empty home."""

    def find(name: str) -> Program:
        path = shutil.which(name, path=f"{OUTSIDE / 'bin'}:{os.environ['PATH']}")
        if path is None:
            pytest.skip(f"{name} is not here: .ci/install-outside-verifiers installs it below $GATEHOUSE_OUTSIDE")

        def call(*arguments: str | Path) -> Completed:
            return run([path, *arguments], env={"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}, timeout=60)

        return call

    return find


@dataclass(frozen=True)
class Release:
    """An image with evidence of every kind that the main job makes, signed by a workflow on GitHub."""

    store: Registry
    image: Descriptor
    own: tuple[Own, ...]
    trusted_root: Path
    identity: str
    issuer: str

    @property
    def reference(self) -> str:
        return f"{self.store.address}@{self.image.digest}"

    def of_type(self, predicate_type: str) -> list[Own]:
        return [one for one in self.own if one.statement.predicate_type == predicate_type]


@pytest.fixture(scope="session")
def registry_host(tmp_path_factory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session", params=[1, 2], ids=["rekor-v1", "rekor-v2"])
def signing(request, tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("signing") / "sigstore", request.param) as running:
        yield running


@pytest.fixture(scope="session")
def release(registry_host, signing, tmp_path_factory) -> Release:
    folder = tmp_path_factory.mktemp("release")
    signer = signing.signer(**github())
    job = make_job(folder, now=datetime.now(UTC))
    image = write_records(job)
    store = Registry(f"{registry_host}/{folder.name}/app", locks=folder / "locks")
    attest(job, store, signer)
    return Release(
        store=store,
        image=store.resolve(str(image)),
        own=tuple(read_own(attached_bundles(store, image), image, signer)),
        trusted_root=job.dist / "trusted_root.json",
        identity=signer.identity,
        issuer=signer.issuer,
    )


@pytest.fixture
def elsewhere(release: Release, registry_host: str, tmp_path: Path) -> Release:
    """Another image, as yet without evidence, in a repository of its own."""
    write_archive(tmp_path / "other.tar", content=tmp_path.name.encode())
    store = Registry(f"{registry_host}/{tmp_path.name.replace('_', '-')}/other")
    return replace(release, store=store, image=push_archive(tmp_path / "other.tar", store, "1.0"), own=())


@pytest.fixture
def twin(release: Release, registry_host: str, tmp_path: Path) -> Release:
    """The same image in another repository, as yet without evidence."""
    store = Registry(f"{registry_host}/{tmp_path.name.replace('_', '-')}/twin")
    folder = release.trusted_root.parent.parent
    return replace(release, store=store, image=push_image(make_job(folder), store).image, own=())


def flipped(bundle: bytes) -> bytes:
    """The bundle with one character of its payload changed: still base64, still JSON, another name."""
    document = json.loads(bundle)
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    changed = payload.replace(b'"noticeboard', b'"Noticeboard', 1)
    assert changed != payload
    document["dsseEnvelope"]["payload"] = base64.b64encode(changed).decode()
    return json.dumps(document).encode()
