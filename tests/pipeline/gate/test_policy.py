"""Policy files: strict, whole and free of contradictions, or nothing is judged."""

import contextlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.gate.environments import Succession
from pipeline.gate.policy import ENVIRONMENTS_FILE, EXCEPTIONS_FILE, FILES, RULES_FILE, load_policy, policy_digest
from pipeline.gate.policy_explained import summary
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import LISTED, Kind
from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A copy of the shipped policy."""
    copy = tmp_path / "policies"
    copy.mkdir()
    for name in FILES:
        shutil.copy(root / "policies" / name, copy)
    return copy


def refused(folder: Path) -> CannotEvaluate:
    with pytest.raises(CannotEvaluate) as error:
        load_policy(folder)
    return error.value


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_the_shipped_policy_holds_together(root):
    lines = list(summary(load_policy(root / "policies"), datetime.now(UTC)))
    assert lines[0].startswith("policy: 45 rules for development, staging, production; ")


def test_the_environments_are_in_the_order_of_promotion(policy):
    assert [policy.before(one.name) for one in policy.environments] == [None, "development", "staging"]


def test_nothing_is_required_of_an_earlier_environment_alone(policy):
    required = [set(one.required) for one in policy.environments]
    assert required[0] <= required[1] <= required[2]


def test_deadlines_get_no_longer_from_environment_to_environment(policy):
    days = [one.deadlines.model_dump() for one in policy.environments]
    assert all(days[0][severity] >= days[1][severity] >= days[2][severity] for severity in days[0])


def test_the_local_signer_is_the_embedded_instances_developer(policy):
    local = policy.signers["local"]
    assert (local.issuer, local.identity, local.root) == (LOCAL_ISSUER, LOCAL_IDENTITY, "local")


def test_only_development_trusts_the_local_root(policy):
    assert [one.name for one in policy.environments if "local" in one.roots] == ["development"]


def test_past_development_verdicts_and_entries_are_by_workflows_of_their_own(policy):
    """No case of policies/tests can say so: what the gate writes is never its own input."""
    for environment in policy.environments[1:]:
        by = {kind: environment.signers.of(kind) for kind in (Kind.VERDICT, Kind.PROMOTION, Kind.REVOCATION)}
        assert by == {Kind.VERDICT: ("judge",), Kind.PROMOTION: ("promote",), Kind.REVOCATION: ("promote",)}
        evidence = {name for kind in LISTED for name in environment.signers.of(kind)}
        assert evidence.isdisjoint({"judge", "promote"})


def test_what_may_follow_what_is_not_loosened(policy):
    assert policy.succession == Succession(unordered=("development",), hotfix=(), grant_days=7)


@pytest.mark.parametrize("name", [ENVIRONMENTS_FILE, RULES_FILE])
def test_a_missing_file_is_no_policy(folder, name):
    (folder / name).unlink()
    error = refused(folder)
    assert (error.code, error.message) == (
        "policy.missing",
        f"policies/{name}: not a policy (got no such file, expected a file)",
    )


@pytest.mark.parametrize("name", [ENVIRONMENTS_FILE, RULES_FILE])
def test_an_empty_file_is_no_policy(folder, name):
    (folder / name).write_text("")
    assert refused(folder).code == "policy.shape"


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ('repository = ""', 'repository = ""\nrepository = "a/b"', "policy.malformed", "Cannot overwrite a value"),
        ('repository = ""', 'repository = ""\nallow_all = true', "policy.shape", "allow_all: extra inputs"),
        ('repository = ""', 'repository = "https://x"', "policy.shape", "repository: string should match"),
        ("coverage_percent = 80", "coverage_percent = nan", "policy.malformed", "JSON compliant"),
        ("coverage_percent = 80", "coverage_percent = 1979-05-27", "policy.malformed", "not JSON serializable"),
        (
            "coverage_percent = 80",
            "",
            "policy.contradiction",
            "environment development: limit coverage_percent is missing",
        ),
        (
            "coverage_percent = 80",
            "coverage_percent = 80\ncoverage_procent = 90",
            "policy.contradiction",
            "environment development: no rule looks at limit coverage_procent",
        ),
        ("critical = 14", "", "policy.shape", "environment.0.deadlines.critical: field required"),
        ("critical = 14", "critical = -1", "policy.shape", "greater than or equal to 0"),
        ('name = "staging"', 'name = "development"', "policy.contradiction", "environment development is there twice"),
        ('"vulnerabilities.canary"', '"subject.mismatch"', "policy.contradiction", "subject.mismatch cannot warn"),
        (
            '"vulnerabilities.canary"',
            '"vulnerabilities.typo"',
            "policy.contradiction",
            "vulnerabilities.typo cannot warn",
        ),
        (
            '"vulnerabilities.canary"',
            '"workflows.result"',
            "policy.contradiction",
            "environment development: workflows is required and no rule that refuses looks at it",
        ),
        (
            'hardening = ["NON_ROOT_USER", "NO_SETUID_FILES", "NO_SECRETS"]',
            "hardening = []",
            "policy.contradiction",
            "environment development: rule hardening.attributes allows evidence that says nothing",
        ),
        ('required = ["signature"', 'required = ["promotion"', "policy.contradiction", "promotion cannot be required"),
        ('required = ["signature"', 'required = ["horoscope"', "policy.shape", "environment.0.required.0"),
        ('default = ["local", "attest"]', 'default = ["nobody"]', "policy.contradiction", "no signer nobody"),
        ('default = ["local", "attest"]', "default = []", "policy.shape", "at least 1 item"),
        ('roots = ["local", "public"]', 'roots = ["public"]', "policy.contradiction", "signer local is of root local"),
        ('type = "exact"', 'type = "anybody"', "policy.shape", "signer.local"),
        (
            'roots = ["public"]',
            'roots = ["public", "local"]',
            "policy.contradiction",
            "environment staging: root local counts in the first environment alone",
        ),
        ("\n# --- staging", "\n[[environment]]\n# --- staging", "policy.shape", "environment.1.name: field required"),
    ],
)
def test_a_broken_environment_is_no_policy(folder, old, new, code, said):
    edit(folder, ENVIRONMENTS_FILE, old, new)
    error = refused(folder)
    assert (error.code, said in error.message) == (code, True), error.message


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (
            'kinds = ["workflows"]',
            'kinds = ["workflows"]\nenvironments = ["staging"]',
            "policy.contradiction",
            "environment development: workflows is required and no rule that refuses looks",
        ),
        ('title = "The tests passed"', "", "policy.shape", "rule.0.title: field required"),
        ('title = "The tests passed"', 'title = "The tests passed"\nskip = true', "policy.shape", "rule.0.skip"),
        ('id = "tests.count"', 'id = "tests.result"', "policy.contradiction", "rule tests.result is there twice"),
        ('kinds = ["tests"]', "kinds = []", "policy.shape", "at least 1 item"),
        (
            'kinds = ["tests"]',
            'kinds = ["tests"]\nenvironments = ["moon"]',
            "policy.contradiction",
            "no environment moon",
        ),
        (" (got {got}, expected {expected})", "", "policy.shape", "should end with (got {got}, expected {expected})"),
        (
            'predicate.result == "PASSED" && size(predicate.failedTests) == 0',
            "predicate.result",
            "policy.expression",
            "DYN",
        ),
        ("limits.coverage_percent", "limits.coverage", "policy.contradiction", "limit coverage is missing"),
        *(
            (
                "predicate.gatehouse_measures.coverage_percent >= limits.coverage_percent",
                allow,
                "policy.contradiction",
                "environment development: rule tests.coverage allows evidence that says nothing",
            )
            for allow in (
                "limits.coverage_percent >= 0",
                "!has(predicate.gatehouse_measures) || limits.coverage_percent > 100",
                "now >= verified && limits.coverage_percent >= 0",
            )
        ),
        (
            'id = "tests.count"',
            'id = "evidence.withheld"',
            "policy.contradiction",
            "rule evidence.withheld: its code is of none of its kinds",
        ),
    ],
)
def test_a_broken_rule_is_no_policy(folder, old, new, code, said):
    edit(folder, RULES_FILE, old, new)
    error = refused(folder)
    assert (error.code, said in error.message) == (code, True), error.message


def test_bytes_that_are_no_text_are_no_policy(folder):
    (folder / RULES_FILE).write_bytes(b"\xff\xfe")
    assert refused(folder).code == "policy.malformed"


def test_a_policy_of_megabytes_is_refused(folder):
    (folder / RULES_FILE).write_bytes(b"#" * 2_000_000)
    assert "more than 1048576" in refused(folder).message


def test_the_digest_changes_with_any_file_its_name_or_its_place(folder):
    digests = {policy_digest(folder)}
    edit(folder, ENVIRONMENTS_FILE, "coverage_percent = 80", "coverage_percent = 79")
    digests.add(policy_digest(folder))
    (folder / "trust").mkdir()
    (folder / "trust" / "root.json").write_text("{}")
    digests.add(policy_digest(folder))
    (folder / "trust" / "root.json").rename(folder / "root.json")
    digests.add(policy_digest(folder))
    assert len(digests) == 4


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)), name=st.sampled_from(FILES))
@example(content=b"a=" + b"[" * 5000, name=ENVIRONMENTS_FILE)
@example(content=b'repository="\\ud800"', name=ENVIRONMENTS_FILE)
@example(content=b"repository=" + b"9" * 5000, name=ENVIRONMENTS_FILE)
@example(content=b"exception = [[[]]]", name=EXCEPTIONS_FILE)
@example(content=b"exception = [{created = 0001-01-01}]", name=EXCEPTIONS_FILE)
def test_whatever_a_policy_file_holds_only_our_own_errors_come_out(folder, root, content, name):
    (folder / name).write_bytes(content)
    try:
        with contextlib.suppress(CannotEvaluate):
            # Of the three the exceptions alone may be empty.
            assert load_policy(folder).exceptions == ()
            assert name == EXCEPTIONS_FILE
    finally:
        shutil.copy(root / "policies" / name, folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_rules_file_with_lines_lost_is_loaded_or_refused(folder, root, data):
    lines = (root / "policies" / RULES_FILE).read_text().splitlines(keepends=True)
    start = data.draw(st.integers(0, len(lines) - 1))
    del lines[start : start + data.draw(st.integers(1, 20))]
    (folder / RULES_FILE).write_text("".join(lines))
    with contextlib.suppress(CannotEvaluate):
        load_policy(folder)
