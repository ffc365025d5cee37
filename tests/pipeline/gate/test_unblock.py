"""The smallest set of changes: each one needed, and the judge says PASSED once they are made."""

import copy
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.gate.cases import load_release
from pipeline.gate.evidence import Flaw, Memory, Piece
from pipeline.gate.policy import load_policy
from pipeline.gate.unblock import unblock
from pipeline.gate.unblock_world import Change, after
from pipeline.gate.verify_command import Release
from pipeline.model.errors import CannotEvaluate
from tests.support import release


@pytest.fixture(scope="module")
def good(root):
    return load_release(root / "policies")


@pytest.fixture
def unblocked(policy, good):
    def call(change=lambda p: None, environment="development", *, made=release.pieces, policy=policy, more=()):
        predicates = release.predicates()
        change(predicates)
        evidence = (*made(predicates).values(), *more)
        one = Release(image=release.IMAGE, evidence=evidence, policy=policy, memory=Memory())
        return unblock(one, environment, good, release.NOW)

    return call


def ids(way):
    return [change.id for change in way.changes]


def vulnerable(*packages):
    def change(predicates):
        predicates["vulnerabilities"]["scanner"]["result"] = [
            release.finding("high", "2026-01-01T00:00:00Z", package=name) | {"id": f"GHSA-{name}"} for name in packages
        ]

    return change


def failing(predicates):
    predicates["tests"]["result"] = "FAILED"
    predicates["tests"]["failedTests"] = ["test_a"]


def without(name):
    return lambda predicates: predicates.pop(name)


def all_of(*changes):
    def change(predicates):
        for one in changes:
            one(predicates)

    return change


def with_source(good):
    """Of all kinds that production asks for only the source is not in the release of the tests."""

    def made(predicates):
        return release.hosted(
            {**predicates, "source": good.predicates["source"] | {"gatehouse_context": release.context()}}
        )

    return made


def test_what_passes_has_nothing_to_unblock(unblocked):
    found = unblocked()
    assert (found.today.passed, found.ways, found.stuck) == (True, (), ())


def test_missing_evidence_is_made(unblocked):
    (way,) = unblocked(without(f"smoke@{release.PLATFORM}"), "staging", made=release.hosted).ways
    assert ids(way) == ["make smoke"]
    assert way.needed


def test_a_failed_test_is_mended_and_built_as_running_it_again_launders_nothing(unblocked):
    (way,) = unblocked(failing).ways
    assert ids(way) == ["mend tests", "build"]


def test_a_vulnerability_is_excused_or_updated_and_built(unblocked):
    first, second = unblocked(vulnerable("tornado")).ways
    assert ids(first) == ["except vulnerabilities.deadline GHSA-tornado"]
    assert ids(second) == ["update tornado", "build"]
    assert "update tornado to 6.1:" in second.changes[0].text


def test_a_licence_is_excused_or_its_package_replaced(unblocked):
    def refused(predicates):
        licence = [{"license": {"id": "AGPL-3.0-only"}}]
        predicates[f"sbom@{release.PLATFORM}"]["components"][0]["licenses"] = licence

    first, second = unblocked(refused).ways
    assert ids(first) == ["except licences.refused tornado"]
    assert ids(second) == ["mend sbom", "build"]


def test_an_exception_that_is_proposed_is_one_that_the_policy_takes(unblocked, good, policy):
    found = unblocked(vulnerable("tornado", "idna"), "staging", made=release.hosted)
    exceptions = tuple(change.exception for change in found.ways[0].changes)
    predicates = release.predicates()
    vulnerable("tornado", "idna")(predicates)
    one = Release(
        image=release.IMAGE,
        evidence=tuple(release.hosted(predicates).values()),
        policy=replace(policy, exceptions=exceptions),
        memory=Memory(),
    )
    assert one.judged("staging", release.NOW).passed
    assert len({one.id for one in exceptions}) == 2


def test_more_vulnerabilities_than_the_budget_bears_are_not_all_excused(unblocked, policy):
    found = unblocked(
        vulnerable("tornado", "idna", "anyio"), "staging", made=release.hosted, policy=with_budget(policy, 1)
    )
    assert all(sum(change.act == "except" for change in way.changes) <= 1 for way in found.ways)
    assert found.ways


def with_budget(policy, count):
    def less(here):
        return here.model_copy(update={"exceptions": here.exceptions.model_copy(update={"count": count})})

    return replace(policy, environments=tuple(map(less, policy.environments)))


def test_an_audit_that_found_nothing_out_is_made_again(unblocked):
    def blind(predicates):
        predicates["vulnerabilities"]["gatehouse_coverage"]["canary"] = False

    (way,) = unblocked(blind, "staging", made=release.hosted).ways
    assert ids(way) == ["make vulnerabilities"]
    assert (
        way.changes[0].text
        == "attest an audit without vulnerabilities.canary: look at the feed, then audit again: `scripts/nox -s audit`"
    )


def test_evidence_of_the_wrong_signer_is_one_thing_to_do(unblocked, good):
    found = unblocked(environment="staging")
    assert len(found.today.refusals) > 5
    (way,) = found.ways
    assert ids(way) == ["build"]
    assert "let .github/workflows/attest.yml of acme/app on refs/heads/main build" in way.changes[0].text


def test_the_repository_comes_first_where_the_policy_names_none(unblocked, root):
    (way,) = unblocked(environment="staging", policy=load_policy(root / "policies")).ways
    assert ids(way) == ["repository", "build"]
    assert 'set repository = "acme/app" in' in way.changes[0].text


def test_all_at_once_is_told_in_the_order_in_which_to_do_it(unblocked, root):
    def soft(predicates):
        del predicates[f"hardening@{release.PLATFORM}"]["attributes"][0]

    change = all_of(failing, soft, without(f"smoke@{release.PLATFORM}"), vulnerable("tornado"))
    found = unblocked(change, "production", policy=load_policy(root / "policies"))
    for way in found.ways:
        assert way.needed
        assert way.judgement.passed
    assert ids(found.ways[1]) == [
        "repository",
        "update tornado",
        "mend hardening",
        "mend tests",
        "build",
        "make smoke",
        "make source",
    ]


@pytest.mark.parametrize("environment", ["development", "staging", "production"])
@pytest.mark.parametrize(
    "change",
    [failing, vulnerable("tornado"), without("tests"), all_of(failing, vulnerable("idna"))],
    ids=["failing", "vulnerable", "untested", "both"],
)
def test_no_smaller_set_of_the_same_changes_turns_it(unblocked, policy, good, environment, change):
    """Whatever is proposed: the judge says PASSED with all of it, and FAILED without any part of it."""
    made = with_source(good) if environment == "production" else release.hosted
    found = unblocked(change, environment, made=made)
    assert found.ways
    for way in found.ways:
        one = Release(
            image=release.IMAGE,
            evidence=tuple(release_of(made, change).values()),
            policy=policy,
            memory=Memory(),
        )
        assert after(one, environment, way.changes, good, release.NOW).judged(environment, release.NOW).passed
        for left_out in way.changes:
            rest = [other for other in way.changes if other != left_out]
            assert not after(one, environment, rest, good, release.NOW).judged(environment, release.NOW).passed


def release_of(made, change):
    predicates = release.predicates()
    change(predicates)
    return made(predicates)


def test_a_damaged_bundle_is_removed(unblocked):
    damaged = Flaw(
        digest="9" * 64, error=CannotEvaluate("bundle.malformed", "bundle 999: no bundle (got a, expected b)", fix="c")
    )
    (way,) = unblocked(more=(damaged,)).ways
    assert ids(way) == [f"remove {'9' * 64}"]


def test_an_image_without_provenance_and_list_gets_both(unblocked):
    def made(predicates):
        pieces = release.pieces(predicates)
        del pieces["provenance"], pieces["evidence-list"]
        return pieces

    (way,) = unblocked(made=made).ways
    assert way.needed
    assert ids(way) == ["make provenance"]


def test_withheld_evidence_needs_a_new_image(unblocked):
    def made(predicates):
        pieces = release.pieces(predicates)
        del pieces["sast"]
        return pieces

    (way,) = unblocked(made=made).ways
    assert "build" in ids(way)


def test_what_was_seen_before_and_is_gone_needs_a_new_image(policy, good):
    pieces = release.pieces()
    listed = pieces["evidence-list"]
    assert isinstance(listed, Piece)
    by = listed.by
    one = Release(image=release.IMAGE, evidence=tuple(pieces.values()), policy=policy, memory=Memory(sequences={by: 7}))
    (way,) = unblock(one, "development", good, release.NOW).ways
    assert ids(way) == ["build"]


def test_without_evidence_of_a_kind_in_the_policys_tests_it_is_told_that_nothing_is_known(unblocked, good, policy):
    less = good.model_copy(update={"predicates": {k: v for k, v in good.predicates.items() if k != "smoke"}})
    predicates = release.predicates()
    del predicates[f"smoke@{release.PLATFORM}"]
    one = Release(
        image=release.IMAGE, evidence=tuple(release.hosted(predicates).values()), policy=policy, memory=Memory()
    )
    found = unblock(one, "staging", less, release.NOW)
    assert found.ways == ()


def test_a_limit_that_nothing_can_meet_has_no_way(unblocked, policy):
    def impossible(here):
        return here.model_copy(update={"limits": here.limits | {"coverage_percent": 101}})

    hard = replace(policy, environments=tuple(map(impossible, policy.environments)))
    found = unblocked(policy=hard)
    assert not found.today.passed
    assert found.ways == ()


def test_nothing_is_changed_by_imagining(policy, good):
    pieces = tuple(release.pieces().values())
    one = Release(image=release.IMAGE, evidence=pieces, policy=policy, memory=Memory())
    before = copy.deepcopy(pieces)
    after(one, "development", [Change(act="build"), Change(act="mend", about="tests")], good, release.NOW)
    assert pieces == before
    assert after(one, "development", [], good, release.NOW).evidence == pieces


def test_every_session_that_is_named_is_there(unblocked, root, good):
    sessions = set(re.findall(r"^def ([a-z]+)\(session", (root / "noxfile.py").read_text(), re.MULTILINE))
    named = set()
    for name in release.predicates().keys() - {"provenance"}:
        for way in unblocked(without(name), "production", made=release.hosted).ways:
            for one in way.changes:
                for found in re.findall(r"scripts/nox -s ([a-z ]+)", one.text):
                    named.update(found.split())
    assert {"audit", "attest", "smoke", "reproduce", "source"} <= named
    assert named - {"update"} <= sessions


def test_the_source_that_is_imagined_is_this_releases_and_not_the_good_ones(policy, good):
    """Rules hold the forge's answer against the commit that was built."""
    predicates = release.predicates()
    here = release.context(commit="7" * 40, tree="8" * 40, uri="git+https://github.com/acme/other")
    for name, predicate in predicates.items():
        if "gatehouse_context" in predicate:
            predicate["gatehouse_context"] = here
        if name.startswith("sbom"):
            predicate["metadata"]["properties"][0]["value"] = json.dumps(here)
    evidence = tuple(release.hosted(predicates, commit="7" * 40).values())
    one = Release(image=release.IMAGE, evidence=evidence, policy=policy, memory=Memory())
    (way,) = unblock(one, "production", good, release.NOW).ways
    assert ids(way) == ["make source"]


@pytest.mark.parametrize("days", [40, 400])
def test_what_is_too_old_is_made_again_where_the_newest_counts_and_else_built(policy, good, days):
    one = Release(image=release.IMAGE, evidence=tuple(release.hosted().values()), policy=policy, memory=Memory())
    (way,) = unblock(one, "staging", good, release.NOW + timedelta(days=days)).ways
    assert ids(way) == (["make vulnerabilities"] if days == 40 else ["build"])
    assert way.needed
