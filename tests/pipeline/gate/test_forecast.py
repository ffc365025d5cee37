"""What ends when: each date is one at which the judge, asked again, says something else."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.gate.evidence import Memory
from pipeline.gate.exceptions import PolicyException
from pipeline.gate.forecast import forecast
from pipeline.gate.gathering import load_roots
from pipeline.gate.rules import compile_rule
from pipeline.gate.verify_command import Release
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.signing.trust import load_trusted_root, parts
from tests.support import release

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def release_of(policy, change=lambda predicates: None, *, made=release.pieces, roots=None):
    predicates = release.predicates()
    change(predicates)
    evidence = tuple(made(predicates).values())
    return Release(image=release.IMAGE, evidence=evidence, policy=policy, memory=Memory(), roots=roots or {})


def outlook(one, environment="development", days=185, now=release.NOW):
    return forecast(one, now, days, (environment,)).outlooks[0]


def dates(outlook, code):
    return [event.at for event in outlook.events if event.finding.code == code]


def vulnerable(predicates):
    predicates["vulnerabilities"]["scanner"]["result"] = [
        release.finding("high", "2026-11-19T00:00:00Z"),
        release.finding("low", "2026-11-19T00:00:00Z") | {"id": "GHSA-1111"},
    ]


def test_evidence_ends_a_second_past_its_age(policy):
    here = policy.environment("development")
    found = outlook(release_of(policy))
    ends = release.SIGNED + timedelta(hours=here.max_age.of("vulnerabilities")) + SECOND
    assert found.ends == ends == dates(found, "evidence.expired")[0]
    assert release.SIGNED + timedelta(hours=here.max_age.default) + SECOND in dates(found, "evidence.expired")


def test_each_deadline_is_a_date_of_its_own(policy):
    deadlines = policy.environment("development").deadlines
    published = datetime(2026, 11, 19, tzinfo=UTC)
    assert dates(outlook(release_of(policy, vulnerable)), "vulnerabilities.deadline") == [
        published + timedelta(days=deadlines.high) + SECOND,
        published + timedelta(days=deadlines.low) + SECOND,
    ]


@pytest.mark.parametrize("environment", ["development", "staging"])
def test_the_verdict_is_the_judges_on_both_sides_of_every_date(policy, environment):
    one = release_of(policy, vulnerable, made=release.hosted)
    found = outlook(one, environment)
    assert found.today.passed
    assert len(found.events) > 5
    for event in found.events:
        before, after = (one.judged(environment, event.at - SECOND), one.judged(environment, event.at))
        assert event.finding in (*after.refusals, *after.warnings)
        assert after.passed is event.passed
        codes = [(f.code, f.kind, f.message) for f in (*before.refusals, *before.warnings)]
        assert (event.finding.code, event.finding.kind, event.finding.message) not in codes
    assert one.judged(environment, found.ends - SECOND).passed
    assert not one.judged(environment, found.ends).passed


def excepted(policy, expires):
    exception = PolicyException(
        id="EX-1",
        code="vulnerabilities.deadline",
        finding="GHSA-0000",
        environments=("development",),
        owner="rita@example.org",
        reason="The vulnerable function is not called by the service.",
        ticket="OPS-1",
        created=date(2026, 11, 1),
        expires=expires,
    )
    return replace(policy, exceptions=(exception,))


def long_past(predicates):
    predicates["vulnerabilities"]["scanner"]["result"] = [release.finding("high", "2026-01-01T00:00:00Z")]


def test_an_exception_ends_with_its_last_day_and_warns_14_days_ahead(policy):
    found = outlook(release_of(excepted(policy, date(2026, 12, 20)), long_past), days=60)
    assert found.today.passed
    ends = datetime(2026, 12, 21, tzinfo=UTC)
    assert dates(found, "vulnerabilities.deadline") == [ends]
    assert dates(found, "exception.expired") == [ends]
    assert dates(found, "exception.expiring") == [ends - 14 * DAY]
    assert [event.refuses for event in found.events if event.finding.code == "exception.expiring"] == [False]


def test_what_a_rule_of_ones_own_makes_depend_on_the_time_is_found_to_the_second(policy):
    rule = policy.rules[0].rule.model_copy(
        update={
            "id": "tests.season",
            "kinds": ("tests",),
            "allow": 'predicate.result == "PASSED" && now < timestamp("2027-01-13T01:02:03Z")',
            "got": "now",
            "expected": '"earlier"',
        }
    )
    own = replace(policy, rules=(*policy.rules, compile_rule(rule)))
    found = outlook(release_of(own))
    assert dates(found, "tests.season") == [datetime(2027, 1, 13, 1, 2, 3, tzinfo=UTC)]


@pytest.mark.parametrize("part", [1, 300_000, 999_999])
def test_a_time_between_two_seconds_is_a_time_as_any_other(policy, part):
    now = release.NOW.replace(microsecond=part)
    found = outlook(release_of(excepted(policy, date(2026, 12, 3)), long_past), now=now)
    assert dates(found, "exception.expired") == [datetime(2026, 12, 4, tzinfo=UTC)]


def test_an_environment_that_refuses_today_has_no_end_and_tells_what_comes_besides(policy):
    found = outlook(release_of(policy, vulnerable), "production")
    assert not found.today.passed
    assert found.ends is None
    assert found.events


def test_the_end_of_a_trust_root_is_told_and_changes_no_verdict(policy, rekor_v1):
    root = load_trusted_root(rekor_v1.trusted_root)
    one = release_of(policy, roots={"local": root})
    before = min(part.end for part in parts(root) if part.end) - DAY
    ending = [event for event in outlook(one, now=before, days=2).events if event.finding.code == "trust.expiring"]
    assert ending
    assert all(event.passed is None and not event.refuses for event in ending)
    assert not dates(outlook(one, "staging", now=before, days=2), "trust.expiring")


def test_nothing_is_told_of_what_lies_past_the_end(policy):
    found = forecast(release_of(policy, vulnerable), release.NOW, 3)
    assert all(event.at <= release.NOW + 3 * DAY for one in found.outlooks for event in one.events)
    assert found.outlooks[0].ends is None


def test_all_environments_are_told_in_their_order(policy, root):
    one = release_of(policy, roots=load_roots(root / "nowhere", root / "policies"))
    assert [found.environment for found in forecast(one, release.NOW, 30).outlooks] == [
        "development",
        "staging",
        "production",
    ]


def test_an_environment_that_is_not_there_and_a_time_that_is_none_are_refused(policy):
    with pytest.raises(CannotEvaluate) as unknown:
        outlook(release_of(policy), "moon")
    assert unknown.value.code == "policy.environment"
    with pytest.raises(Misuse) as time:
        outlook(release_of(policy), now=datetime(2999, 12, 1, tzinfo=UTC), days=60)
    assert time.value.code == "verify.time"


def test_a_forecast_is_the_same_when_asked_again(policy):
    one = release_of(policy, vulnerable)
    assert forecast(one, release.NOW, 20) == forecast(one, release.NOW, 20)
