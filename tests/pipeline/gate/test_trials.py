"""The tests of the shipped policy, and what keeps a case from being one."""

import shutil
from pathlib import Path

import pytest

from pipeline.gate.cases import load_cases
from pipeline.gate.policy import RULES_FILE, Policy, load_policy
from pipeline.gate.policy_tests import check_cases
from pipeline.gate.trials import load_trials
from pipeline.model.errors import CannotEvaluate, Refused

GOOD = """
[[case]]
name = "the good release"
environments = ["development"]
verdict = "PASSED"
"""


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """The shipped policy with the good release and no case."""
    copy = tmp_path / "policies"
    shutil.copytree(root / "policies", copy, ignore=shutil.ignore_patterns("schemas", "trust", "sast.toml"))
    for path in (copy / "tests").glob("*.toml"):
        path.unlink()
    return copy


def write(folder: Path, text: str) -> Path:
    (folder / "tests" / "some.toml").write_text(text)
    return folder


def refused(folder: Path, policy: Policy) -> str:
    with pytest.raises(CannotEvaluate) as error:
        load_trials(folder, policy)
    assert error.value.code in ("policy.case", "document.shape")
    return error.value.message


def test_the_shipped_policy_does_what_its_cases_say(root):
    tested = check_cases(root / "policies")
    assert tested.problems == ()
    assert list(tested.lines()) == [
        f"policy: {tested.cases} cases, {tested.judgements} judgements, {tested.rules} rules: all as expected"
    ]
    tested.check()


@pytest.mark.full
def test_no_looser_policy_does_what_the_shipped_cases_say(root):
    tested = check_cases(root / "policies", mutate=True)
    assert tested.mutation is not None
    assert tested.mutation.survivors == ()
    assert tested.mutation.count > 900
    assert list(tested.lines())[-1].endswith(", 100.0 %")


def test_a_case_that_gets_another_verdict_is_told_with_what_was_got(folder):
    write(folder, GOOD.replace("PASSED", "FAILED") + 'codes = ["tests.count"]\nmessage = "tests: none"\n')
    tested = check_cases(folder)
    assert [said for said in tested.problems if said.startswith("case")] == [
        "case the good release (development): verdict (got PASSED, expected FAILED)",
        "case the good release (development): codes (got none, expected tests.count)",
        "case the good release (development): message (got nothing, expected tests: none)",
    ]
    with pytest.raises(Refused, match="policy: not as its cases say") as error:
        tested.check()
    assert error.value.code == "policy.case-failed"


def test_a_rule_without_a_case_is_told(folder):
    write(folder, GOOD)
    problems = check_cases(folder).problems
    assert "rule tests.count: no case that it refuses" in problems
    assert "rule tests.count: no case that it lets pass" not in problems
    assert "rule source.reviews: no case that it lets pass" in problems


def test_a_looser_policy_than_its_cases_is_told(folder, root):
    """A policy of one rule, with one case on each side that is far from its limit."""
    rules = (folder / RULES_FILE).read_text()
    start = rules.index('[[rule]]\nid = "tests.coverage"')
    (folder / RULES_FILE).write_text(rules[start : rules.index("[[rule]]", start + 8)])
    environments = (root / "policies" / "environments.toml").read_text()
    development = environments[: environments.index("# --- staging")]
    limits = development.index("[environment.limits]")
    development = (
        development[:limits]
        + "[environment.limits]\ncoverage_percent = 80\n\n"
        + development[development.index("[environment.deadlines]") :]
    )
    start = development.index("required = [")
    (folder / "environments.toml").write_text(
        development[:start] + 'required = ["tests"]\n\n' + development[development.index("[environment.signers]") :]
    )
    low = GOOD.replace("the good release", "no coverage").replace("PASSED", "FAILED") + 'codes = ["tests.coverage"]\n'
    change = 'change = [{ evidence = "tests", at = "gatehouse_measures.coverage_percent", to = 0 }]\n'
    write(folder, GOOD + low + change)
    tested = check_cases(folder, mutate=True)
    assert tested.problems == ()
    assert tested.mutation is not None
    assert "environment development: coverage_percent = 79" in tested.mutation.survivors
    assert "rule tests.coverage: deleted" not in tested.mutation.survivors
    assert "survived: environment development: coverage_percent = 79" in list(tested.lines())
    with pytest.raises(
        Refused, match=r"policy: a looser one passes its cases \(got \d\d\.\d % of \d+ mutants"
    ) as error:
        tested.check()
    assert error.value.code == "policy.mutant"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "some.toml: no test of the policy (got case: field required"),
        ("case = 3", "case: input should be a valid array"),
        ("nonsense", "Expected '=' after a key"),
        (GOOD + "surprise = 1\n", "case.0.surprise: extra inputs are not permitted"),
        (GOOD + 'codes = ["tests.count"]\n', "should have codes where the verdict is failed, and only there"),
        (GOOD.replace("PASSED", "FAILED"), "should have codes where the verdict is failed, and only there"),
        (GOOD.replace("development", "moon"), "the good release: no environment moon"),
        (GOOD + GOOD, "'the good release' twice"),
        (GOOD + 'change = [{ evidence = "horoscope" }]\n', "case.0.change.0.evidence"),
        (GOOD + 'change = [{ evidence = "tests", at = "a.b", to = 1 }]\n', "the good release: no a.b in tests"),
        (GOOD + 'change = [{ evidence = "tests", at = "a" }]\n', "should have to or remove beside at"),
        (GOOD + 'change = [{ evidence = "tests", signer = { name = "x" } }]\n', "case.0.change.0.signer"),
    ],
)
def test_what_is_no_case_is_refused(folder, policy, text, said):
    assert said in refused(write(folder, text), policy)


def test_a_policy_without_cases_is_not_tested(folder, policy):
    assert refused(folder, policy).startswith("policies/tests: no test of the policy (got no case, expected a case")


def test_a_missing_release_is_told(folder, policy):
    (folder / "tests" / "release.json").unlink()
    assert "policies/tests/release.json: no test of the policy (got No such file" in refused(folder, policy)


def test_each_kind_of_evidence_of_the_good_release_is_looked_at(root, policy):
    """No case is red because its evidence could not be read, but those that say so."""
    unread = [
        case.name
        for case in load_cases(root / "policies")
        if "document.shape" in case.codes and "digest" not in case.name
    ]
    assert unread == []


def test_the_policy_of_a_case_is_the_folders_own(folder):
    """What the repository's policy says is not what another folder's cases are judged by."""
    text = (folder / "environments.toml").read_text()
    (folder / "environments.toml").write_text(text.replace("coverage_percent = 80", "coverage_percent = 98", 1))
    write(folder, GOOD)
    assert load_policy(folder).environments[0].limits["coverage_percent"] == 98
    assert (
        "case the good release (development): codes (got tests.coverage, expected none)" in check_cases(folder).problems
    )
