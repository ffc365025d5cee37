"""Bandit: nothing silences it but policies/sast.toml."""

import json

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import TestResult, parse_predicate
from pipeline.steps import sast
from tests.support.jobs import fake_environment, make_job

CLEAN = {"policies/sast.toml": "", "service/a.py": "x = 1\n", "pipeline/b.py": "y = 2\n"}
SHELL = "import subprocess\n\nsubprocess.call('ls ' + input(), shell=True)  # nosec\n"
IDS = ("B404", "B602")


def accept(*ids: str, file: str = "service/a.py", expires: str = "2026-11-21") -> str:
    shared = f'file = "{file}"\nreason = "checked"\nowner = "somebody"\nexpires = {expires}\n'
    return "".join(f'[[accepted]]\nid = "{name}"\n{shared}' for name in ids)


def run(folder, checks_python, **files):
    return sast.run(make_job(folder, CLEAN | files, {"checks": checks_python}))


def test_clean_files_pass_with_evidence(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python)
    assert (outcome.status, outcome.finding) == (Status.PASSED, "2 files: 0 findings, 0 accepted")
    predicate = parse_predicate(Kind.SAST, outcome.evidence[0].predicate)
    assert isinstance(predicate, TestResult)
    assert predicate.result == "PASSED"
    assert predicate.measures == {
        "files": 2,
        "findings_high": 0,
        "findings_medium": 0,
        "findings_low": 0,
        "accepted": 0,
    }


@pytest.mark.parametrize(
    "planted",
    [
        {".bandit": "[bandit]\nskips: B602\nexclude: service\n", "service/.bandit": "[bandit]\nskips: B602\n"},
        {"bandit.yaml": "skips: [B602]\n", "pyproject.toml": '[tool.bandit]\nskips = ["B602"]\n'},
        {"bandit.py": "raise SystemExit(0)\n", "bandit/__init__.py": "", "bandit/__main__.py": "raise SystemExit(0)\n"},
    ],
    ids=[".bandit", "configuration", "own bandit"],
)
def test_a_finding_stands_whatever_is_planted(tmp_path, checks_python, planted):
    outcome = run(tmp_path, checks_python, **{"service/a.py": SHELL}, **planted)
    assert outcome.status == Status.FAILED
    assert [problem.code for problem in outcome.problems] == ["sast.B404", "sast.B602"]
    assert "service/a.py:3:" in outcome.problems[1].message
    assert outcome.evidence[0].predicate["gatehouse_measures"]["findings_high"] == 1


def test_no_folder_is_left_out_by_its_name_or_because_git_ignores_it(tmp_path, checks_python):
    folders = ("CVS", ".tox", "__pycache__", "sub.egg", "deep/.hidden", "ignored")
    files = {f"service/{folder}/evil.py": SHELL for folder in folders}
    outcome = run(tmp_path, checks_python, **files, **{"service/.gitignore": "ignored\n"})
    named = {problem.message.partition(":")[0] for problem in outcome.problems if problem.code == "sast.B602"}
    assert named == files.keys()


def test_what_somebody_answers_for_is_accepted_and_counted(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python, **{"service/a.py": SHELL, "policies/sast.toml": accept(*IDS)})
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert outcome.evidence[0].predicate["gatehouse_measures"]["accepted"] == 2


def test_an_expired_acceptance_is_as_if_it_were_not_there(tmp_path, checks_python):
    late = accept(*IDS, expires="2026-11-20")
    outcome = run(tmp_path, checks_python, **{"service/a.py": SHELL, "policies/sast.toml": late})
    assert outcome.status == Status.FAILED
    codes = [problem.code for problem in outcome.problems]
    assert codes == ["sast.B404", "sast.B602", "sast.expired", "sast.expired"]


def test_an_acceptance_holds_in_its_file_only_and_is_reported_when_stale(tmp_path, checks_python):
    other = accept("B602", file="pipeline/b.py")
    outcome = run(tmp_path, checks_python, **{"service/a.py": SHELL, "policies/sast.toml": other})
    assert [problem.code for problem in outcome.problems] == ["sast.B404", "sast.B602", "sast.stale"]


def test_a_stale_acceptance_alone_warns(tmp_path, checks_python):
    outcome = run(tmp_path, checks_python, **{"policies/sast.toml": accept("B602")})
    assert (outcome.status, outcome.problems[0].code) == (Status.WARNED, "sast.stale")
    assert outcome.evidence[0].predicate["result"] == "PASSED"


def test_a_file_that_does_not_parse_cannot_be_evaluated(tmp_path, checks_python):
    with pytest.raises(CannotEvaluate, match="syntax error") as refused:
        run(tmp_path, checks_python, **{"service/broken.py": "def f(:\n"})
    assert refused.value.code == "sast.unreadable"


def test_nothing_to_scan_fails(tmp_path, checks_python):
    job = make_job(tmp_path, {"policies/sast.toml": ""}, {"checks": checks_python})
    outcome = sast.run(job)
    assert (outcome.status, outcome.problems[0].code) == (Status.FAILED, "sast.none")


EMPTY = {"errors": [], "metrics": {"_totals": {"loc": 0}}, "results": []}
BOTH = {"errors": [], "metrics": {"service/a.py": {}, "pipeline/b.py": {}, "_totals": {}}, "results": []}
FINDING = {"filename": "a", "line_number": 1, "test_id": "B1", "issue_severity": "LOW", "issue_text": ""}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("", 137),
        (json.dumps(BOTH)[:60], 0),
        ("{}", 0),
        ("[]", 0),
        (json.dumps(EMPTY), 0),
        (json.dumps(BOTH), 1),
        (json.dumps(BOTH), 2),
        (json.dumps(BOTH | {"results": [FINDING]}), 0),
        (json.dumps(BOTH | {"errors": [{"filename": "a", "reason": "exception"}]}), 0),
    ],
    ids=[
        "silent",
        "killed",
        "truncated",
        "empty object",
        "list",
        "scanned nothing",
        "exit 1 without findings",
        "error",
        "exit 0 with findings",
        "skipped a file",
    ],
)
def test_a_scanner_without_a_whole_report_cannot_be_evaluated(tmp_path, text, code):
    tools = fake_environment(tmp_path / "tools", installed=["bandit"], python=(text, code))
    with pytest.raises(CannotEvaluate) as refused:
        sast.run(make_job(tmp_path / "clone", CLEAN, {"checks": tools}))
    assert refused.value.code == "sast.unreadable"


def test_the_same_canned_report_passes_when_it_is_whole(tmp_path):
    tools = fake_environment(tmp_path / "tools", installed=["bandit"], python=(json.dumps(BOTH), 0))
    assert sast.run(make_job(tmp_path / "clone", CLEAN, {"checks": tools})).status == Status.PASSED
