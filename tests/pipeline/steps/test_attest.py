"""Signing and listing what the steps of one source tree left, on a real local Sigstore instance."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model.digests import Digest
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import LISTED, Kind
from pipeline.model.outcome import Evidence, Status
from pipeline.model.predicates import EvidenceList
from pipeline.steps import attest as step
from pipeline.steps.attached import read_own
from pipeline.steps.evidence_list import newest_list
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach, attached_bundles
from tests.support import evidence as made
from tests.support.bundles import unsigned_bundle
from tests.support.evidence import SOURCE, make_job, piece, predicate, vulnerabilities, write_image, write_record
from tests.support.images import write_archive
from tests.support.signing import github, world


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path, now=datetime.now(UTC))


@pytest.fixture
def store(job):
    return OciLayout(job.state / "store")


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    with world(tmp_path_factory.mktemp("sigstore") / "sigstore") as running:
        yield running


@pytest.fixture
def signer(signing):
    return signing.signer()


@pytest.fixture
def attest(store, signer):
    def run(job):
        return step.attest(job, store, signer)

    return run


@pytest.fixture
def image(job):
    return made.write_records(job)


@pytest.fixture
def own(store, signer, image):
    """What is attached by this signer."""

    def read(image: Digest = image):
        return read_own(attached_bundles(store, image), image, signer)

    return read


def at(job, **passed):
    return make_job(job.root, now=job.now + timedelta(**passed))


def kinds(own):
    return sorted(one.kind for one in own)


def newest(own) -> EvidenceList:
    found = newest_list(own)
    assert found is not None
    return found[1]


PRESENT = [
    Kind.SIGNATURE,
    Kind.PROVENANCE,
    Kind.TESTS,
    Kind.SAST,
    Kind.WORKFLOWS,
    Kind.VULNERABILITIES,
    Kind.SBOM,
    Kind.HARDENING,
]


def test_every_piece_is_signed_and_attached_with_its_list(job, attest, image, own):
    outcome = attest(job)
    assert kinds(own()) == sorted([*PRESENT, Kind.EVIDENCE_LIST])
    assert outcome.status is Status.PASSED
    assert outcome.finding == f"8 attestations on {image}, 0 kept"
    assert outcome.data["digest"] == str(image)
    assert outcome.data["sequence"] == 1


def test_the_signature_is_what_cosign_expects(job, attest, own):
    attest(job)
    (signature,) = [one.statement for one in own() if one.kind is Kind.SIGNATURE]
    assert signature.predicate_type == "https://sigstore.dev/cosign/sign/v1"
    assert signature.predicate == {}
    assert [subject.name for subject in signature.subject] == ["noticeboard"]


def test_a_statement_of_one_platform_of_several_names_its_manifest_too(job, store, signer, attest):
    image = made.write_records(job, "amd64", "arm64")
    attest(job)
    attached = read_own(attached_bundles(store, image), image, signer)
    hardening = [one.statement for one in attached if one.kind is Kind.HARDENING]
    assert {tuple(subject.name for subject in one.subject) for one in hardening} == {
        ("noticeboard", "noticeboard linux/amd64"),
        ("noticeboard", "noticeboard linux/arm64"),
    }
    assert all(one.digests()[0] == image for one in hardening)
    assert len({one.digests()[1] for one in hardening}) == 2
    (tests,) = [one.statement for one in attached if one.kind is Kind.TESTS]
    assert tests.digests() == [image]


def test_doing_it_again_changes_nothing(job, attest, own):
    attest(job)
    before = {one.digest for one in own()}
    outcome = attest(at(job, hours=1))
    assert {one.digest for one in own()} == before
    assert outcome.finding.endswith("8 kept")


def test_a_changed_result_is_attached_beside_the_old_one_with_a_new_list(job, attest, own):
    attest(job)
    first = newest(own())
    write_record(job, "sast", piece(job, Kind.SAST, result="FAILED"), status=Status.FAILED)
    attest(job)
    assert kinds(own()).count(Kind.SAST) == 2
    second = newest(own())
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.previous in {one.digest.hex for one in own() if one.kind is Kind.EVIDENCE_LIST}
    assert [one.annotations.kind for one in second.references].count(Kind.SAST) == 2


def test_a_failed_result_is_evidence_too(job, attest, own):
    write_record(job, "tests", piece(job, Kind.TESTS, result="FAILED"), status=Status.FAILED)
    assert attest(job).status is Status.PASSED
    assert [one.statement.predicate["result"] for one in own() if one.kind is Kind.TESTS] == ["FAILED"]


def audit(job, scanned, **result):
    write_record(job, "audit", piece(job, Kind.VULNERABILITIES, **vulnerabilities(scanned, **result)))


def test_an_audit_with_the_same_result_is_not_attached_again(job, attest, own):
    attest(job)
    later = at(job, hours=19)
    audit(later, later.now, age=500)
    attest(later)
    assert kinds(own()).count(Kind.VULNERABILITIES) == 1


def test_an_audit_with_another_result_is_attached(job, attest, own):
    attest(job)
    later = at(job, hours=1)
    audit(later, later.now, ids=("PYSEC-2026-1",))
    attest(later)
    assert kinds(own()).count(Kind.VULNERABILITIES) == 2


def test_an_audit_that_is_as_before_the_last_one_is_attached_again(job, attest, own):
    attest(job)
    for hours, ids in ((1, ("PYSEC-2026-1",)), (2, ())):
        later = at(job, hours=hours)
        audit(later, later.now, ids=ids)
        attest(later)
    assert kinds(own()).count(Kind.VULNERABILITIES) == 3


def test_an_audit_is_made_anew_once_a_day(job, attest, own):
    attest(job)
    later = at(job, hours=20)
    audit(later, later.now)
    attest(later)
    assert kinds(own()).count(Kind.VULNERABILITIES) == 2


def test_a_list_is_made_anew_once_a_day(job, attest, own):
    attest(job)
    attest(at(job, hours=19))
    assert newest(own()).sequence == 1
    attest(at(job, hours=20))
    assert newest(own()).sequence == 2


def test_the_list_names_every_kind(job, attest, own):
    attest(job)
    listed = newest(own())
    status = {one.annotations.kind: one.annotations.status for one in listed.references}
    assert set(status) == set(LISTED)
    assert {kind for kind in status if status[kind] == "present"} == set(PRESENT)
    digests = {one.digest["sha256"] for one in listed.references if one.digest}
    assert digests == {one.digest.hex for one in own() if one.kind is not Kind.EVIDENCE_LIST}


def reasons(own):
    return {
        one.annotations.kind: (one.annotations.status, one.annotations.reason)
        for one in newest(own()).references
        if one.annotations.status != "present"
    }


def test_what_is_not_there_is_listed_with_the_reason(job, attest, own):
    write_record(job, "sast", status=Status.CRASHED, finding=f"bandit: not started at {job.root}/checks")
    attest(job)
    assert reasons(own) == {
        Kind.SOURCE: ("skipped", "step source has not run on this source tree"),
        Kind.SAST: ("crashed", "step sast crashed: bandit: not started at ./checks"),
        Kind.DEPENDENCIES: ("skipped", "step audit passed: audit was fine"),
        Kind.SMOKE: ("skipped", "step smoke warned: unhardened: no container engine answered"),
        Kind.REPRODUCTION: ("skipped", "needs a second build: `scripts/nox -s reproduce`"),
    }


def test_a_step_that_failed_without_evidence_is_listed_as_crashed(job, attest, own):
    write_record(job, "workflows", status=Status.FAILED, finding="no evidence")
    attest(job)
    assert reasons(own)[Kind.WORKFLOWS][0] == "crashed"


@pytest.mark.parametrize("status", [Status.CRASHED, Status.SKIPPED])
def test_what_a_step_left_that_did_not_end_is_no_evidence(job, attest, own, status):
    write_record(job, "sast", piece(job, Kind.SAST), status=status, finding="stopped half-way")
    attest(job)
    assert Kind.SAST in reasons(own)
    assert not [one for one in own() if one.kind is Kind.SAST]


def test_a_step_that_did_not_run_is_listed_as_skipped(job, attest, own):
    job.record_path("sast").unlink()
    attest(job)
    assert reasons(own)[Kind.SAST] == ("skipped", "step sast has not run on this source tree")


def test_what_an_earlier_run_attached_stays_on_the_list(job, attest, own):
    smoke = Evidence(
        kind=Kind.SMOKE, platform="linux/amd64", predicate=predicate(Kind.SMOKE, job.context("gatehouse", "1"))
    )
    write_record(job, "smoke", smoke)
    attest(job)
    write_record(job, "smoke", status=Status.SKIPPED, finding="no container engine answered")
    attest(job)
    assert Kind.SMOKE not in reasons(own)
    assert newest(own()).sequence == 1


def test_the_record_of_another_tree_is_not_used(job, attest, own):
    other = make_job(job.root, source=SOURCE.model_copy(update={"tree": "c" * 40}))
    write_record(other, "tests", piece(other, Kind.TESTS))
    attest(job)
    assert Kind.TESTS not in kinds(own())
    assert reasons(own)[Kind.TESTS] == ("skipped", "step tests has not run on this source tree")


def test_a_record_that_names_no_tree_is_not_used(job, attest, own):
    write_record(job, "tests", piece(job, Kind.TESTS), context=None)
    attest(job)
    assert Kind.TESTS not in kinds(own())


def test_evidence_of_another_tree_in_a_record_of_this_one_is_refused(job, store, attest, image):
    other = make_job(job.root, source=SOURCE.model_copy(update={"tree": "c" * 40}))
    write_record(job, "tests", piece(other, Kind.TESTS))
    with pytest.raises(Refused, match=f"got {'c' * 12}, expected {'b' * 12}") as refused:
        attest(job)
    assert refused.value.code == "attest.other-source"
    assert attached_bundles(store, image) == []


@pytest.mark.parametrize("kind", [Kind.PROVENANCE, Kind.TESTS])
def test_a_step_cannot_speak_for_another(job, attest, image, kind):
    write_record(job, "sast", piece(job, kind))
    with pytest.raises(CannotEvaluate, match=f"step sast: .*got {kind}") as refused:
        attest(job)
    assert refused.value.code == "attest.kind"


def test_two_pieces_of_one_kind_are_refused(job, attest, image):
    write_record(job, "tests", piece(job, Kind.TESTS), piece(job, Kind.TESTS))
    with pytest.raises(CannotEvaluate) as refused:
        attest(job)
    assert refused.value.code == "attest.duplicate"


def test_without_an_image_nothing_is_signed(job, attest, store):
    with pytest.raises(CannotEvaluate, match="got no record") as missing:
        attest(job)
    assert (missing.value.code, missing.value.fix) == ("attest.no-image", "build it with `scripts/nox -s image`")


def test_a_failed_image_step_is_no_image(job, attest, image):
    write_record(job, "image", status=Status.FAILED, finding="a shell in it")
    with pytest.raises(CannotEvaluate, match="got failed") as missing:
        attest(job)
    assert missing.value.code == "attest.no-image"


def test_an_archive_that_was_swapped_is_refused(job, attest, image):
    write_archive(job.dist / "image.tar", content=b"import evil\n")
    with pytest.raises(Refused, match=f"expected {image}") as refused:
        attest(job)
    assert refused.value.code == "attest.image"


def test_the_next_tree_gets_evidence_of_its_own(job, attest, store, image):
    attest(job)
    following = make_job(job.root, now=job.now, source=SOURCE.model_copy(update={"tree": "c" * 40}))
    other = write_image(following, content=b"print('changed')\n")
    attest(following)
    assert other != image
    assert len(store.referrers(image)) == 9
    assert len(store.referrers(other)) == 4
    assert store.resolve(f"0.1.0-{'b' * 12}").digest == image


def test_somebody_else_s_evidence_is_neither_kept_nor_listed(job, attest, store, signing, image, own):
    attest(job)
    (tests,) = [one for one in attached_bundles(store, image) if one.digest == _digest_of(own(), Kind.TESTS)]
    foreign = make_job(job.root / "other", now=job.now)
    made.write_records(foreign)
    stranger = signing.signer(**github())
    outcome = step.attest(foreign, store, stranger)
    assert outcome.data["kept"] == 0
    listed = newest(read_own(attached_bundles(store, image), image, stranger))
    assert tests.digest.hex not in {one.digest["sha256"] for one in listed.references if one.digest}


def _digest_of(own, kind):
    (found,) = [one.digest for one in own if one.kind is kind]
    return found


def test_damaged_evidence_is_not_kept(job, attest, signer, image, own):
    attest(job)
    broken = json.loads(next(one.bundle for one in own() if one.kind is Kind.TESTS))
    broken["dsseEnvelope"]["signatures"][0]["sig"] = broken["dsseEnvelope"]["signatures"][0]["sig"][::-1]
    fresh = OciLayout(job.state / "fresh")
    descriptor = step.push_image(job, fresh).image
    attach(fresh, descriptor, json.dumps(broken).encode(), job.now)
    assert read_own(attached_bundles(fresh, image), image, signer) == []
    assert step.attest(job, fresh, signer).data["kept"] == 0


def test_the_bundles_and_their_root_lie_below_dist(job, image, attest, signer):
    outcome = attest(job)
    names = sorted(path.name for path in (job.dist / "bundles").iterdir())
    assert names == [
        "evidence-list.sigstore.json",
        "hardening-linux-amd64.sigstore.json",
        "provenance.sigstore.json",
        "sast.sigstore.json",
        "sbom-linux-amd64.sigstore.json",
        "signature.sigstore.json",
        "tests.sigstore.json",
        "vulnerabilities.sigstore.json",
        "workflows.sigstore.json",
    ]
    assert (job.dist / "trusted_root.json").read_bytes() == signer.trusted_root
    assert {artifact.path for artifact in outcome.artifacts} == {
        "dist/trusted_root.json",
        *(f"dist/bundles/{name}" for name in names),
    }


def test_what_another_tree_left_below_dist_goes(job, attest):
    (job.dist / "bundles").mkdir(parents=True)
    for name in ("smoke-linux-arm64.sigstore.json", "notes.txt"):
        (job.dist / "bundles" / name).write_text("old")
    made.write_records(job)
    attest(job)
    left = {path.name for path in (job.dist / "bundles").iterdir()}
    assert "smoke-linux-arm64.sigstore.json" not in left
    assert "notes.txt" in left


def test_a_replaced_piece_keeps_its_digest_in_its_name(job, attest, own):
    attest(job)
    old = _digest_of(own(), Kind.SAST)
    write_record(job, "sast", piece(job, Kind.SAST, result="FAILED"), status=Status.FAILED)
    attest(job)
    bundles = job.dist / "bundles"
    assert Digest.of((bundles / f"sast-{old.short}.sigstore.json").read_bytes()) == old
    assert (bundles / "sast.sigstore.json").exists()


def test_forty_referrers_warn(job, attest, store, image):
    descriptor = step.push_image(job, store).image
    for number in range(31):
        attach(store, descriptor, unsigned_bundle(str(number)), job.now)
    outcome = attest(job)
    assert outcome.status is Status.WARNED
    (problem,) = outcome.problems
    assert problem.code == "attest.many-referrers"
    assert "got 40, expected fewer than 40" in problem.message


def test_the_step_itself_signs_with_the_clone_s_own_instance(job, image, monkeypatch):
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "SIGSTORE_ID_TOKEN", "CIRCLECI", "BUILDKITE", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    first = step.run(job)
    assert first.finding == f"8 attestations on {image}, 0 kept"
    assert first.data["store"] == ".gatehouse/store"
    assert step.run(job).finding == f"8 attestations on {image}, 8 kept"


def test_the_list_says_who_attests(job, attest, signer, own):
    attest(job)
    (found,) = [one for one in own() if one.kind is Kind.EVIDENCE_LIST]
    assert validate(EvidenceList, found.statement.predicate, what="list").attester == {"id": signer.identity}
