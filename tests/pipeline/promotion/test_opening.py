"""Where a promotion's ledger and repositories are, by settings and by who signs."""

import contextlib
from dataclasses import replace
from functools import partial

import pytest

from pipeline.model.context import Source
from pipeline.promotion import opening
from pipeline.promotion.git_ledger import GitLedger
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.opening import load_job_policy, open_gate, open_ledger_store
from pipeline.signing.opening import open_signer
from pipeline.steps.job import Job
from tests.support.evidence import SETTINGS
from tests.support.signing import World


@pytest.fixture
def job(tmp_path, root, monkeypatch):
    (tmp_path / "policies").symlink_to(root / "policies")
    monkeypatch.setattr(opening, "open_signer", partial(open_signer, detect=lambda: None))
    source = Source(uri="git+file:local", commit="f" * 40, tree="f" * 40, dirty=False, committed=0)
    return Job(root=tmp_path, settings=SETTINGS, source=source)


def with_promotion(job, **promotion):
    settings = job.settings
    changed = settings.model_copy(update={"promotion": settings.promotion.model_copy(update=promotion)})
    return replace(job, settings=changed)


class Ambient:
    instance = "ambient"


class Local:
    instance = "local"


def test_a_clone_keeps_its_own_ledger_and_opens_no_signer_for_that(job):
    assert isinstance(open_ledger_store(job, lambda: pytest.fail("nothing is to be signed")), LocalLedger)


@pytest.mark.parametrize(("signer", "kind"), [(Ambient(), GitLedger), (Local(), LocalLedger)])
def test_a_teams_ledger_is_written_by_ci_alone(job, signer, kind):
    """What a clone's own instance signs, no other clone could verify."""
    store = open_ledger_store(with_promotion(job, remote="origin", branch="ledger"), lambda: signer)
    assert isinstance(store, kind)
    assert store.address == ("origin/ledger" if kind is GitLedger else "")


def test_an_environment_runs_from_its_own_repository_where_it_has_one(job):
    repositories = {"production": "registry.example.org/acme/production"}
    asked = with_promotion(job, repositories=repositories)
    with contextlib.ExitStack() as opened:
        gate = open_gate(asked, load_job_policy(asked), opened)
        assert gate.repository("production").address == "registry.example.org/acme/production"
        assert gate.repository("development").address == gate.store.address == str(job.state / "store")


def test_who_asked_is_the_ci_systems_word_or_who_signs(job):
    with contextlib.ExitStack() as opened:
        gate = open_gate(replace(job, requester="https://github.com/tom"), load_job_policy(job), opened)
        assert gate.asked_by == "https://github.com/tom"


def test_a_person_signs_as_who_logs_in(tmp_path, root, rekor_v1: World):
    from pipeline.signing.person import person_signer  # noqa: PLC0415

    instance = rekor_v1.instance
    (tmp_path / "instance.json").write_bytes(instance.client_trust_config())
    settings = SETTINGS.model_copy(
        update={"signing": SETTINGS.signing.model_copy(update={"instance": "instance.json"})}
    )
    asked = []

    def log_in(provider):
        asked.append(provider)
        return instance.token(email="rita@example.org", iss="https://accounts.example.org")

    signer = person_signer(settings, tmp_path, log_in=log_in)
    assert (signer.identity, signer.issuer) == ("rita@example.org", "https://accounts.example.org")
    assert len(asked) == 1
    assert asked[0].startswith("http")
