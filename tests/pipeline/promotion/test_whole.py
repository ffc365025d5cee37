"""From the steps' records to a promotion, each session's own code: attest, verify, promote."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import ModuleType

import pytest

from pipeline.gate import step as verify
from pipeline.model.documents import canonical_json
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Status
from pipeline.promotion import opening
from pipeline.promotion import step as promote
from pipeline.promotion.promoting import VERSION_LABEL
from pipeline.signing.opening import open_signer
from pipeline.steps import attest
from tests.support import release
from tests.support.evidence import make_job, write_record
from tests.support.images import write_archive

STEPS = {"image": ("provenance", "hardening"), "audit": ("vulnerabilities",), "smoke": ()}


@pytest.fixture
def job(tmp_path, root, monkeypatch):
    """A job over a tree whose every step passed, without a container engine."""
    (tmp_path / "policies").symlink_to(root / "policies")
    local: tuple[ModuleType, ...] = (attest, opening)
    for module in local:
        monkeypatch.setattr(module, "open_signer", partial(open_signer, detect=lambda: None))
    made = make_job(tmp_path, now=datetime.now(UTC))
    written = write_archive(made.dist / "image.tar", labels={VERSION_LABEL: "0.1.0"})
    data = {
        "digest": str(written.image),
        "archive": "dist/image.tar",
        "platforms": {f"linux/{name}": str(digest) for name, digest in written.platforms.items()},
    }
    found = evidence(made)
    for name in ("image", "tests", "sast", "workflows", "audit", "sbom", "smoke"):
        kinds = STEPS.get(name, (name,))
        write_record(made, name, *(found[Kind(kind)] for kind in kinds), data=data if name == "image" else {})
    return made


def evidence(job):
    """The good release's predicates, made on the job's own tree."""
    context = job.context("tool", "1").model_dump(mode="json")
    made = {}
    for name, predicate in release.predicates().items():
        if "gatehouse_context" in predicate:
            predicate["gatehouse_context"] = context
        if name.startswith("sbom"):
            predicate["metadata"]["properties"][0]["value"] = canonical_json(context).decode()
        if name == "vulnerabilities":
            predicate["metadata"] = dict.fromkeys(("scanStartedOn", "scanFinishedOn"), f"{job.now:%Y-%m-%dT%H:%M:%SZ}")
        platform = name.partition("@")[2] or None
        made[release.kind_of(name)] = Evidence(kind=release.kind_of(name), predicate=predicate, platform=platform)
    return made


def test_what_attest_leaves_development_accepts_and_promotion_records(job):
    assert attest.run(job).status == Status.PASSED
    verified = verify.run(job)
    assert verified.finding == "development accepts; staging refuses (2); production refuses (5)", verified
    promoted = promote.run(job)
    assert promoted.finding.startswith("development: promoted 0.1.0 (sha256:")


def test_the_whole_job_again_changes_nothing(job):
    for step in (attest, verify, promote):
        step.run(job)
    before = sorted(path.name for path in (job.state / "store" / "blobs" / "sha256").iterdir())
    later = replace(job, now=datetime.now(UTC))
    assert attest.run(later).data["kept"] == attest.run(later).data["attestations"]
    assert verify.run(later).status == Status.PASSED
    assert promote.run(later).finding.endswith("is there already")
    assert sorted(path.name for path in (job.state / "store" / "blobs" / "sha256").iterdir()) == before


def test_a_failed_step_is_attested_and_refused(job):
    failed = evidence(job)[Kind.TESTS]
    failed.predicate["result"] = "FAILED"
    write_record(job, "tests", failed, status=Status.FAILED)
    attest.run(job)
    outcome = verify.run(job)
    assert (outcome.status, [one.code for one in outcome.problems]) == (Status.FAILED, ["tests.result"])
    assert promote.run(job).status == Status.FAILED
    assert not (job.state / "ledger").exists()
