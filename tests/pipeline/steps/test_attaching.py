"""Evidence that comes later, or at the same time, keeps one chain of lists."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence
from pipeline.steps import attest
from pipeline.steps.attached import read_own
from pipeline.steps.attaching import Subject, attach_listed
from pipeline.steps.evidence_list import newest_list
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attached_bundles
from tests.support.evidence import make_job, piece, write_records
from tests.support.signing import world


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    with world(tmp_path_factory.mktemp("sigstore") / "sigstore") as running:
        yield running.signer()


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path, now=datetime.now(UTC))


@pytest.fixture
def store(job):
    return OciLayout(job.state / "store")


@pytest.fixture
def subject(job, store):
    write_records(job)
    return attest.push_image(job, store)


@pytest.fixture
def attach(job, store, signer, subject: Subject):
    def run(*evidence: Evidence):
        context = job.context("gatehouse", "1")
        return attach_listed(job, store, signer, subject, evidence, absent=None, context=context)

    return run


def lists(store, subject, signer):
    own = read_own(attached_bundles(store, subject.image.digest), subject.image.digest, signer)
    return sorted(
        (one.statement.predicate["gatehouse_sequence"], one.statement.predicate.get("gatehouse_previous"))
        for one in own
        if one.kind is Kind.EVIDENCE_LIST
    )


def test_a_list_without_one_before_names_what_is_there_and_nothing_else(job, attach):
    done = attach(piece(job, Kind.SAST))
    assert (done.kept, done.referrers) == (0, 2)
    found = newest_list(done.own)
    assert found is not None
    assert [one.annotations.kind for one in found[1].references] == [Kind.SAST]


def test_what_was_missing_before_is_still_missing_after(job, store, signer, attach):
    attest.attest(job, store, signer)
    before = newest_list(attach().own)
    after = newest_list(attach(piece(job, Kind.REPRODUCTION)).own)
    assert before is not None
    assert after is not None
    gone = {one.annotations.kind for one in before[1].references if one.annotations.status != "present"}
    still = {one.annotations.kind for one in after[1].references if one.annotations.status != "present"}
    assert gone - still == {Kind.REPRODUCTION}


def test_many_at_once_make_one_chain(job, store, signer, subject, attach):
    evidence = [piece(job, Kind.SAST, passedTests=[str(number)]) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attach, evidence))
    found = lists(store, subject, signer)
    assert [sequence for sequence, _ in found] == [1, 2, 3, 4]
    assert len({previous for _, previous in found}) == 4
