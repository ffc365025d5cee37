"""The ``reproduce`` session over a real image, real bundles and a second build in another process."""

import dataclasses
import shutil
from datetime import timedelta

import pytest

from pipeline.gate.evidence import Memory
from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.judging import judge
from pipeline.gate.policy import load_policy
from pipeline.image.archive import Archive, PlatformImage, write_archive
from pipeline.image.layer import file, link, pack
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import TestResult, parse_predicate
from pipeline.steps import attest
from tests.pipeline.reproduction.conftest import attest_image
from tests.support.evidence import write_record
from tests.support.repositories import commit_all
from tests.support.signing import github


def test_the_composer_builds_the_same_bytes_again_and_that_is_signed(built):
    outcome = built.reproduce()
    assert (outcome.status, outcome.problems) == (Status.PASSED, [])
    assert outcome.finding == (
        f"{built.digest}: the same digest from composer; shared: lock, wheels, base, builder, machine"
    )
    (signed,) = built.own(Kind.REPRODUCTION)
    said = parse_predicate(Kind.REPRODUCTION, signed.statement.predicate)
    assert isinstance(said, TestResult)
    assert (said.result, said.passed_tests, said.failed_tests) == ("PASSED", ["materials", "files", "bytes"], [])
    assert said.measures["compared"] == "bytes"
    assert (said.measures["independent_builder"], said.measures["independent_machine"]) == (False, False)
    (provenance,) = built.own(Kind.PROVENANCE)
    assert said.context.source.model_dump() == provenance.statement.predicate["gatehouse_context"]["source"]
    assert said.context.locks == provenance.statement.predicate["gatehouse_context"]["locks"]


def test_what_both_builds_shared_stands_in_the_evidence(built):
    built.reproduce()
    (signed,) = built.own(Kind.REPRODUCTION)
    first, *shared = signed.statement.predicate["configuration"]
    assert first["annotations"] == {"first": "composer", "second": "composer", "compared": "bytes"}
    assert {one["name"]: one.get("annotations") for one in shared} == {
        "shared: lock requirements.txt": None,
        "shared: wheels": {"packages": 1},
        "shared: lock requirements/base.lock.json": None,
        "shared: base": {"packages": 2},
        "shared: builder": None,
        "shared: machine": None,
    }
    locks = signed.statement.predicate["gatehouse_context"]["locks"]
    assert shared[0]["digest"] == {"sha256": locks["requirements.txt"]}


def test_a_successor_list_names_it_and_keeps_what_the_one_before_said(built):
    (before,) = built.own(Kind.EVIDENCE_LIST)
    built.reproduce()
    newest, listed = built.newest()
    assert (listed.sequence, listed.previous) == (2, before.digest.hex)
    status = {one.annotations.kind: one.annotations.status for one in listed.references}
    assert status[Kind.REPRODUCTION] == "present"
    old = {one["annotations"]["kind"]: one for one in before.statement.predicate["references"]}
    for one in newest.statement.predicate["references"]:
        if one["annotations"]["kind"] != "reproduction":
            assert one == old[one["annotations"]["kind"]]


def test_again_attaches_nothing_and_neither_does_attesting_again(built):
    built.reproduce()
    before = built.store.referrers(built.store.resolve(built.digest).digest)
    assert built.reproduce().status is Status.PASSED
    outcome = attest.attest(built.job, built.store, built.world.signer())
    assert outcome.data["sequence"] == 2
    assert built.store.referrers(built.store.resolve(built.digest).digest) == before


def test_what_a_killed_run_left_goes_and_nothing_stays(built):
    left = built.job.state / "reproduction" / "engine" / "clone"
    left.mkdir(parents=True)
    (left / "old").write_text("")
    left.chmod(0o500)
    assert built.reproduce().status is Status.PASSED
    assert not (built.job.state / "reproduction").exists()


def test_the_bundles_of_this_clone_s_image_and_the_report_lie_below_dist(built):
    outcome = built.reproduce()
    names = {artifact.path for artifact in outcome.artifacts}
    assert {"dist/bundles/reproduction.sigstore.json", "dist/reports/reproduction.txt"} <= names
    text = (built.job.dist / "reports" / "reproduction.txt").read_text()
    assert f"image:        {built.digest}\n" in text
    assert text.endswith("differences:  0\n")


def judged(built, environment="development"):
    policies = built.job.root / "policies"
    _, facts = read_image(built.store, built.digest)
    pieces = gather(built.store, facts, load_roots(built.job.state, policies))
    return judge(facts, pieces, load_policy(policies), environment, built.job.now + timedelta(minutes=1), Memory())


def codes(judgement):
    return {finding.code for finding in judgement.refusals}


def codes_about(judgement, *kinds):
    return {finding.code for finding in judgement.refusals if finding.kind in kinds}


def test_the_gate_takes_it_for_what_it_is(built):
    before = judged(built)
    built.reproduce()
    after = judged(built)
    assert [one.kind for one in after.inputs].count(Kind.REPRODUCTION) == 1
    assert codes(after) == codes(before)


def tampered(built, change=lambda tree: tree, **configuration):
    """Another image with the same provenance: what an attacker who can sign as the builder would publish."""
    job = built.job
    path = job.dist / "image.tar"
    archive = Archive(path)
    (platform,) = archive.platforms
    trees = archive.layer_trees(platform)
    trees[-1] = change(trees[-1])
    layers = [pack(tree, time=job.source.committed) for tree in trees]
    config = archive.config(platform)
    config["config"] |= configuration
    config["rootfs"]["diff_ids"] = [layer.diff_id for layer in layers]
    written = write_archive(path, [PlatformImage(platform, config, layers)], name="service", tag="1")
    record = job.read_record("image")
    data = {**record.outcome.data, "digest": written.digest, "platforms": written.platforms}
    write_record(job, "image", *record.outcome.evidence, data=data)
    attest.attest(job, built.store, built.world.signer())


PLACE = "linux/amd64 /app/service"


def test_an_image_that_no_build_gives_fails_file_by_file(built):
    changed = {
        "app/service/__main__.py": file(b"import backdoor\n"),
        "app/service/back\x1b[2Jdoor.py": file(b""),
        "app/service/latest": link("/proc/self/environ"),
    }
    tampered(built, lambda tree: tree | changed)
    outcome = built.reproduce()
    assert outcome.status is Status.FAILED
    files = [one.message for one in outcome.problems if one.message.startswith("linux/amd64 /")]
    assert files[0].startswith(f"{PLACE}/__main__.py: content differs (got sha256:")
    assert files[1:] == [
        f"{PLACE}/back\\x1b[2Jdoor.py: path differs (got nothing, expected file 0644)",
        f"{PLACE}/latest: path differs (got nothing, expected link 0777)",
    ]
    assert {one.code for one in outcome.problems} == {"reproduction.difference"}
    text = (built.job.dist / "reports" / "reproduction.txt").read_text()
    assert all(f"files: {message}\n" in text for message in files)
    assert "\x1b" not in text
    assert outcome.data["differences"][0]["place"] == f"{PLACE}/__main__.py"


def test_a_failed_reproduction_is_signed_and_the_gate_refuses_the_image(built):
    tampered(built, lambda tree: tree | {"app/service/more.py": file(b"")})
    built.reproduce()
    (signed,) = built.own(Kind.REPRODUCTION)
    assert signed.statement.predicate["result"] == "FAILED"
    assert signed.statement.predicate["passedTests"] == ["materials"]
    assert f"files: {PLACE}/more.py: path" in signed.statement.predicate["failedTests"]
    assert "reproduction.result" in codes(judged(built))


def test_many_differences_are_named_up_to_a_limit_and_told_whole_in_the_text(built):
    more = {f"app/service/{number:03}.py": file(b"") for number in range(250)}
    tampered(built, lambda tree: tree | more)
    outcome = built.reproduce()
    (signed,) = built.own(Kind.REPRODUCTION)
    failed = signed.statement.predicate["failedTests"]
    assert len(failed) == 201
    assert failed[-1] == f"and {signed.statement.predicate['gatehouse_measures']['differences'] - 200} more"
    assert len(outcome.problems) == 20
    text = (built.job.dist / "reports" / "reproduction.txt").read_text()
    assert text.count(f"files: {PLACE}/") == 250


def test_an_entrypoint_that_was_changed_is_a_difference(built):
    tampered(built, Entrypoint=["/usr/bin/python3", "-c", "evil"])
    outcome = built.reproduce()
    assert outcome.status is Status.FAILED
    (difference,) = [one.message for one in outcome.problems if "Entrypoint" in one.message]
    assert difference == (
        'linux/amd64 configuration: Entrypoint differs (got ["/usr/bin/python3","-I","/app/service/__main__.py"], '
        'expected ["/usr/bin/python3","-c","evil"])'
    )


def test_a_provenance_that_names_other_materials_fails(built):
    record = built.job.read_record("image")
    provenance, *others = record.outcome.evidence
    definition = provenance.predicate["buildDefinition"]
    definition["internalParameters"]["version"] = "9.9"
    wheel = next(one for one in definition["resolvedDependencies"] if one.get("uri", "").startswith("pkg:pypi/"))
    wheel["digest"] = {"sha256": "0" * 64}
    shutil.rmtree(built.job.state / "store")
    write_record(built.job, "image", provenance, *others, data=record.outcome.data)
    attest.attest(built.job, built.store, built.world.signer())
    outcome = built.reproduce()
    assert outcome.status is Status.FAILED
    assert [one.message.partition(" differs")[0] for one in outcome.problems] == [
        "provenance: parameter version",
        f"provenance: {wheel['uri']}",
    ]
    (signed,) = built.own(Kind.REPRODUCTION)
    assert signed.statement.predicate["passedTests"] == ["files", "bytes"]


def other_version(build):
    """The second build as another version of the composer would describe itself."""

    def built_otherwise(job, target, folder):
        rebuilt = build(job, target, folder)
        builder = rebuilt.provenance.run_details.builder.model_copy(update={"version": {"composer": "sha256:0"}})
        details = rebuilt.provenance.run_details.model_copy(update={"builder": builder})
        return dataclasses.replace(rebuilt, provenance=rebuilt.provenance.model_copy(update={"run_details": details}))

    return built_otherwise


def test_another_version_of_the_builder_that_gives_the_same_files_reproduces_the_files(built):
    outcome = built.reproduce(build=other_version(built.build))
    assert outcome.status is Status.PASSED
    (signed,) = built.own(Kind.REPRODUCTION)
    measures = signed.statement.predicate["gatehouse_measures"]
    assert (measures["compared"], measures["same_digest"], measures["paths"]) == ("files", True, 53)
    assert signed.statement.predicate["passedTests"] == ["materials", "files"]


def test_another_version_of_the_builder_that_gives_other_files_proves_nothing(built):
    tampered(built, lambda tree: tree | {"app/service/more.py": file(b"")})
    with pytest.raises(CannotEvaluate, match=r"the first linux/amd64 /app/service/more\.py: path") as unclear:
        built.reproduce(build=other_version(built.build))
    assert unclear.value.code == "reproduction.builder-version"
    assert built.own(Kind.REPRODUCTION) == []


def hosted(workflow):
    """The claims of a job on a hosted runner, as the policy's signers ask for them."""
    return github(workflow=f".github/workflows/{workflow}.yml", event_name="push", runner_environment="github-hosted")


@pytest.fixture
def released(built):
    """The image attested by a hosted workflow, in a clone that has not built it; the test's instance is the public."""
    digest, policies = built.digest, built.job.root / "policies"
    shutil.rmtree(built.job.state / "store")
    attest.attest(built.job, built.store, built.world.signer(**hosted("attest")))
    built.job.record_path("image").unlink()
    shutil.move(built.job.state / "sigstore" / "trusted_root.json", policies / "trust" / "sigstore-public.json")
    environments = (policies / "environments.toml").read_text()
    (policies / "environments.toml").write_text(environments.replace('repository = ""', 'repository = "acme/app"'))
    return dataclasses.replace(built, known=digest)


def test_a_workflow_of_its_own_claims_another_machine_and_lists_what_it_made(released):
    outcome = released.reproduce(released.digest, **hosted("reproduce"))
    assert outcome.finding.endswith("; shared: lock, wheels, base, builder")
    (signed,) = released.own(Kind.REPRODUCTION, **hosted("reproduce"))
    assert signed.statement.predicate["gatehouse_measures"]["independent_machine"] is True
    _, listed = released.newest(**hosted("reproduce"))
    assert (listed.sequence, [one.annotations.kind for one in listed.references]) == (1, [Kind.REPRODUCTION])
    assert codes_about(judged(released, "production"), Kind.REPRODUCTION, Kind.EVIDENCE_LIST) == set()


def test_production_misses_it_before_and_the_attesting_workflow_may_not_make_it(released):
    assert codes_about(judged(released, "production"), Kind.REPRODUCTION) == {"evidence.missing"}
    outcome = released.reproduce(released.digest, **hosted("attest"))
    assert "machine" in outcome.data["shared"]
    assert codes_about(judged(released, "production"), Kind.REPRODUCTION) == {"signer.untrusted"}


def test_a_digest_may_be_named_and_a_tag_may_not(built):
    assert built.reproduce(built.digest).status is Status.PASSED
    for typed in (("1.0.0",), ("example.com/team/app:1.0",), (built.digest, built.digest)):
        with pytest.raises(Misuse, match="not one image by its digest") as misused:
            built.reproduce(*typed)
        assert misused.value.code == "reproduction.arguments"
    with pytest.raises(Misuse) as misused:
        built.reproduce(f"Example.com/App@{built.digest}")
    assert misused.value.code == "arguments.registry"


def test_without_an_image_of_this_tree_there_is_nothing_to_reproduce(built):
    built.job.record_path("image").unlink()
    with pytest.raises(CannotEvaluate, match="got no image of this source tree") as missing:
        built.reproduce()
    assert missing.value.code == "reproduction.image"


def test_an_image_without_provenance_is_not_rebuilt(built):
    shutil.rmtree(built.job.state / "store")
    attest.push_image(built.job, built.store)
    with pytest.raises(CannotEvaluate, match="got none, expected one by a signer that the policy trusts") as missing:
        built.reproduce()
    assert missing.value.code == "reproduction.provenance"


def test_a_stranger_s_provenance_is_not_followed(built):
    shutil.rmtree(built.job.state / "store")
    attest.attest(built.job, built.store, built.world.signer(**github(repository="evil/app")))
    with pytest.raises(CannotEvaluate, match=r"got only one by https://github\.com/evil/app/") as missing:
        built.reproduce()
    assert missing.value.code == "reproduction.provenance"


def test_two_provenances_that_disagree_are_not_chosen_between(built):
    record = built.job.read_record("image")
    provenance, *others = record.outcome.evidence
    provenance.predicate["buildDefinition"]["internalParameters"]["version"] = "2"
    write_record(built.job, "image", provenance, *others, data=record.outcome.data)
    attest.attest(built.job, built.store, built.world.signer())
    with pytest.raises(CannotEvaluate, match="got 2 that say different things") as missing:
        built.reproduce()
    assert missing.value.code == "reproduction.provenance"


def test_an_image_of_uncommitted_changes_is_refused(built):
    (built.job.root / "service" / "more.py").write_text("")
    built.reread()
    attest_image(built.job, built.world.signer())
    with pytest.raises(Refused, match="built from uncommitted changes") as refused:
        built.reproduce()
    assert refused.value.code == "reproduction.dirty"
    assert "expected that of commit" in refused.value.message


def test_an_image_of_another_commit_is_rebuilt_from_that_commit(built):
    digest = built.digest
    (built.job.root / "service" / "__main__.py").write_text("print('newer')\n")
    commit_all(built.job.root)
    (built.job.root / "service" / "__main__.py").write_text("print('being edited')\n")
    built.reread()
    outcome = built.reproduce(digest)
    assert outcome.status is Status.PASSED
    assert [artifact.path for artifact in outcome.artifacts] == ["dist/reports/reproduction.txt"]


def test_what_cannot_be_built_again_is_told_and_nothing_is_signed(built):
    def broken(job, target, folder):
        raise CannotEvaluate("reproduction.build", "second build: not finished (got x, expected y)", fix="z")

    with pytest.raises(CannotEvaluate):
        built.reproduce(build=broken)
    assert built.own(Kind.REPRODUCTION) == []
