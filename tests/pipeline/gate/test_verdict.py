"""A judgement as a verification summary."""

from dataclasses import replace
from datetime import timedelta

from pipeline.gate.levels import OWN
from pipeline.gate.verdict import same_verdict, verdict_predicate, verdict_statement
from pipeline.model.kinds import Kind
from pipeline.model.predicates import VerdictPredicate, dump, parse_predicate
from pipeline.model.statement import parse_statement
from tests.support import release


def test_a_passed_verdict_names_image_policy_levels_and_every_input(judged, policy):
    made = release.pieces()
    predicate = dump(verdict_predicate(judged(made), "noticeboard"))
    assert predicate["verificationResult"] == "PASSED"
    assert predicate["resourceUri"] == f"pkg:oci/noticeboard@sha256%3A{'1' * 64}"
    assert predicate["policy"] == {"uri": "urn:gatehouse:policy:development", "digest": {"sha256": policy.digest}}
    assert predicate["timeVerified"] == "2026-11-20T12:00:00Z"
    assert predicate["verifiedLevels"] == ["SLSA_BUILD_LEVEL_1", *OWN]
    digests = {one["digest"]["sha256"] for one in predicate["inputAttestations"]}
    assert digests == {one.digest for one in made.values()}


def test_a_failed_verdict_says_failed_for_its_level_and_the_codes_that_refused(judged):
    predicate = dump(verdict_predicate(judged({}), "noticeboard"))
    assert (predicate["verificationResult"], predicate["verifiedLevels"]) == ("FAILED", ["FAILED"])
    assert predicate["gatehouse_refusals"] == ["evidence.missing", "list.missing"]


def test_its_statement_is_of_the_kind_verdict_and_parses(judged):
    statement = parse_statement(verdict_statement(judged(release.pieces()), "noticeboard"))
    assert statement.kind == Kind.VERDICT
    assert statement.digests() == [release.IMAGE.digest]
    assert isinstance(parse_predicate(Kind.VERDICT, statement.predicate), VerdictPredicate)


def test_the_same_verdict_at_another_time_is_the_same(judged):
    one = verdict_predicate(judged(release.pieces()), "noticeboard")
    later = verdict_predicate(judged(release.pieces(), now=release.NOW + timedelta(hours=1)), "noticeboard")
    other = verdict_predicate(replace(judged(release.pieces()), policy="0" * 64), "noticeboard")
    assert same_verdict(one, later)
    assert not same_verdict(one, other)
