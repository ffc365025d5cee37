"""What is known of dependencies: the allow-list, RECORD, and what a real index on loopback says of the files."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.image.wheels import fetch_wheels
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Outcome, Problem, Status
from pipeline.model.predicates import TestResult, parse_predicate
from pipeline.steps import dependencies
from pipeline.steps.allowed import FILE, load_allowed
from pipeline.steps.audit import with_dependencies
from pipeline.steps.job import Job
from pipeline.steps.sbom_contents import direct_requirements
from tests.support.composing import Site, site
from tests.support.loopback import Reply, Request, loopback

ALLOWED = '[[dependency]]\nname = "thing"\nowner = "the maintainers"\nreason = "it is what the service is about"\n'
TIME = "2026-11-01T08:30:00.123456Z"
WHEEL = "thing-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), {FILE: ALLOWED, "requirements.in": "thing\n"}) as made:
        yield made


@pytest.fixture
def job(place: Site) -> Iterator[Job]:
    yield place.job
    (place.root / FILE).write_text(ALLOWED)
    (place.root / "requirements.in").write_text("thing\n")


@pytest.fixture
def sha(place: Site) -> str:
    return hashlib.sha256((place.pip.parent / "house" / WHEEL).read_bytes()).hexdigest()


@pytest.fixture
def look(job: Job, sha: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[TestResult, list[Problem]]]:
    """Look with an index that says ``file`` of the wheel, or answers ``reply``."""

    def look(reply: Reply | None = None, **file: Any) -> tuple[TestResult, list[Problem]]:
        said = {"filename": WHEEL, "url": "x", "hashes": {"sha256": sha}, "upload-time": TIME, "yanked": False, **file}
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": "thing", "files": [said]}).encode()

        def answer(request: Request) -> Reply:
            assert request.path == "/simple/thing/"
            assert request.headers["Accept"] == "application/vnd.pypi.simple.v1+json"
            return reply or Reply(body=body)

        with loopback(answer) as server:
            monkeypatch.setenv("PIP_INDEX_URL", f"{server.origin}/simple")
            evidence, problems = dependencies.look(job)
        assert evidence.kind is Kind.DEPENDENCIES
        parsed = parse_predicate(evidence.kind, evidence.predicate)
        assert isinstance(parsed, TestResult)
        return parsed, problems

    return look


def test_an_allowed_wheel_in_good_standing_passes(look):
    result, problems = look()
    assert (result.result, result.passed_tests, result.failed_tests, problems) == ("PASSED", [WHEEL], [], [])
    assert result.measures == {
        "direct": 1,
        "wheels": 1,
        "age_unknown": 0,
        "attested": 0,
        "youngest_upload": "2026-11-01T08:30:00Z",
    }


def test_the_allow_list_that_was_used_is_named_by_its_digest(look, place: Site):
    result, _ = look()
    digest = hashlib.sha256((place.root / FILE).read_bytes()).hexdigest()
    assert result.configuration[0].digest == {"sha256": digest}


def test_an_attested_file_is_counted(look):
    result, _ = look(provenance="https://index.invalid/integrity/thing")
    assert result.measures["attested"] == 1


def test_a_direct_dependency_that_is_not_allowed_fails(look, place: Site):
    (place.root / "requirements.in").write_text("thing\nThinng\n")
    result, [problem] = look()
    assert result.result == "FAILED"
    assert result.failed_tests == [problem.message]
    assert (problem.code, problem.message) == (
        "dependencies.not-allowed",
        f"thinng: not an allowed dependency (got a name of no entry, expected it in {FILE})",
    )


@pytest.mark.parametrize("yanked", [True, "security", ""])
def test_a_file_that_was_taken_back_fails(look, yanked: bool | str):
    result, [problem] = look(yanked=yanked)
    assert result.result == "FAILED"
    assert (problem.code, problem.message) == (
        "dependencies.yanked",
        f"{WHEEL}: taken back by its maintainers (got a yanked file, expected another)",
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"reply": Reply(404)}, "the index does not know it"),
        ({"reply": Reply(500)}, "the index did not answer: HTTP 500"),
        ({"reply": Reply(body=b"<html></html>")}, "the index did not answer: answered something that is not JSON"),
        ({"reply": Reply(body=b'{"files": 1}')}, "the index has no JSON of the simple repository API"),
        ({"upload-time": "yesterday"}, "the index has no JSON of the simple repository API"),
        ({"upload-time": "2026-11-01T08:30:00"}, "the index has no JSON of the simple repository API"),
        ({"upload-time": None}, "the index does not say when it was uploaded"),
        ({"hashes": {"sha256": "0" * 64}}, "the index no longer has this file"),
    ],
)
def test_an_age_that_nobody_tells_is_a_warning_with_its_reason(look, said: Mapping[str, Any], reason: str):
    result, [problem] = look(**said)
    assert (result.result, result.measures["age_unknown"]) == ("WARNED", 1)
    assert "youngest_upload" not in result.measures
    assert (problem.code, problem.message) == (
        "dependencies.upload-time",
        f"{WHEEL}: age unknown (got {reason}, expected the time of its upload)",
    )


def test_a_record_that_does_not_close_fails_by_name(look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: Site):
    evil = tmp_path / WHEEL
    evil.write_bytes((place.pip.parent / "house" / WHEEL).read_bytes())
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr("evil.pth", "import os")
    # The hash would refuse it first: this is what a lock that was made from such a wheel meets.
    monkeypatch.setattr(dependencies, "fetch_wheels", lambda *a, **k: dict.fromkeys(fetch_wheels(*a, **k), evil))
    result, [problem] = look()
    assert result.result == "FAILED"
    assert problem.code in ("wheel.record", "wheel.pth")
    assert "evil.pth" in problem.message


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("", "dependency: field required"),
        ("dependency = []\n", "dependency: value should have at least 1 item"),
        (ALLOWED + "extra = 1\n", "dependency.0.extra: extra inputs are not permitted"),
        (ALLOWED + ALLOWED, "thing twice"),
        (ALLOWED.replace("thing", "Thing", 1), "dependency.0.name: string should match pattern"),
        ("[[", "Invalid initial character"),
        (None, "No such file or directory"),
    ],
)
def test_an_allow_list_that_is_none_stops_the_evidence(look, place: Site, content: str | None, got: str):
    if content is None:
        (place.root / FILE).unlink()
    else:
        (place.root / FILE).write_text(content)
    with pytest.raises(CannotEvaluate) as caught:
        look()
    assert caught.value.code == "dependencies.allowed"
    assert caught.value.message.startswith(f"{FILE}: not readable (got {got}")


def test_what_cannot_be_said_of_dependencies_keeps_no_vulnerability_from_being_told(job: Job, place: Site):
    (place.root / FILE).unlink()
    audited = Outcome(status=Status.PASSED, finding="1 of 1 packages audited")
    outcome = with_dependencies(job, audited)
    assert (outcome.status, outcome.finding, outcome.evidence) == (Status.WARNED, audited.finding, [])
    assert [problem.code for problem in outcome.problems] == ["dependencies.allowed"]


def test_the_evidence_joins_the_audits(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    outcome = with_dependencies(job, Outcome(status=Status.PASSED, finding="1 of 1 packages audited"))
    assert [evidence.kind for evidence in outcome.evidence] == [Kind.DEPENDENCIES]


def test_every_direct_dependency_of_this_repository_has_somebody_who_answers_for_it(root: Path):
    names = {str(requirement.name) for requirement in direct_requirements(root)}
    assert names == set(load_allowed(root))
