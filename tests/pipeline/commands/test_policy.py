"""``python -m pipeline policy``: what each action prints, and how it exits."""

import json
import shutil

import pytest

from pipeline.cli import main
from pipeline.gate.policy import EXCEPTIONS_FILE

EXCEPTION = """
[[exception]]
id = "EX-{number}"
code = "vulnerabilities.deadline"
finding = "CVE-2026-{number:04}"
environments = ["staging", "production"]
owner = "the platform team"
reason = "no release mends it yet; the code is not reached"
ticket = "SEC-1"
created = 2026-11-01
expires = {expires}
"""


@pytest.fixture
def folder(tmp_path, root):
    copy = tmp_path / "policies"
    shutil.copytree(root / "policies", copy, ignore=shutil.ignore_patterns("schemas"))
    return copy


def excuse(folder, *days):
    text = "".join(EXCEPTION.format(number=number, expires=expires) for number, expires in enumerate(days, 1))
    (folder / EXCEPTIONS_FILE).write_text(text)


@pytest.fixture
def policy(folder, capsys):
    """Runs an action on the copy; the exit code, what was printed, and what was said."""

    def call(action, *arguments):
        code = main(["policy", action, "--policy", str(folder), *arguments])
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err.splitlines()

    return call


def test_check_says_which_exceptions_are_in_force_and_which_end(policy, folder):
    excuse(folder, "2026-12-31", "2026-11-25", "2026-11-10")
    code, lines, _ = policy("check", "--at", "2026-11-20T12:00:00Z")
    assert code == 0
    assert lines[0].startswith("policy: 45 rules for development, staging, production; sha256:")
    assert lines[1:] == [
        "staging: 2 of 10 exceptions, 86 of 450 exception-days",
        "production: 2 of 5 exceptions, 86 of 150 exception-days",
        "exception EX-2: ends in 5 days, on 2026-11-25",
        "exception EX-3: expired on 2026-11-10 and counts no longer",
    ]


def test_check_says_where_a_budget_is_spent(policy, folder):
    excuse(folder, *["2026-12-31"] * 3)
    _, lines, _ = policy("check", "--at", "2026-11-20T12:00:00Z")
    assert "production: 3 of 5 exceptions, 183 of 150 exception-days: over its budget, so that none counts" in lines


def test_check_cannot_evaluate_a_broken_policy(policy, folder):
    (folder / "rules.toml").write_text("rule = []\n")
    code, lines, said = policy("check")
    assert (code, lines) == (3, [])
    assert said[0].startswith("policy.shape: policies/rules.toml: not a policy (got rule: tuple should have at least 1")


def test_test_refuses_a_policy_that_does_not_do_what_its_cases_say(policy, folder):
    for path in (folder / "tests").glob("*.toml"):
        if path.stem != "tests":
            path.unlink()
    text = (folder / "environments.toml").read_text()
    (folder / "environments.toml").write_text(text.replace("coverage_percent = 80", "coverage_percent = 70"))
    code, lines, said = policy("test", "--mutate")
    assert code == 1
    assert (
        "case coverage just below what development asks (development): verdict (got PASSED, expected FAILED)" in lines
    )
    assert lines[-1].endswith("problems")
    assert said[0].startswith("policy.case-failed: policy: not as its cases say (got case coverage just below")


def test_explain_tells_a_rule_with_its_limits_its_exceptions_and_its_cases(policy, folder):
    excuse(folder, "2026-12-31")
    code, lines, _ = policy("explain", "vulnerabilities.feed-age")
    assert code == 0
    assert lines[:6] == [
        "vulnerabilities.feed-age: What the feeds know is young enough",
        "evidence: vulnerabilities",
        "environments:",
        "  development: warns (feed_age_hours = 72)",
        "  staging: refuses (feed_age_hours = 24)",
        "  production: refuses (feed_age_hours = 24)",
    ]
    assert "refuses: a feed of the future (staging, production)" in lines
    _, lines, _ = policy("explain", "vulnerabilities.deadline")
    assert any(line.startswith("exception EX-1: CVE-2026-0001 in staging and production") for line in lines)


def test_explain_tells_an_exception(policy, folder):
    excuse(folder, "2026-12-31")
    code, lines, _ = policy("explain", "EX-1")
    assert code == 0
    assert lines[:4] == [
        "EX-1: vulnerabilities.deadline is excused, for CVE-2026-0001 in staging and production",
        "reason: no release mends it yet; the code is not reached",
        "owner: the platform team, SEC-1",
        "from 2026-11-01 to the end of 2026-12-31, 61 days",
    ]


def test_explain_tells_a_code_of_the_judge(policy):
    code, lines, _ = policy("explain", "evidence.future")
    assert code == 0
    assert lines[0].startswith("evidence.future: a refusal of the pipeline itself (gate.agreement")
    assert lines[0].endswith("), and no exception excuses it")
    assert lines[1] == "exit code: verdict"
    assert lines[2].startswith("refusal: …: signed in the future (got …, expected before …)")


def test_explain_of_nothing_known_is_misuse(policy):
    code, lines, said = policy("explain", "tests.typo")
    assert (code, lines) == (2, [])
    assert said == [
        (
            "policy.unknown: policy: no such rule or exception (got 'tests.typo', expected an id of "
            "policies/rules.toml or policies/exceptions.toml)"
        ),
        "  fix: codes that are no rule's are in docs/codes.md",
    ]


def test_schema_prints_one_and_writes_all(policy, folder):
    code, lines, _ = policy("schema", "exceptions")
    assert code == 0
    assert json.loads("\n".join(lines))["title"] == "ExceptionsFile"
    assert policy("schema", "--write")[1][0].startswith("schemas: environments.schema.json, rules.schema.json")
    assert policy("schema", "--write")[1] == ["schemas: all current"]
    assert (folder / "schemas" / "cases.schema.json").is_file()
    code, _, said = policy("schema", "horoscope")
    assert code == 2
    assert said[0].startswith("policy.schema: policy schema: no such file (got 'horoscope', expected one of env")


def test_vex_prints_what_is_excused_for_an_image(policy, folder):
    excuse(folder, "2026-12-31", "2026-11-10")
    image = "sha256:" + "1" * 64
    code, lines, _ = policy("vex", image, "--at", "2026-11-20T12:00:00Z", "--environment", "staging")
    assert code == 0
    assert [one["vulnerability"]["name"] for one in json.loads("\n".join(lines))["statements"]] == ["CVE-2026-0001"]
    code, lines, said = policy("vex", image, "--environment", "development")
    assert (code, lines) == (1, [])
    assert said[0].startswith(f"policy.vex: development: nothing to say of {image} (got no exception on a vulnerabil")
    assert policy("vex", image, "--environment", "moon")[0] == 3
