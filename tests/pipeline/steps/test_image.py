import dataclasses
import os

import pytest

from pipeline.image.archive import Archive
from pipeline.image.hardening import ATTRIBUTES
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Outcome, Status
from pipeline.model.predicates import Hardening, Provenance, parse_predicate
from pipeline.steps import image
from tests.support.composing import site


@pytest.fixture
def here(tmp_path):
    with site(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A site that nobody changes, and what the step said of it."""
    with site(tmp_path_factory.mktemp("built")) as made:
        yield made, image.run(made.job)


@pytest.fixture(scope="module")
def outcome(built):
    return built[1]


def test_it_leaves_the_archive_and_says_what_it_holds(built):
    there, outcome = built
    assert outcome.status is Status.PASSED
    assert outcome.data["archive"] == "dist/image.tar"
    archive = Archive(there.root / "dist" / "image.tar")
    assert outcome.data["digest"] == archive.digest
    assert outcome.data["platforms"] == archive.platforms
    assert [artifact.path for artifact in outcome.artifacts] == ["dist/image.tar"]
    assert outcome.finding.startswith(f"{archive.digest} for linux/amd64, 0.0 MB")


def test_its_data_lists_what_went_in(outcome):
    data = outcome.data
    assert [package["name"] for package in data["packages"]["linux/amd64"]] == ["python3.13-minimal", "tzdata"]
    assert [wheel["name"] for wheel in data["wheels"]["linux/amd64"]] == ["thing"]


def test_its_evidence_is_provenance_and_hardening_that_parse(outcome):
    provenance, hardening = outcome.evidence
    assert (provenance.kind, provenance.platform) == (Kind.PROVENANCE, None)
    assert (hardening.kind, hardening.platform) == (Kind.HARDENING, "linux/amd64")
    assert isinstance(parse_predicate(provenance.kind, provenance.predicate), Provenance)
    assert isinstance(parse_predicate(hardening.kind, hardening.predicate), Hardening)


def test_what_no_build_needed_for_long_goes_once_a_build_succeeds(here):
    superseded = here.root / ".gatehouse" / "cache" / "debs" / ("a" * 64)
    superseded.parent.mkdir(parents=True)
    superseded.write_bytes(b"an old version's")
    os.utime(superseded, (1, 1))
    shell = here.root / "service" / "sh"
    shell.write_text("#!")
    shell.chmod(0o755)
    assert image.run(here.job).status is Status.FAILED
    assert superseded.exists()
    shell.unlink()
    assert image.run(here.job).status is Status.PASSED
    assert not superseded.exists()


def test_two_runs_say_the_same(built):
    there, outcome = built
    assert image.run(there.job) == outcome


def test_the_outcome_survives_its_record(outcome):
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_a_flaw_in_the_finished_image_fails_and_leaves_no_archive(here):
    image.run(here.job)
    (here.root / "service" / "settings.py").write_text('SECRET_KEY = "vK9x2QmL7pRt4Wz8Yb3Nc6Jd"\n')
    outcome = image.run(here.job)
    assert outcome.status is Status.FAILED
    (problem,) = outcome.problems
    assert problem.code == "image.secret"
    assert problem.message == (
        "linux/amd64: /app/service/settings.py: not allowed in an image "
        "(got Base64 High Entropy String and Secret Keyword, expected none)"
    )
    assert outcome.evidence == []
    assert [path.name for path in (here.root / "dist").iterdir()] == []


def test_a_finding_that_policy_accepts_is_counted_until_its_day(here):
    (here.root / "service" / "settings.py").write_text('SECRET_KEY = "vK9x2QmL7pRt4Wz8Yb3Nc6Jd"\n')
    forms, rest = ("Base64 High Entropy String", "Secret Keyword"), 'reason = "public"\nowner = "ann"\n'
    entry = "[[accepted]]\nid = '{}'\nfile = 'app/service/settings.py'\n" + rest + "expires = {}\n"
    accepted = here.root / "policies" / "secrets.toml"
    accepted.parent.mkdir()
    accepted.write_text("".join(entry.format(form, "2026-11-21") for form in forms))
    outcome = image.run(here.job)
    assert outcome.status is Status.PASSED
    assert outcome.data["measures"]["linux/amd64"]["secrets_accepted"] == 2
    accepted.write_text("".join(entry.format(form, "2026-11-20") for form in forms))
    assert [problem.code for problem in image.run(here.job).problems] == ["image.secret"]


def test_a_shell_among_the_applications_files_fails(here):
    shell = here.root / "service" / "sh"
    shell.write_text("#!")
    shell.chmod(0o755)
    assert [problem.code for problem in image.run(here.job).problems] == ["image.shell"]


def test_a_build_that_cannot_be_done_leaves_no_old_archive(here):
    image.run(here.job)
    (here.root / "requirements" / "base.lock.json").unlink()
    with pytest.raises(CannotEvaluate) as refused:
        image.run(here.job)
    assert refused.value.code == "base.no-lock"
    assert [path.name for path in (here.root / "dist").iterdir()] == []


def test_every_flaw_has_a_fix():
    assert {code for codes in ATTRIBUTES.values() for code in codes} == image._FIXES.keys()


def test_without_the_environment_that_has_pip_it_does_not_start(here):
    job = dataclasses.replace(here.job, tools={})
    with pytest.raises(CannotEvaluate) as refused:
        image.run(job)
    assert refused.value.code == "tool.missing"


def test_without_an_engine_the_engine_builder_says_what_it_looked_for(here, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    settings = here.root / "pipeline.toml"
    settings.write_text(settings.read_text().replace("[image]\n", '[image]\nbuilder = "engine"\n'))
    with pytest.raises(Misuse) as refused:
        image.run(here.job)
    assert refused.value.code == "image.no-engine"
    assert refused.value.message == (
        f"container engine: none to build with (got unix://{tmp_path}/none.sock: no such socket, "
        "expected Docker or podman)"
    )
    assert list((here.root / "dist").glob("*")) == []
