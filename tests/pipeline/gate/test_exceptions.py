"""Exceptions: what an entry may say, for how long, about what. policies/tests/exceptions.toml shows what they do."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.gate.asking import ask
from pipeline.gate.evidence import Piece
from pipeline.gate.levels import DEADLINES_MET
from pipeline.gate.policy import EXCEPTIONS_FILE, load_policy
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from tests.support import release

ENTRY = {
    "id": '"EX-1"',
    "code": '"vulnerabilities.deadline"',
    "finding": '"GHSA-0000"',
    "environments": '["development"]',
    "owner": '"the platform team"',
    "reason": '"no release mends it yet; the code is not reached"',
    "ticket": '"SEC-1"',
    "created": "2026-11-01",
    "expires": "2027-01-30",  # 90 days later
}


@pytest.fixture
def folder(tmp_path, root):
    shutil.copytree(root / "policies", tmp_path / "policies", ignore=shutil.ignore_patterns("tests", "schemas"))
    return tmp_path / "policies"


def write(folder, *entries):
    lines = (
        "".join(f"{name} = {value}\n" for name, value in {**ENTRY, **one}.items() if value is not None)
        for one in entries
    )
    (folder / EXCEPTIONS_FILE).write_text("".join(f"[[exception]]\n{text}\n" for text in lines))
    return folder


def test_an_exception_is_part_of_the_policy_and_of_its_digest(folder):
    before = load_policy(folder)
    after = load_policy(write(folder, {}))
    assert before.exceptions == ()
    assert [one.scope for one in after.exceptions] == ["GHSA-0000 in development"]
    assert before.digest != after.digest


def test_an_exception_in_the_file_lets_a_release_pass(folder, judged):
    predicates = release.predicates()
    predicates["vulnerabilities"]["scanner"]["result"] = [release.finding("high", "2026-01-01T00:00:00Z")]
    made = release.pieces(predicates)
    assert not judged(made, policy=load_policy(folder)).passed
    judgement = judged(made, policy=load_policy(write(folder, {})))
    assert judgement.passed
    assert DEADLINES_MET in judged(release.pieces()).levels
    assert DEADLINES_MET not in judgement.levels
    assert judgement.exceptions == ("EX-1",)
    assert judgement.to_json()["exceptions"] == ["EX-1"]
    [warning] = judgement.warnings
    assert warning.code == "exception.used"
    assert warning.message.startswith(
        "exception EX-1: excuses until the end of 2027-01-30, by the platform team, SEC-1: "
        "vulnerabilities: past the deadline (got GHSA-0000 in tornado 6.0"
    )


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"owner": None}, "policy.shape", "exception.0.owner: field required"),
        ({"reason": '"because"'}, "policy.shape", "exception.0.reason: string should have at least 20"),
        ({"ticket": None}, "policy.shape", "exception.0.ticket: field required"),
        ({"created": None}, "policy.shape", "exception.0.created: field required"),
        ({"expires": None}, "policy.shape", "exception.0.expires: field required"),
        ({"expires": "2027-01-31"}, "policy.shape", "should expire at most 90 days after its creation"),
        ({"expires": "2026-10-31"}, "policy.shape", "should expire on the day of its creation or later"),
        ({"expires": "2027-01-30T00:00:00Z"}, "policy.malformed", "not JSON serializable"),
        ({"expires": '"never"'}, "policy.shape", "exception.0.expires"),
        ({"forever": "true"}, "policy.shape", "exception.0.forever: extra inputs are not permitted"),
        ({"id": '"ex 1"'}, "policy.shape", "exception.0.id"),
        ({"finding": '"*"'}, "policy.shape", "exception.0.finding"),
        ({"component": '"tornado"'}, "policy.shape", "exception.0.component"),
        ({"component": '"pkg:pypi/*"'}, "policy.shape", "exception.0.component"),
        ({"image": '"latest"'}, "policy.shape", "exception.0.image"),
        ({"environments": "[]"}, "policy.shape", "exception.0.environments"),
        ({"environments": '["moon"]'}, "policy.contradiction", "exception EX-1: no environment moon"),
        (
            {"environments": '["development", "development"]'},
            "policy.contradiction",
            "exception EX-1: names an environment twice",
        ),
        ({"code": '"vulnerabilities.typo"'}, "policy.contradiction", "exception EX-1: no rule vulnerabilities.typo"),
        ({"code": '"evidence.withheld"'}, "policy.contradiction", "exception EX-1: no rule evidence.withheld"),
        (
            {"finding": None},
            "policy.contradiction",
            "exception EX-1: speaks of every item of rule vulnerabilities.deadline: should name a finding",
        ),
        (
            {"finding": None, "code": '"tests.coverage"', "environments": '["development", "staging", "production"]'},
            "policy.contradiction",
            "exception EX-1: speaks of everything that rule tests.coverage refuses: should name an image",
        ),
        (
            {"code": '"tests.coverage"'},
            "policy.contradiction",
            "exception EX-1: finding means nothing to rule tests.cov",
        ),
        (
            {"code": '"hardening.attributes"', "component": '"pkg:pypi/tornado"'},
            "policy.contradiction",
            "exception EX-1: component means nothing to rule hardening.attributes",
        ),
        (
            {"code": '"vulnerabilities.critical"'},
            "policy.contradiction",
            "exception EX-1: rule vulnerabilities.critical does not apply in development",
        ),
        (
            {"code": '"hardening.attributes"', "justification": '"component_not_present"'},
            "policy.contradiction",
            "exception EX-1: has a justification and speaks of no vulnerability",
        ),
        ({"justification": '"we_think_so"'}, "policy.shape", "exception.0.justification"),
    ],
)
def test_an_exception_that_says_too_little_or_too_much_is_no_policy(folder, changes, code, said):
    with pytest.raises(CannotEvaluate) as error:
        load_policy(write(folder, changes))
    assert (error.value.code, said in error.value.message) == (code, True), error.value.message


def test_two_exceptions_of_one_name_are_no_policy(folder):
    with pytest.raises(CannotEvaluate, match="exception EX-1 is there twice"):
        load_policy(write(folder, {}, {}))


def test_a_component_that_nobody_can_read_is_not_what_is_excused(folder, policy):
    exceptions = load_policy(write(folder, {"finding": None, "component": '"pkg:pypi/tornado"'})).exceptions
    predicates = release.predicates()
    found = release.finding("high", "2026-01-01T00:00:00Z", purl="tornado 6.0")
    predicates["vulnerabilities"]["scanner"]["result"] = [found]
    piece = release.pieces(predicates)["vulnerabilities"]
    assert isinstance(piece, Piece)

    own = replace(policy, exceptions=exceptions)
    asked = ask([piece], own, own.environments[0], Digest("1" * 64), release.NOW)
    assert [one.code for one in asked.refusals] == ["vulnerabilities.deadline"]
    assert [one.code for one in asked.warnings] == ["exception.stale"]


def test_an_exception_lives_from_its_first_to_the_end_of_its_last_day(folder):
    [one] = load_policy(write(folder, {"expires": "2026-11-02"})).exceptions
    moments = [
        datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 3, tzinfo=UTC),
    ]
    assert [one.in_force(moment) for moment in moments] == [False, True, True, False]
    assert one.days == 2
