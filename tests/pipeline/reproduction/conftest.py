"""A small repository whose image was built and attested, and one second build of it for all tests."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest

from pipeline.model.kinds import Kind
from pipeline.model.outcome import Outcome
from pipeline.model.predicates import EvidenceList
from pipeline.reproduction.rebuilding import Rebuilt, build_again
from pipeline.reproduction.step import BuildAgain, reproduce
from pipeline.reproduction.target import Target
from pipeline.signing.signer import Signer
from pipeline.steps import attest, image
from pipeline.steps.attached import Own, read_own
from pipeline.steps.evidence_list import newest_list
from pipeline.steps.job import Job
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attached_bundles
from tests.support.composing import Site, site
from tests.support.evidence import write_record
from tests.support.repositories import commit_all
from tests.support.signing import World
from tests.support.signing import rekor_v1 as rekor_v1  # noqa: PLC0414

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere"}


def attest_image(job: Job, signer: Signer) -> None:
    """The image step, its record, and what of it attest signs."""
    outcome = image.run(job)
    write_record(job, "image", *outcome.evidence, data=outcome.data)
    attest.attest(job, OciLayout(job.state / "store"), signer)


@dataclass
class Built:
    """A clone with an attested image. ``build`` is what builds it a second time."""

    site: Site
    world: World
    build: BuildAgain
    known: str = ""
    """The image's digest where the clone itself does not know it."""

    @cached_property
    def job(self) -> Job:
        return dataclasses.replace(self.site.job, now=datetime.now(UTC))

    def reread(self) -> None:
        """The work tree was changed."""
        del self.job

    @property
    def store(self) -> OciLayout:
        return OciLayout(self.job.state / "store")

    @property
    def digest(self) -> str:
        if self.known:
            return self.known
        record = self.job.read_record("image")
        assert record is not None
        return str(record.outcome.data["digest"])

    def reproduce(self, *options: str, build: BuildAgain | None = None, **claims: str) -> Outcome:
        """The step, signed by the clone's developer or whom ``claims`` name."""
        job = dataclasses.replace(self.job, options=options)
        return reproduce(job, lambda: contextlib.nullcontext(self.world.signer(**claims)), build or self.build)

    def newest(self, **claims: str) -> tuple[Own, EvidenceList]:
        """That signer's newest list."""
        found = newest_list(self.own(Kind.EVIDENCE_LIST, **claims))
        assert found is not None
        return found

    def own(self, kind: Kind, **claims: str) -> list[Own]:
        """What that signer has attached of ``kind``."""
        image = self.store.resolve(self.digest).digest
        found = read_own(attached_bundles(self.store, image), image, self.world.signer(**claims))
        return [one for one in found if one.kind is kind]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, rekor_v1: World, root: Path) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("reproduction")) as made:
        shutil.copytree(root / "policies", made.root / "policies")
        commit_all(made.root)
        (made.root / ".gatehouse" / "sigstore").mkdir(parents=True)
        (made.root / ".gatehouse" / "sigstore" / "trusted_root.json").write_bytes(rekor_v1.trusted_root)
        attest_image(made.job, rekor_v1.signer())
        yield made


@pytest.fixture(scope="session")
def second_build() -> BuildAgain:
    """The real one, done once: another process that composes the clean checkout."""
    kept: dict[str, Rebuilt] = {}

    def build(job: Job, target: Target, folder: Path) -> Rebuilt:
        tree = target.provenance.context.source.tree
        if tree not in kept:
            kept[tree] = build_again(job, target, folder, environment=NO_ENGINE)
        return kept[tree]

    return build


@pytest.fixture
def built(prepared: Site, tmp_path: Path, rekor_v1: World, second_build: BuildAgain) -> Built:
    """A copy of the prepared clone, to be changed."""
    shutil.copytree(prepared.root, tmp_path / "clone", symlinks=True)
    return Built(dataclasses.replace(prepared, root=tmp_path / "clone"), rekor_v1, second_build)
