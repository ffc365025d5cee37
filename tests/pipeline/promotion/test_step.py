"""The ``promote`` session, with the clone's own embedded instance."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from pipeline.model.context import Context
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.outcome import Status
from pipeline.promotion import opening, step
from pipeline.settings import load
from pipeline.signing.opening import open_signer
from pipeline.steps.job import Job
from tests.support import release
from tests.support.signing import world
from tests.support.stored import Stored


@pytest.fixture
def job(tmp_path, root, monkeypatch):
    (tmp_path / "policies").symlink_to(root / "policies")
    context = validate(Context, release.context(), what="context")
    # The machine that runs the tests may have an ambient identity; these promotions are a clone's.
    monkeypatch.setattr(opening, "open_signer", partial(open_signer, detect=lambda: None))
    return Job(root=tmp_path, settings=load(root), source=context.source, now=datetime.now(UTC))


@pytest.fixture
def stored(job, root):
    """A release attested by the instance in the job's state folder, which does not run any more."""
    with world(job.state / "sigstore") as clone:
        made = Stored.make(job.root, clone, root, state=job.state)
        made.attest(release.predicates())
    return made


def options(job, *words):
    return replace(job, options=words)


def test_the_first_environment_is_the_default_and_again_changes_nothing(job, stored):
    digest = str(stored.image.digest)
    first = step.run(options(job, "development", digest))
    assert (first.status, first.finding) == (Status.PASSED, f"development: promoted 1.0 ({digest}), entry 1")
    written = (job.state / "ledger" / "development.jsonl").read_bytes()
    again = step.run(options(job, "development", digest))
    assert again.finding == f"development: 1.0 ({digest}) is there already"
    assert (job.state / "ledger" / "development.jsonl").read_bytes() == written


def test_a_skipped_environment_is_refused(job, stored):
    with pytest.raises(Refused) as error:
        step.run(options(job, "staging", str(stored.image.digest)))
    assert error.value.code == "promotion.skipped"


def test_an_unknown_environment_cannot_be_promoted_to(job, stored):
    with pytest.raises(CannotEvaluate) as error:
        step.run(options(job, "moon", str(stored.image.digest)))
    assert error.value.code == "policy.environment"


def test_too_many_words_are_a_misuse(job):
    with pytest.raises(Misuse) as error:
        step.run(options(job, "development", "v1", "v2"))
    assert error.value.code == "promotion.arguments"
