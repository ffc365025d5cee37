"""The ``verify`` session: every environment judged over the same evidence, and written down."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.gate import step
from pipeline.model.context import Context, Tool
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.outcome import Outcome, Status, StepRecord
from pipeline.settings import load
from pipeline.steps.job import Job
from tests.support import release
from tests.support.stored import Stored


@pytest.fixture
def job(tmp_path, root):
    (tmp_path / "policies").symlink_to(root / "policies")
    context = validate(Context, release.context(), what="context")
    return Job(root=tmp_path, settings=load(root), source=context.source, now=datetime.now(UTC))


@pytest.fixture
def stored(job, rekor_v1, root):
    """The release in the job's own state folder, and the image step's record of it."""
    made = Stored.make(job.root, rekor_v1, root, state=job.state)
    outcome = Outcome(status=Status.PASSED, finding="built", data={"digest": str(made.image.digest)})
    context = Context(source=job.source, locks={}, tool=Tool(name="x", version="1"), python="3.11.7")
    job.write_record(StepRecord(step="image", context=context, seconds=1, started=1, outcome=outcome))
    return made


def verdict(job, environment):
    return json.loads((job.dist / "verdicts" / f"{environment}.json").read_bytes())


def test_development_accepts_and_the_others_say_why_not(job, stored):
    stored.attest(release.predicates())
    outcome = step.run(job)
    # The vendored public root may be near its end on the day of the test; that is said, and is no refusal.
    refusals = [problem for problem in outcome.problems if problem.code != "trust.expiring"]
    assert (outcome.status, refusals) == (Status.PASSED, [])
    assert outcome.finding == "development accepts; staging refuses (1); production refuses (2)"
    assert outcome.data == {"digest": str(stored.image.digest), "accepted": ["development"]}
    assert [verdict(job, name)["result"] for name in ("development", "staging", "production")] == [
        "PASSED",
        "FAILED",
        "FAILED",
    ]
    assert {artifact.path for artifact in outcome.artifacts} == {
        f"dist/verdicts/{name}.json" for name in ("development", "staging", "production")
    }


def test_a_trust_root_that_ends_within_thirty_days_is_said_and_refuses_nothing(job, stored, root):
    stored.attest(release.predicates())
    (job.root / "policies").unlink()
    shutil.copytree(root / "policies", job.root / "policies")
    public = job.root / "policies" / "trust" / "sigstore-public.json"
    parsed = json.loads(public.read_bytes())
    end = job.now + timedelta(days=10)
    parsed["certificateAuthorities"][-1]["validFor"]["end"] = f"{end:%Y-%m-%dT%H:%M:%SZ}"
    public.write_text(json.dumps(parsed))
    outcome = step.run(job)
    assert outcome.status is Status.PASSED
    said = [problem for problem in outcome.problems if problem.code == "trust.expiring"]
    assert f"certificate authority https://fulcio.sigstore.dev ends soon (got {end:%Y-%m-%d}" in said[0].message
    assert said[0].fix == "fetch the current trusted root: `scripts/nox -s trust`"


def test_exceptions_on_vulnerabilities_are_exported_until_there_are_none(job, stored, root):
    predicates = release.predicates()
    predicates["vulnerabilities"]["scanner"]["result"] = [release.finding("high", "2026-01-01T00:00:00Z")]
    stored.attest(predicates)
    assert step.run(job).status is Status.FAILED
    (job.root / "policies").unlink()
    shutil.copytree(root / "policies", job.root / "policies")
    file = job.root / "policies" / "exceptions.toml"
    before = file.read_text()
    file.write_text(
        '[[exception]]\nid = "EX-1"\ncode = "vulnerabilities.deadline"\nfinding = "GHSA-0000"\n'
        'environments = ["development"]\nowner = "the platform team"\nreason = "no release mends it until next week"\n'
        f'ticket = "SEC-1"\ncreated = {job.now:%Y-%m-%d}\nexpires = {job.now + timedelta(days=30):%Y-%m-%d}\n'
    )
    outcome = step.run(job)
    assert outcome.status is Status.PASSED
    assert verdict(job, "development")["exceptions"] == ["EX-1"]
    exported = job.dist / "vex" / "development.openvex.json"
    assert [one["vulnerability"] for one in json.loads(exported.read_bytes())["statements"]] == [{"name": "GHSA-0000"}]
    assert "dist/vex/development.openvex.json" in {artifact.path for artifact in outcome.artifacts}
    file.write_text(before)
    step.run(job)
    assert not exported.exists()


def test_a_verdict_file_has_the_documented_fields(job, stored):
    stored.attest(release.predicates())
    step.run(job)
    written = verdict(job, "staging")
    assert list(written) == [
        "format",
        "environment",
        "result",
        "image",
        "policy",
        "time",
        "levels",
        "refusals",
        "warnings",
        "evidence",
        "sequences",
        "exceptions",
    ]
    assert list(written["refusals"][0]) == ["code", "message", "fix", "kind"]


def test_what_development_refuses_fails_the_step_with_each_problem(job, stored):
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    stored.attest(predicates)
    outcome = step.run(job)
    assert (outcome.status, [problem.code for problem in outcome.problems]) == (Status.FAILED, ["tests.result"])
    assert outcome.finding.startswith("development refuses (1); ")


def test_evidence_that_cannot_be_evaluated_stops_the_step_after_the_verdicts_are_written(job, stored):
    predicates = release.predicates()
    predicates["tests"]["unknown"] = 1
    stored.attest(predicates)
    with pytest.raises(CannotEvaluate) as error:
        step.run(job)
    assert error.value.code == "document.shape"
    assert verdict(job, "development")["result"] == "FAILED"


def test_an_image_may_be_named(job, stored):
    stored.attest(release.predicates())
    job.record_path("image").unlink()
    named = Job(root=job.root, settings=job.settings, source=job.source, now=job.now, options=("v1",))
    assert step.run(named).status == Status.PASSED


def test_two_images_are_a_misuse(job, stored):
    stored.attest(release.predicates())
    named = Job(root=job.root, settings=job.settings, source=job.source, now=job.now, options=("v1", "v2"))
    with pytest.raises(Misuse, match="too many arguments") as error:
        step.run(named)
    assert error.value.code == "verify.arguments"


def test_without_an_image_of_this_source_there_is_nothing_to_judge(job):
    with pytest.raises(CannotEvaluate) as error:
        step.run(job)
    assert error.value.code == "image.unknown"
