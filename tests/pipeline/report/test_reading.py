import json

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.report.reading import as_json, read_run_list
from tests.pipeline.report.conftest import CONTEXT, difference, reproduction


def rewrite(path, change):
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def steps(run):
    return {step.name: step for step in run.steps}


def test_a_run_is_read_with_everything_that_its_files_say(run):
    assert [step.name for step in run.steps][:3] == ["lock", "lint", "types"]
    assert [verdict.result for verdict in run.verdicts] == ["PASSED", "FAILED", "FAILED"]
    assert (run.image.platforms[0].compressed, run.image.platforms[0].unpacked) == (18_612_382, 51_125_787)
    assert run.image.hardening == ["NON_ROOT_USER", "NO_SECRETS", "NO_SETUID_FILES", "NO_SHELL"]
    assert [(c.ecosystem, c.name) for c in run.components] == [("pypi", "tornado"), ("deb", "libc6"), ("deb", "zlib1g")]
    assert (run.audit.audited, run.audit.locked) == (1, 2)
    assert run.audit.findings[0].id == "PYSEC-2026-77"
    assert [artifact.path for artifact in run.artifacts] == ["dist/image.tar", "dist/sbom.linux-amd64.cdx.json"]
    assert run.source.commit.startswith("3f1c9b7e")


def test_environments_come_in_their_order_not_by_name(run):
    assert [verdict.environment for verdict in run.verdicts] == ["development", "staging", "production"]


def test_the_order_is_the_policys(root, reread):
    order = "".join(f'[[environment]]\nname = "{name}"\n' for name in ("production", "development"))
    (root / "policies/environments.toml").write_text(order)
    run = reread()
    assert [verdict.environment for verdict in run.verdicts] == ["production", "development", "staging"]
    assert not run.accepted


def test_under_a_policy_that_cannot_be_read_nothing_is_accepted(root, reread):
    (root / "policies/environments.toml").write_text("[[environment")
    run = reread()
    assert len(run.verdicts) == 3
    assert not run.accepted


def test_a_bundle_is_verified_only_where_a_verdict_of_this_run_says_so(run):
    assert {bundle.kind: bundle.verified for bundle in run.bundles} == {"sbom": "2026-09-21T14:13:40Z", "tests": ""}


def test_bundles_of_another_image_are_not_shown(root, reread):
    rewrite(root / ".gatehouse/steps/image.json", lambda d: d["outcome"]["data"].update(digest="sha256:" + "0" * 64))
    assert reread().bundles == []


def test_without_an_image_there_is_no_evidence_of_it(root, reread):
    (root / ".gatehouse/steps/image.json").unlink()
    run = reread()
    assert run.image is None
    assert run.bundles == []


def test_an_accepted_run_says_how_to_use_the_image(run):
    assert run.accepted
    assert run.next == "docker load -i dist/image.tar"


def test_a_failed_step_is_what_to_look_at_next(root, reread):
    rewrite(root / ".gatehouse/run.json", lambda d: d["sessions"][3].update(result="failed"))
    run = reread()
    assert not run.accepted
    assert run.next == "scripts/pipeline tests"


def test_a_refused_development_is_not_accepted(root, reread):
    rewrite(root / "dist/verdicts/development.json", lambda d: d.update(result="FAILED"))
    run = reread()
    assert not run.accepted
    assert run.next == "scripts/pipeline"


def test_without_a_verdict_nothing_is_accepted(root, reread):
    for path in (root / "dist/verdicts").iterdir():
        path.unlink()
    assert not reread().accepted


def test_the_verdict_of_an_earlier_run_is_not_shown_as_this_ones(root, reread):
    rewrite(root / "dist/verdicts/development.json", lambda d: d.update(time="2026-09-21T14:13:19Z"))
    run = reread()
    assert [verdict.environment for verdict in run.verdicts] == ["staging", "production"]
    assert not run.accepted


def test_a_verdict_on_another_image_is_not_shown(root, reread):
    rewrite(root / "dist/verdicts/development.json", lambda d: d.update(image="sha256:" + "0" * 64))
    assert "development" not in [verdict.environment for verdict in reread().verdicts]


def test_a_step_that_crashed_before_writing_does_not_show_its_old_finding(root, reread):
    rewrite(root / ".gatehouse/steps/tests.json", lambda d: d.update(started=1))
    rewrite(root / ".gatehouse/run.json", lambda d: d["sessions"][3].update(result="crashed", why="no interpreter"))
    assert steps(reread())["tests"].finding == "no interpreter"


def test_the_image_of_an_earlier_run_is_not_shown_where_its_step_was_killed(root, reread):
    sessions = json.loads((root / ".gatehouse/run.json").read_bytes())["sessions"]
    place = [session["name"] for session in sessions].index("image")
    rewrite(root / ".gatehouse/run.json", lambda d: d["sessions"][place].update(result="crashed", why="signal 9"))
    assert reread().image is None


def test_a_reused_step_shows_the_finding_of_the_run_that_made_it(root, reread):
    rewrite(root / ".gatehouse/steps/lint.json", lambda d: d.update(started=1))
    lint = steps(reread())["lint"]
    assert lint.finding == "ruff and hadolint: nothing found in 143 files"
    assert lint.why == "not one of its 143 input files changed"


def test_records_of_another_tree_tell_nothing_of_this_one(root, reread):
    def other_tree(document):
        document["context"]["source"]["tree"] = "b" * 40
        document["started"] -= 100

    rewrite(root / ".gatehouse/steps/image.json", other_tree)
    run = reread()
    assert run.image is None
    assert run.source.tree.startswith("9a8b7c6d")


def test_a_withdrawn_advisory_is_no_finding(root, reread):
    def withdraw(document):
        predicate = document["outcome"]["evidence"][0]["predicate"]
        predicate["scanner"]["result"][0]["annotations"][0]["withdrawn"] = True

    rewrite(root / ".gatehouse/steps/audit.json", withdraw)
    assert reread().audit.findings == []


def test_an_artifact_that_is_gone_is_not_offered(root, reread):
    (root / "dist/image.tar").unlink()
    assert [artifact.path for artifact in reread().artifacts] == ["dist/sbom.linux-amd64.cdx.json"]


def test_without_a_run_there_is_nothing_to_report(tmp_path):
    with pytest.raises(CannotEvaluate, match="run list: not readable") as caught:
        read_run_list(tmp_path)
    assert caught.value.code == "report.no-run"


@pytest.mark.parametrize("name", [".gatehouse/run.json", ".gatehouse/steps/image.json", "dist/verdicts/staging.json"])
def test_a_file_cut_in_half_is_refused(root, reread, name):
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CannotEvaluate) as caught:
        reread()
    assert caught.value.code == "document.malformed"


def test_an_unknown_result_is_refused(root, reread):
    rewrite(root / ".gatehouse/run.json", lambda d: d["sessions"][0].update(result="fine"))
    with pytest.raises(CannotEvaluate) as caught:
        reread()
    assert caught.value.code == "document.shape"


def test_a_verdict_without_a_time_is_refused(root, reread):
    rewrite(root / "dist/verdicts/staging.json", lambda d: d.update(time="yesterday"))
    with pytest.raises(CannotEvaluate, match="got 'yesterday'"):
        reread()


def test_json_is_the_run_and_safe_to_print(root, reread):
    rewrite(root / ".gatehouse/steps/lint.json", lambda d: d["outcome"].update(finding="\x1b[2J\u202e"))
    content = as_json(reread())
    assert content.isascii()
    assert b"\x1b" not in content
    assert json.loads(content)["format"] == "gatehouse-run/1"


def test_json_is_the_same_for_the_same_run(reread):
    assert as_json(reread()) == as_json(reread())


def test_the_second_build_is_read_of_this_image_alone(root, reread):
    path = root / ".gatehouse/steps/reproduce.json"
    assert reread().reproduction.differences[0].place == "linux/amd64 /app/main.py"
    path.write_text(json.dumps(reproduction(digest="sha256:" + "0" * 64)))
    assert reread().reproduction is None
    path.unlink()
    assert reread().reproduction is None


def test_a_second_build_since_the_tree_changed_does_not_hide_the_run(root, reread):
    path = root / ".gatehouse/steps/reproduce.json"
    later = {**reproduction(difference()), "context": {**CONTEXT, "source": {**CONTEXT["source"], "tree": "0" * 40}}}
    path.write_text(json.dumps(later))
    run = reread()
    assert run.image is not None
    assert run.reproduction is None


def test_a_damaged_record_of_the_second_build_is_refused(root, reread):
    rewrite(root / ".gatehouse/steps/reproduce.json", lambda record: record["outcome"]["data"].update(paths="many"))
    with pytest.raises(CannotEvaluate, match="record of step reproduce: not of the expected shape") as damaged:
        reread()
    assert damaged.value.code == "document.shape"
