"""The ten steps: what each of them refuses, and that nothing else does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.gate.evidence import Flaw, ImageFacts, Memory
from pipeline.gate.levels import OWN
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from tests.support import release


def codes(judgement):
    return [finding.code for finding in judgement.refusals]


def warned(judgement):
    return [finding.code for finding in judgement.warnings]


def only(judgement):
    assert len(judgement.refusals) == 1, judgement.refusals
    return judgement.refusals[0]


def test_a_good_release_passes_with_the_level_that_its_signer_gives(judged):
    judgement = judged(release.pieces())
    assert (judgement.result, judgement.exit_code) == ("PASSED", 0)
    assert judgement.levels == ("SLSA_BUILD_LEVEL_1", *OWN)
    assert judgement.refusals == judgement.warnings == ()


def test_a_release_signed_by_the_attesting_workflow_passes_staging(judged):
    judgement = judged(release.hosted(), "staging")
    assert (codes(judgement), judgement.levels) == ([], ("SLSA_BUILD_LEVEL_2", *OWN))


def test_the_same_arguments_give_the_same_judgement(judged):
    assert judged(release.pieces()) == judged(release.pieces())


def test_the_order_in_which_a_store_lists_evidence_changes_no_finding(judged):
    predicates = release.predicates()
    predicates["tests"]["result"] = predicates["sast"]["result"] = "FAILED"
    made = release.pieces(predicates)
    assert judged(made).refusals == judged(dict(reversed(made.items()))).refusals


def test_no_evidence_at_all_refuses_every_required_kind(judged, policy):
    judgement = judged({})
    assert codes(judgement).count("evidence.missing") == len(policy.environment("development").required)
    assert "list.missing" in codes(judgement)
    assert (judgement.result, judgement.exit_code, judgement.levels) == ("FAILED", 1, ("FAILED",))


def test_an_unknown_environment_cannot_be_judged(judged):
    with pytest.raises(CannotEvaluate, match="got 'moon', expected one of development, staging, production") as error:
        judged(release.pieces(), "moon")
    assert error.value.code == "policy.environment"


# Step 2


def test_forty_referrers_warn(judged):
    made = release.pieces()
    more = {f"audit {n}": release.piece("vulnerabilities", release.predicates()["vulnerabilities"]) for n in range(30)}
    assert "evidence.many" in warned(judged({**made, **more}))


# Step 3


def test_a_damaged_bundle_refuses_and_says_that_it_could_not_be_evaluated(judged):
    error = CannotEvaluate(
        "bundle.malformed", "bundle: not readable (got half, expected a bundle)", fix="attach it again"
    )
    judgement = judged({**release.pieces(), "half": Flaw(digest="9" * 64, error=error)})
    assert (codes(judgement), judgement.exit_code) == (["bundle.malformed"], 3)


def test_a_bundle_of_an_unknown_authority_is_ignored_with_a_warning(judged):
    error = Refused("bundle.root", "bundle: certificate of an unknown authority (got x, expected y)", fix="remove it")
    judgement = judged({**release.pieces(), "foreign": Flaw(digest="9" * 64, error=error)})
    assert (codes(judgement), warned(judgement)) == ([], ["evidence.foreign"])


def test_a_listed_bundle_of_an_unknown_authority_refuses(judged):
    made = release.pieces(listed=False)
    digests = {name: one.digest for name, one in made.items()} | {"reproduction": "9" * 64}
    made["evidence-list"] = release.piece("evidence-list", release.evidence_list(digests))
    error = Refused("bundle.root", "bundle: certificate of an unknown authority (got x, expected y)", fix="remove it")
    del made["reproduction"]
    assert codes(judged({**made, "foreign": Flaw(digest="9" * 64, error=error)})) == ["bundle.root"]


def test_a_strangers_contradicting_evidence_is_ignored_with_a_warning(judged):
    """Whoever may write to the registry may not stop a release with evidence of his own."""
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    evil = release.github(".github/workflows/other.yml")
    stranger = release.piece("tests", predicates["tests"], identity=evil, root="public")
    judgement = judged({**release.pieces(), "stranger": stranger})
    assert (codes(judgement), warned(judgement)) == ([], ["evidence.foreign"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repository": "https://github.com/evil/app"}, "repository (got https://github.com/evil/app, expected"),
        ({"ref": "refs/heads/x"}, "ref (got refs/heads/x, expected refs/heads/main)"),
        ({"trigger": "pull_request"}, "trigger (got pull_request, expected push or schedule or workflow_dispatch)"),
        ({"runner": "self-hosted"}, "runner (got self-hosted, expected github-hosted)"),
        ({"issuer": "https://evil.example"}, "issuer (got https://evil.example, expected"),
        ({"workflow": ""}, "build signer (got none, expected"),
    ],
)
def test_a_signer_that_differs_in_one_field_is_not_trusted(judged, changes, said):
    made = release.hosted(**changes)
    judgement = judged(made, "staging")
    assert set(codes(judgement)) == {"signer.untrusted"}
    assert said in judgement.refusals[0].message


def test_another_workflow_of_the_repository_may_not_attest(judged):
    made = release.pieces(identity=release.github(".github/workflows/other.yml"), root="public")
    judgement = judged(made, "staging")
    assert set(codes(judgement)) == {"signer.untrusted"}
    assert ".github/workflows/other.yml@refs/heads/main, expected" in judgement.refusals[0].message


def test_a_workflow_at_a_commit_that_nobody_reviewed_is_not_trusted(judged, policy):
    pinned = policy.signers["attest"].model_copy(update={"digests": ("0" * 40,)})
    strict = replace(policy, signers={**policy.signers, "attest": pinned})
    judgement = judged(release.hosted(), "staging", policy=strict)
    assert f"workflow digest (got {'f' * 40}, expected {'0' * 40})" in judgement.refusals[0].message


def test_the_local_root_counts_in_development_alone(judged):
    judgement = judged(release.pieces(), "staging")
    assert set(codes(judgement)) == {"signer.untrusted"}
    assert "trust root (got local, expected public)" in judgement.refusals[0].message


def test_a_local_identity_vouched_for_by_the_public_root_is_not_the_local_signer(judged):
    judgement = judged(release.pieces(root="public"))
    assert set(codes(judgement)) == {"signer.untrusted"}


def test_without_a_repository_nobody_may_sign_for_staging_and_it_says_so(judged, policy):
    unset = replace(policy, repository="")
    judgement = judged(release.pieces(), "staging", policy=unset)
    assert codes(judgement) == ["signer.unset"]
    assert judgement.refusals[0].message == (
        "staging: nobody may sign yet (got no repository, expected owner/name of the repository "
        "whose workflows release)"
    )


def test_the_rules_run_over_a_strangers_evidence_too_so_that_one_look_shows_everything(judged):
    predicates = release.predicates()
    predicates["tests"]["gatehouse_measures"]["coverage_percent"] = 3
    assert "tests.coverage" in codes(judged(release.pieces(predicates), "staging"))


# Step 4


def test_evidence_about_another_image_refuses(judged):
    made = release.pieces()
    other = ImageFacts(digest=Digest("2" * 64), platforms={release.PLATFORM: Digest("2" * 64)})
    made["tests"] = release.piece("tests", release.predicates()["tests"], about=other)
    judgement = judged(made)
    assert "subject.mismatch" in codes(judgement)
    assert f"got sha256:{'2' * 64}, expected sha256:{'1' * 64}" in judgement.refusals[0].message


def test_hardening_read_from_another_manifest_than_the_statement_names_refuses(judged):
    predicates = release.predicates()
    first = predicates[f"hardening@{release.PLATFORM}"]["attributes"][0]
    first["target"] = {"name": "noticeboard", "digest": {"sha256": "1" * 64}}
    assert codes(judged(release.pieces(predicates))) == []
    first["target"] = {"name": "noticeboard", "digest": {"sha256": "2" * 64}}
    judgement = judged(release.pieces(predicates))
    assert codes(judgement) == ["subject.mismatch"]
    assert f"hardening: speaks of another artifact (got {'2' * 64}, expected" in judgement.refusals[0].message


def test_evidence_of_an_unknown_kind_by_an_allowed_signer_refuses(judged):
    made = release.pieces()
    strange = release.predicates()["tests"]
    strange["configuration"][0]["name"] = "horoscope"
    made["strange"] = release.piece("tests", strange)
    judgement = judged(made)
    assert (codes(judgement), judgement.exit_code) == (["evidence.unknown"], 3)


def test_evidence_of_another_tree_refuses(judged):
    predicates = release.predicates()
    predicates["tests"]["gatehouse_context"] = release.context(tree="e" * 40)
    finding = only(judged(release.pieces(predicates)))
    assert finding.code == "evidence.other-source"
    assert finding.message == (
        f"tests: made from another source (got commit {'a' * 12} tree {'e' * 12}, "
        f"expected commit {'a' * 12} tree {'b' * 12})"
    )


@pytest.mark.parametrize(("field", "value"), [("uri", "git+https://github.com/evil/app"), ("committed", 1)])
def test_evidence_whose_source_differs_in_any_field_refuses(judged, field, value):
    predicates = release.predicates()
    predicates["tests"]["gatehouse_context"] = release.context(**{field: value})
    assert only(judged(release.pieces(predicates))).code == "evidence.other-source"


def test_evidence_made_with_other_locks_refuses(judged):
    predicates = release.predicates()
    predicates["sast"]["gatehouse_context"]["locks"] = {"requirements.txt": "0" * 64}
    finding = only(judged(release.pieces(predicates)))
    assert (finding.code, finding.message) == (
        "evidence.other-locks",
        f"sast: made with other locks: requirements.txt (got {'0' * 12}, expected {'c' * 12})",
    )


def test_an_sbom_names_its_source_as_well(judged):
    predicates = release.predicates()
    predicates[f"sbom@{release.PLATFORM}"]["metadata"] = {}
    judgement = judged(release.pieces(predicates))
    assert (judgement.exit_code, codes(judgement)[0]) == (3, "document.shape")


def test_provenance_signed_on_another_commit_than_it_names_refuses(judged):
    judgement = judged(release.hosted(commit="0" * 40), "staging")
    assert set(codes(judgement)) == {"evidence.other-source", "signers.commit"}
    finding = judgement.refusals[0]
    assert f"signed on another commit than it names (got {'0' * 12}, expected {'a' * 12})" in finding.message


@pytest.mark.parametrize("label", ["dev.gatehouse.tree", "org.opencontainers.image.revision"])
def test_an_image_labelled_with_another_source_than_its_provenance_refuses(judged, label):
    image = replace(release.IMAGE, labels={label: "e" * 40})
    finding = only(judged(release.pieces(image=image), image=image))
    assert finding.code == "evidence.other-source"
    assert f"than the image's label {label} (got" in finding.message
    assert finding.message.endswith(f"expected {'e' * 40})")


@pytest.mark.parametrize("purl", ["pkg:pypi/other@1", ["pkg:pypi/tornado@6.5"], None])
def test_an_sbom_that_leaves_out_what_went_in_refuses(judged, purl):
    predicates = release.predicates()
    predicates[f"sbom@{release.PLATFORM}"]["components"] = [release.component("other", "1", purl=purl)]
    refusals = judged(release.pieces(predicates)).refusals
    finding = next(one for one in refusals if one.code == "evidence.incomplete")
    assert finding.message == (
        "sbom: leaves out what the provenance says went in "
        "(got nothing about pkg:pypi/tornado@6.5, expected every package)"
    )


def test_a_second_sbom_of_a_platform_may_not_leave_out_what_the_first_names(judged):
    made = release.pieces(listed=False)
    name = f"sbom@{release.PLATFORM}"
    lean = {**release.predicates()[name], "components": [{"name": "other", "version": "1"}]}
    made["lean"] = release.piece(name, lean)
    digests = {name: one.digest for name, one in made.items() if name != "lean"}
    listed = release.evidence_list(digests)
    entry = next(one for one in listed["references"] if one["name"] == name)
    listed["references"].append({**entry, "digest": {"sha256": made["lean"].digest}})
    made["evidence-list"] = release.piece("evidence-list", listed)
    assert only(judged(made)).code == "evidence.incomplete"


def test_an_audit_of_another_lock_than_the_images_refuses(judged):
    predicates = release.predicates()
    predicates["vulnerabilities"]["gatehouse_coverage"] |= {"locked": ["pkg:pypi/a@1"], "audited": ["pkg:pypi/a@1"]}
    finding = only(judged(release.pieces(predicates)))
    assert (finding.code, finding.kind) == ("evidence.incomplete", "vulnerabilities")
    assert "did not look at what the provenance says went in (got nothing about pkg:pypi/tornado@6.5" in finding.message


def test_an_sbom_that_names_two_sources_cannot_be_evaluated(judged):
    predicates = release.predicates()
    metadata = predicates[f"sbom@{release.PLATFORM}"]["metadata"]
    metadata["properties"].append({"name": "gatehouse:context", "value": "{}"})
    judgement = judged(release.pieces(predicates))
    assert (judgement.exit_code, codes(judgement)[0]) == (3, "document.shape")


# Step 5


def test_without_a_list_nothing_is_known_to_be_complete(judged):
    finding = only(judged(release.pieces(listed=False)))
    assert (finding.code, finding.message) == ("list.missing", "evidence list: not there (got none, expected one)")


def test_listed_evidence_that_is_not_there_was_withheld(judged):
    made = release.pieces()
    digest = made.pop("tests").digest
    finding = only(judged(made))
    assert finding.code == "evidence.withheld"
    assert finding.message == f"tests: listed and not attached (got nothing, expected bundle {digest[:12]})"


def test_evidence_that_no_list_names_refuses(judged):
    made = release.pieces()
    made["second"] = release.piece("tests", release.predicates()["tests"], at=release.SIGNED + timedelta(hours=1))
    assert only(judged(made)).code == "evidence.unlisted"


@pytest.mark.parametrize("status", ["skipped", "crashed"])
def test_required_and_not_made_is_refused(judged, status):
    made = release.pieces(listed=False)
    del made["tests"]
    digests = {name: one.digest for name, one in made.items()}
    made["evidence-list"] = release.piece("evidence-list", release.evidence_list(digests, absent={"tests": status}))
    finding = only(judged(made))
    assert (finding.code, finding.message) == (
        "evidence.missing",
        f"tests: no evidence (got {status}: no reason, expected it from an allowed signer)",
    )


def test_a_list_older_than_one_seen_before_refuses(judged):
    made = release.pieces()
    by = f"local {release.LOCAL.san}"
    finding = only(judged(made, memory=Memory(sequences={by: 2})))
    assert finding.code == "list.older-than-known"
    assert "got sequence 1, expected at least 2" in finding.message


def test_a_signer_whose_lists_are_all_gone_was_seen_before(judged):
    """Attack: where two signers may attest, delete everything of the one that found something."""
    by = f"public {release.github().san}"
    finding = only(judged(release.pieces(), memory=Memory(sequences={by: 2})))
    assert (finding.code, finding.message) == (
        "list.older-than-known",
        f"evidence list of {by}: older than one seen before (got none, expected at least 2)",
    )


def test_a_remembered_signer_of_a_root_that_does_not_count_here_is_not_missed(judged):
    memory = Memory(sequences={f"local {release.LOCAL.san}": 2})
    assert codes(judged(release.hosted(), "staging", memory=memory)) == []


def test_of_two_memories_the_highest_sequence_of_each_signer_counts():
    both = Memory(sequences={"a": 2, "b": 1}, revoked={"production": "leaked"}).joined({"b": 3, "c": 1})
    assert both == Memory(sequences={"a": 2, "b": 3, "c": 1}, revoked={"production": "leaked"})


def test_a_list_that_calls_a_kind_both_present_and_crashed_is_wrong(judged):
    made = release.pieces(listed=False)
    digests = {name: one.digest for name, one in made.items()}
    listed = release.evidence_list(digests, absent={"tests": "crashed"})
    made["evidence-list"] = release.piece("evidence-list", listed)
    finding = only(judged(made))
    assert (finding.code, finding.message) == (
        "list.broken",
        "evidence list 1: entry tests is wrong (got present and crashed, expected one status)",
    )


def test_what_one_signer_lists_as_skipped_another_may_have_made(judged):
    made = release.pieces()
    theirs = release.evidence_list({}, absent={"tests": "skipped"})
    identity = release.github()
    made["theirs"] = release.piece("evidence-list", theirs, root="public", identity=identity)
    assert codes(judged(made)) == []


def test_a_successor_list_with_more_evidence_is_the_one_that_counts(judged):
    made = release.pieces()
    audit = release.piece("vulnerabilities", release.predicates()["vulnerabilities"], at=release.NOW)
    digests = {name: one.digest for name, one in made.items() if name != "evidence-list"}
    successor = release.evidence_list(
        {**digests, "vulnerabilities": audit.digest}, sequence=2, previous=made["evidence-list"].digest
    )
    made |= {"audit": audit, "successor": release.piece("evidence-list", successor)}
    judgement = judged(made)
    assert (codes(judgement), list(judgement.sequences.values())) == ([], [2])


def test_what_only_a_superseded_list_names_is_missing(judged):
    made = release.pieces()
    digests = {name: one.digest for name, one in made.items() if name not in ("evidence-list", "tests")}
    successor = release.evidence_list(digests, sequence=2, previous=made["evidence-list"].digest)
    made["successor"] = release.piece("evidence-list", successor)
    finding = only(judged(made))
    assert (finding.code, finding.kind) == ("evidence.missing", "tests")


def _succeeded(kind):
    """A release whose first list names one more bundle of ``kind``, which is gone and not on the second list."""
    made = release.pieces(listed=False)
    digests = {name: one.digest for name, one in made.items()}
    first = release.evidence_list(digests)
    entry = next(one for one in first["references"] if one["name"] == kind)
    first["references"].append({**entry, "digest": {"sha256": "9" * 64}})
    made["evidence-list"] = release.piece("evidence-list", first)
    second = release.evidence_list(digests, sequence=2, previous=made["evidence-list"].digest)
    return made | {"successor": release.piece("evidence-list", second)}


def test_a_result_taken_away_before_the_next_list_was_written_is_withheld(judged):
    """Attack: delete the FAILED result from the registry, then let attest list what is left."""
    finding = only(judged(_succeeded("tests")))
    assert (finding.code, finding.kind) == ("evidence.withheld", "tests")


def _audited_again(made, at):
    """``made`` with a young audit, and a third list that names it."""
    audit = release.piece("vulnerabilities", release.scanned_at(release.predicates(), at)["vulnerabilities"], at=at)
    digests = {name: one.digest for name, one in made.items() if name not in ("evidence-list", "successor")}
    third = release.evidence_list(
        {**digests, "vulnerabilities": audit.digest}, sequence=3, previous=made["successor"].digest
    )
    return made | {"audit": audit, "third": release.piece("evidence-list", third, at=at)}


def test_a_superseded_audit_may_be_removed(judged):
    made = _audited_again(_succeeded("vulnerabilities"), release.NOW)
    assert codes(judged(made)) == []


def test_the_newest_audit_may_not_be_removed_so_that_an_older_one_counts_again(judged):
    """Attack: delete the audit that found something, then let attest list what is left."""
    finding = only(judged(_succeeded("vulnerabilities")))
    assert (finding.code, finding.message[:48]) == (
        "evidence.withheld",
        "vulnerabilities: listed and not attached (got no",
    )


def test_a_list_whose_predecessor_is_gone_does_not_follow_on(judged):
    made = _succeeded("tests")
    del made["evidence-list"]
    finding = only(judged(made))
    assert (finding.code, finding.message) == (
        "list.broken",
        "evidence list 2: does not follow on (got none, expected predecessor 1)",
    )


def test_two_lists_with_one_sequence_are_a_fork(judged):
    made = release.pieces()
    digests = {name: one.digest for name, one in made.items() if name != "evidence-list"}
    made["fork"] = release.piece("evidence-list", release.evidence_list(digests, absent={"source": "skipped"}))
    assert "list.fork" in codes(judged(made))


def test_a_list_that_does_not_follow_the_one_it_names_is_broken(judged):
    made = release.pieces()
    digests = {name: one.digest for name, one in made.items() if name != "evidence-list"}
    jump = release.evidence_list(digests, sequence=5, previous=made["evidence-list"].digest)
    made["jump"] = release.piece("evidence-list", jump)
    finding = only(judged(made))
    assert (finding.code, finding.message) == (
        "list.broken",
        "evidence list 5: does not follow on (got 1, expected predecessor 4)",
    )


def test_a_list_that_names_another_kind_than_was_signed_refuses(judged):
    made = release.pieces(listed=False)
    digests = {name: one.digest for name, one in made.items()}
    digests["sast"], digests["tests"] = digests["tests"], digests["sast"]
    made["evidence-list"] = release.piece("evidence-list", release.evidence_list(digests))
    assert set(codes(judged(made))) == {"list.kind"}


VERDICT = {
    "verifier": {"id": "x"},
    "timeVerified": "2026-11-20T10:00:00Z",
    "resourceUri": "x",
    "policy": {"uri": "x", "digest": {"sha256": "0" * 64}},
    "inputAttestations": [],
    "verificationResult": "PASSED",
    "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
    "gatehouse_environment": "development",
}


@pytest.mark.parametrize("broken", [{}, {"unknown": 1}])
def test_a_verdict_listed_as_the_tests_does_not_stand_for_them(judged, broken):
    made = release.pieces(listed=False)
    made["tests"] = release.piece("verdict", VERDICT | broken)
    digests = {name: one.digest for name, one in made.items()}
    made["evidence-list"] = release.piece("evidence-list", release.evidence_list(digests))
    assert "list.kind" in codes(judged(made))


def test_a_revocation_by_an_allowed_signer_refuses_although_nothing_reads_it_yet(judged):
    made = release.pieces()
    made["revocation"] = release.piece("revocation", {"reason": "leaked"})
    judgement = judged(made)
    assert (codes(judgement), judgement.exit_code) == (["document.shape"], 3)


def test_evidence_past_its_age_refuses(judged):
    judgement = judged(release.pieces(), now=release.NOW + timedelta(days=20))
    finding = only(judgement)
    assert (finding.code, finding.kind) == ("evidence.expired", "vulnerabilities")
    assert finding.message == "vulnerabilities: too old (got 2026-11-20T10:00:00Z, expected after 2026-12-03T12:00:00Z)"


def test_evidence_from_the_future_refuses_when_the_clock_is_a_day_off(judged):
    judgement = judged(release.pieces(), now=release.NOW - timedelta(days=1))
    assert set(codes(judgement)) == {"evidence.future"}


def test_a_failed_result_is_not_laundered_by_running_again(judged):
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    made = release.pieces(listed=False)
    made["failed"] = release.piece("tests", predicates["tests"], at=release.SIGNED - timedelta(hours=1))
    digests = {name: one.digest for name, one in made.items() if name != "failed"}
    listed = release.evidence_list(digests)
    listed["references"].append({**listed["references"][2], "digest": {"sha256": made["failed"].digest}})
    made["evidence-list"] = release.piece("evidence-list", listed)
    assert set(codes(judged(made))) == {"evidence.contradiction", "tests.result"}


def test_of_vulnerabilities_the_newest_counts(judged):
    predicates = release.predicates()
    old = predicates["vulnerabilities"] | {}
    old["scanner"] = {**old["scanner"], "result": [release.finding("critical", "2020-01-01T00:00:00Z")]}
    made = release.pieces(listed=False)
    made["old"] = release.piece("vulnerabilities", old, at=release.SIGNED - timedelta(hours=3))
    digests = {name: one.digest for name, one in made.items() if name != "old"}
    listed = release.evidence_list(digests)
    entry = next(one for one in listed["references"] if one["name"] == "vulnerabilities")
    listed["references"].append({**entry, "digest": {"sha256": made["old"].digest}})
    made["evidence-list"] = release.piece("evidence-list", listed)
    assert codes(judged(made)) == []
    newer = {**made, "old": release.piece("vulnerabilities", old, at=release.SIGNED + timedelta(hours=1))}
    assert "vulnerabilities.deadline" in codes(judged(newer))


# Step 6


def test_a_predicate_with_an_unknown_field_cannot_be_evaluated(judged):
    predicates = release.predicates()
    predicates["tests"]["trust_me"] = True
    judgement = judged(release.pieces(predicates))
    assert (judgement.exit_code, codes(judgement)) == (3, ["document.shape"])


# Step 8


def test_all_rules_run_and_none_stops_the_others(judged):
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    predicates["tests"]["gatehouse_measures"] |= {"failures": 1, "coverage_percent": 10}
    predicates["sast"]["gatehouse_measures"]["findings_high"] = 2
    assert codes(judged(release.pieces(predicates))) == ["tests.result", "tests.count", "tests.coverage", "sast.high"]


def test_an_environment_may_let_a_rule_warn(judged):
    predicates = release.predicates()
    predicates["vulnerabilities"]["gatehouse_coverage"]["unaudited"] = {"pkg:deb/debian/libc6@2": "no feed"}
    made = release.pieces(predicates)
    assert (codes(judged(made)), warned(judged(made))) == ([], ["vulnerabilities.unaudited-base"])
    release_made = release.hosted(predicates)
    assert codes(judged(release_made, "staging")) == ["vulnerabilities.unaudited-base"]


# Step 9


def test_a_kind_of_one_platform_does_not_speak_for_the_other(judged):
    index = ImageFacts(
        digest=Digest("1" * 64),
        platforms={"linux/amd64": Digest("2" * 64), "linux/arm64": Digest("3" * 64)},
    )
    finding = only(judged(release.pieces(image=index), image=index))
    assert (finding.code, finding.message) == (
        "evidence.missing",
        "sbom linux/arm64: no evidence (got none, expected it from an allowed signer)",
    )


def test_a_stored_verdict_is_no_evidence(judged):
    """Attack: a FAILED verdict, or any other, as the only thing that is signed."""
    judgement = judged({"verdict": release.piece("verdict", VERDICT)})
    assert "evidence.missing" in codes(judgement)
    assert judgement.inputs == ()
