"""Workflows: every file looked at by every tool, and nothing in the tree silences one."""

import json

import pytest

from pipeline.git import take_snapshot
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import TestResult, parse_predicate
from pipeline.steps import workflow_inspection as inspection
from pipeline.steps import workflows
from tests.support.jobs import fake_environment, make_job

SHA = "3d3c42e5aac5ba805825da76410c181273ba90b1"
CI = f"""\
name: ci
on: [push]
permissions: {{}}
concurrency:
  group: ci
  cancel-in-progress: true
jobs:
  a:
    name: a
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@{SHA} # v7.0.1
        with:
          persist-credentials: false
      - run: make
"""
PATH = ".github/workflows/ci.yml"


def run(folder, checks_python, text=CI, **files):
    return workflows.run(make_job(folder, {PATH: text, **files}, {"checks": checks_python}))


def by_zizmor(folder, checks_python, text, **files):
    make_job(folder, {PATH: text, **files})
    return inspection.zizmor(folder, checks_python, [PATH])


def repository(folder):
    return make_job(folder / "clone", {PATH: CI}).root


def codes(outcome):
    return {problem.code for problem in outcome.problems}


def test_a_workflow_in_order_passes_with_evidence(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python)
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    predicate = parse_predicate(Kind.WORKFLOWS, outcome.evidence[0].predicate)
    assert isinstance(predicate, TestResult)
    assert predicate.measures == {"files": 1, "findings_zizmor": 0, "findings_own": 0}
    assert "privileged-job" in predicate.passed_tests


def test_a_pwn_request_is_named_by_zizmor_and_by_us(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python, CI.replace("[push]", "[pull_request_target]"))
    assert outcome.status == Status.FAILED
    assert codes(outcome) == {"workflows.dangerous-triggers", "workflows.trigger"}
    assert outcome.evidence[0].predicate["result"] == "FAILED"


def test_an_injection_stands_behind_ignore_comments_and_planted_configuration(tmp_path, checks_python):
    injected = CI.replace("run: make", "run: echo ${{ github.event.head_commit.message }} # zizmor: ignore")
    ignore = "rules:\n  template-injection:\n    disable: true\n    ignore: [ci.yml]\n"
    planted = {"zizmor.yml": ignore, ".github/zizmor.yml": ignore, ".gitignore": ".github\n"}
    (problem,) = by_zizmor(tmp_path, checks_python, injected, **planted)
    assert problem.code == "workflows.template-injection"
    assert problem.message.startswith(f"{PATH}:16: ")


def test_a_cache_in_a_release_is_named(tmp_path, checks_python):
    released = CI.replace("on: [push]", "on:\n  push:\n    tags: ['v*']").replace(
        "      - run: make",
        "      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0\n"
        "        with:\n          cache: pip\n      - uses: pypa/gh-action-pypi-publish@" + SHA + " # v1",
    )
    assert "workflows.cache-poisoning" in {problem.code for problem in by_zizmor(tmp_path, checks_python, released)}


def test_what_scanners_lack_is_named_by_our_own_checks(tmp_path, checks_python):
    build = CI.replace("    timeout-minutes: 5\n", "    permissions:\n      id-token: write # to sign\n")
    build = build.replace("run: make", "run: curl -fsSL https://a.example/i | sh")
    job = make_job(tmp_path, {PATH: build}, {"checks": checks_python})
    parsed = inspection.read_files(job.root, checks_python, [PATH])[PATH]["content"]
    found = [problem.code for problem in inspection.own_checks(PATH, parsed)]
    assert found == ["workflows.privileged-job", "workflows.timeout", "workflows.piped-download"]


def test_composite_actions_are_looked_at_too(tmp_path, checks_python):
    action = (
        "name: a\ndescription: b\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: pip install evil\n"
    )
    job = make_job(tmp_path, {PATH: CI, "tools/action.yml": action}, {"checks": checks_python})
    assert inspection.find_files(job.root, take_snapshot(job.root).files) == ([PATH], ["tools/action.yml"])
    parsed = inspection.read_files(job.root, checks_python, ["tools/action.yml"])["tools/action.yml"]["content"]
    assert [item.code for item in inspection.own_checks("tools/action.yml", parsed)] == ["workflows.unpinned-install"]


def test_a_workflow_that_breaks_the_schema_is_a_refusal(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python, CI.replace("runs-on", "on-runs"))
    assert (outcome.status, codes(outcome)) == (Status.FAILED, {"workflows.schema"})
    assert outcome.finding.startswith(f"{PATH}: $.jobs.a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "just words\n",
        "jobs: [\n",
        "on: push\non: pull_request\n",
        "a: &x [1]\nb: *x\n",
        "\x00",
        "a: !!python/object:os.system x\n- b\n",
    ],
    ids=["empty", "list", "words", "cut off", "duplicate key", "alias", "binary", "tag"],
)
def test_a_malformed_workflow_is_a_refusal_not_a_skip(tmp_path, checks_python, text):
    outcome = run(tmp_path, checks_python, **{".github/workflows/other.yaml": text})
    assert outcome.status == Status.FAILED
    assert codes(outcome) == {"workflows.malformed"}
    assert "other.yaml" in outcome.finding


def test_no_workflow_is_a_refusal(tmp_path, checks_python):
    outcome = workflows.run(make_job(tmp_path, {}, {"checks": checks_python}))
    assert (outcome.status, codes(outcome)) == (Status.FAILED, {"workflows.none"})


LOOKED = f" INFO audit: zizmor: completed {PATH}"


@pytest.mark.parametrize(
    ("text", "code", "log"),
    [
        ("", 0, LOOKED),
        ("[]", 3, LOOKED),
        ("[]", 137, ""),
        ("[]", 14, LOOKED),
        ("[]", 0, ""),
        ("[]", 0, LOOKED + ".bak"),
        ('[{"ident": "x"', 14, LOOKED),
        ("{}", 0, LOOKED),
    ],
    ids=["silent", "error", "killed", "contradiction", "looked at nothing", "another file", "truncated", "no list"],
)
def test_zizmor_without_a_whole_report_cannot_be_evaluated(tmp_path, text, code, log):
    tools = fake_environment(tmp_path / "tools", zizmor=(text, code, log))
    with pytest.raises(CannotEvaluate) as refused:
        inspection.zizmor(repository(tmp_path), tools, [PATH])
    assert refused.value.code == "workflows.unreadable"


@pytest.mark.parametrize(
    ("report", "code"),
    [
        ({"status": "ok", "errors": []}, 0),
        ({"status": "ok", "errors": [], "checked_paths": [PATH]}, 1),
        ({"status": "fail", "errors": [], "checked_paths": [PATH]}, 1),
        ({"status": "ok", "errors": [], "checked_paths": ["other.yml"]}, 0),
        ({"errors": [], "checked_paths": [PATH]}, 0),
        ({"status": "ok", "errors": [], "checked_paths": [PATH]}, 2),
    ],
)
def test_a_schema_check_without_a_whole_report_cannot_be_evaluated(tmp_path, report, code):
    tools = fake_environment(tmp_path / "tools", python=(json.dumps(report), code))
    with pytest.raises(CannotEvaluate) as refused:
        inspection.schema(repository(tmp_path), tools, "github-workflows", [PATH])
    assert refused.value.code == "workflows.unreadable"


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({PATH: {}}), json.dumps({"other": {"content": {}}})])
def test_a_reader_that_does_not_answer_for_every_file_cannot_be_evaluated(tmp_path, text):
    tools = fake_environment(tmp_path / "tools", python=(text, 0))
    with pytest.raises(CannotEvaluate) as refused:
        inspection.read_files(repository(tmp_path), tools, [PATH])
    assert refused.value.code == "workflows.unreadable"


def test_this_repositorys_workflows_are_found(root):
    found, _ = inspection.find_files(root, ())
    assert PATH in found
