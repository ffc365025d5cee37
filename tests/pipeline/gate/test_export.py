"""A release in one file: whole, reproducible, and judged by nothing that came with it."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.gate.evidence import ImageFacts
from pipeline.gate.export import Written, write_export
from pipeline.gate.exported import Own, open_offline
from pipeline.gate.policy import policy_digest
from pipeline.gate.verify_command import verify_image, verify_offline
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.store.layout import OciLayout
from pipeline.store.transfer import push_archive
from tests.support import release
from tests.support.signing import World, world
from tests.support.stored import Stored


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, rekor_v1: World, root: Path) -> Stored:
    stored = Stored.make(tmp_path_factory.mktemp("export"), rekor_v1, root)
    stored.attest(release.predicates())
    return stored


@pytest.fixture(scope="module")
def exported(stored: Stored) -> Written:
    return write_export(stored.store, "v1", stored.policies, stored.state, stored.state.parent / "release.tar")


@pytest.fixture
def own(stored: Stored, exported: Written) -> Own:
    """The receiver knows both digests from elsewhere."""
    return Own(policy=f"sha256:{exported.policy}", trust_roots={"local": f"sha256:{exported.trust_roots['local']}"})


def judged(file, own, state, image, environment="development"):
    with open_offline(file, own) as offline:
        return verify_offline(offline, str(image), environment, datetime.now(UTC), state)[1]


def contents(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        opened = {member.name: tar.extractfile(member) for member in tar}
        return {name: content.read() for name, content in opened.items() if content is not None}


def changed(source: Path, target: Path, change):
    """The same file with the members that ``change`` returns instead."""
    members = contents(source)
    with tarfile.open(target, "w") as tar:
        for name, content in change(members).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target


def test_the_file_gives_the_verdict_that_the_store_gives(stored, exported, own, tmp_path):
    there = judged(exported.path, own, tmp_path, stored.image.digest)
    here = verify_image(stored.store, "v1", "development", stored.policies, there.time, stored.state)
    assert there.passed
    assert there.to_json() == here.to_json()


def test_exporting_again_gives_the_same_bytes(stored, exported, tmp_path):
    again = write_export(stored.store, "v1", stored.policies, stored.state, tmp_path / "elsewhere" / "again.tar")
    assert (again.sha256, again.size) == (exported.sha256, exported.size)
    assert [path.name for path in again.path.parent.iterdir()] == ["again.tar"]


def test_it_is_an_oci_layout_with_the_image_under_a_tag(exported, stored):
    members = contents(exported.path)
    index = json.loads(members["index.json"])
    assert json.loads(members["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    with tarfile.open(exported.path) as tar:
        assert {(member.mtime, member.uid, member.mode, member.uname) for member in tar} == {(0, 0, 0o644, "")}
    assert index["manifests"][0]["digest"] == str(stored.image.digest)
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "image"}
    assert len(index["manifests"]) == 1 + exported.referrers


def test_an_image_of_two_platforms_is_exported_whole(tmp_path, rekor_v1, root):
    stored = Stored.make(tmp_path, rekor_v1, root, platforms=("amd64", "arm64"))
    two = write_export(stored.store, "v1", stored.policies, stored.state, tmp_path / "two.tar")
    own = Own(policy=str(stored.policies), trust_roots={})
    refused = judged(two.path, own, tmp_path / "receiver", stored.image.digest)
    assert "evidence.missing" in {one.code for one in refused.refusals}


def test_a_folder_that_is_no_policy_is_not_exported(stored, tmp_path):
    with pytest.raises(CannotEvaluate) as error:
        write_export(stored.store, str(stored.image.digest), tmp_path, stored.state, tmp_path / "x.tar")
    assert (error.value.code, list(tmp_path.iterdir())) == ("policy.missing", [])


def test_the_policy_of_the_file_counts_only_by_its_digest(exported, own, stored, tmp_path):
    other = Own(policy=f"sha256:{'0' * 64}", trust_roots=own.trust_roots)
    with pytest.raises(Refused, match="holds another policy than the one to judge by") as refused:
        judged(exported.path, other, tmp_path, stored.image.digest)
    assert refused.value.code == "export.policy"
    assert f"got sha256:{policy_digest(stored.policies)}" in refused.value.message


def test_a_loosened_policy_in_the_file_is_refused(exported, own, stored, tmp_path):
    def loosen(members):
        name = "gatehouse/policy/environments.toml"
        return {**members, name: re.sub(rb"required = \[[^]]*\]", b'required = ["tests"]', members[name])}

    file = changed(exported.path, tmp_path / "loosened.tar", loosen)
    with pytest.raises(Refused) as refused:
        judged(file, own, tmp_path, stored.image.digest)
    assert refused.value.code == "export.policy"


def test_a_policy_of_the_verifiers_own_is_used_instead(exported, stored, tmp_path):
    own = tmp_path / "policy"
    shutil.copytree(stored.policies, own)
    environments = (own / "environments.toml").read_text()
    (own / "environments.toml").write_text(environments.replace("coverage_percent = 80", "coverage_percent = 99"))
    mine = Own(policy=str(own), trust_roots={"local": str(stored.state / "sigstore" / "trusted_root.json")})
    judgement = judged(exported.path, mine, tmp_path, stored.image.digest)
    assert [one.code for one in judgement.refusals] == ["tests.coverage"]
    assert judgement.policy == policy_digest(own)


def test_the_trust_root_of_the_file_counts_only_by_its_digest(exported, own, stored, tmp_path):
    for root in (f"sha256:{'0' * 64}", f"sha256:{exported.trust_roots['public']}"):
        with pytest.raises(Refused, match="holds another trust root local than the one to trust") as refused:
            judged(exported.path, Own(policy=own.policy, trust_roots={"local": root}), tmp_path, stored.image.digest)
        assert refused.value.code == "export.trust-root"


def test_without_a_trust_root_the_evidence_is_a_strangers(exported, own, stored, tmp_path):
    judgement = judged(exported.path, Own(policy=own.policy, trust_roots={}), tmp_path, stored.image.digest)
    assert not judgement.passed
    assert {"list.missing", "evidence.missing"} <= {one.code for one in judgement.refusals}


def test_evidence_of_a_strangers_instance_does_not_come_with_its_root(exported, own, stored, tmp_path):
    """Whoever makes the file signs everything anew and puts the root that verifies it beside it."""
    with world(tmp_path / "evil") as evil:
        forged = Stored.make(tmp_path / "forged", evil, stored.policies.parent)
        forged.attest(release.predicates())
        file = write_export(forged.store, "v1", forged.policies, forged.state, tmp_path / "forged.tar")
        with pytest.raises(Refused) as refused:
            judged(file.path, own, tmp_path, forged.image.digest)
        assert refused.value.code == "export.trust-root"
        mine = Own(policy=own.policy, trust_roots={"local": str(stored.state / "sigstore" / "trusted_root.json")})
        assert not judged(file.path, mine, tmp_path, forged.image.digest).passed


def test_withheld_evidence_is_noticed_in_a_file_too(exported, own, stored, tmp_path):
    def withhold(members):
        index = json.loads(members["index.json"])
        index["manifests"].pop()
        return {**members, "index.json": json.dumps(index).encode()}

    judgement = judged(
        changed(exported.path, tmp_path / "less.tar", withhold), own, tmp_path / "state", stored.image.digest
    )
    assert {one.code for one in judgement.refusals} <= {"evidence.withheld", "list.missing", "evidence.missing"}
    assert not judgement.passed


def test_an_older_export_of_the_same_image_is_noticed(exported, own, stored, tmp_path, rekor_v1, root):
    newer = Stored.make(tmp_path / "newer", rekor_v1, root)
    bundles = newer.attest(release.predicates())
    digests = {name: hashlib.sha256(one).hexdigest() for name, one in bundles.items() if name != "evidence-list"}
    previous = hashlib.sha256(bundles["evidence-list"]).hexdigest()
    successor = release.evidence_list(digests, sequence=2, previous=previous)
    newer.attach(newer.signer.sign(release.statement("evidence-list", successor, facts(newer))))
    file = write_export(newer.store, "v1", newer.policies, newer.state, tmp_path / "newer.tar")
    assert judged(file.path, own, tmp_path / "state", newer.image.digest).passed
    older = judged(exported.path, own, tmp_path / "state", stored.image.digest)
    assert [one.code for one in older.refusals] == ["list.older-than-known"]


def facts(stored):
    return ImageFacts(digest=stored.image.digest, platforms={release.PLATFORM: stored.image.digest})


def test_a_damaged_layer_is_refused(exported, own, stored, tmp_path):
    manifest = json.loads(stored.store.manifest(stored.image.digest))
    layer = "blobs/sha256/" + manifest["layers"][0]["digest"].removeprefix("sha256:")
    damaged = changed(exported.path, tmp_path / "a.tar", lambda members: {**members, layer: members[layer][:-1] + b"!"})
    with pytest.raises(Refused) as refused:
        judged(damaged, own, tmp_path, stored.image.digest)
    assert refused.value.code == "store.digest"
    without = changed(
        exported.path, tmp_path / "b.tar", lambda members: {k: v for k, v in members.items() if k != layer}
    )
    with pytest.raises(CannotEvaluate) as missing:
        judged(without, own, tmp_path, stored.image.digest)
    assert missing.value.code == "store.missing"


def test_the_image_is_asked_for_by_digest(exported, own, tmp_path):
    with pytest.raises(Misuse) as misuse:
        judged(exported.path, own, tmp_path, "image")
    assert misuse.value.code == "verify.reference"


def test_a_policy_file_outside_of_its_folder_is_refused(exported, own, stored, tmp_path):
    for name in ("../../escaped", "/etc/passwd", "a/../../b", "..", "", "a//b", "tests/.."):
        bad = changed(
            exported.path, tmp_path / "bad.tar", lambda members, name=name: {**members, f"gatehouse/policy/{name}": b""}
        )
        with pytest.raises(CannotEvaluate) as refused:
            judged(bad, own, tmp_path, stored.image.digest)
        assert refused.value.code in ("export.malformed", "store.malformed")
    assert not (tmp_path / "escaped").exists()


def test_a_file_that_is_no_export_cannot_be_evaluated(exported, own, stored, tmp_path):
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "text.tar").write_text("no tar at all")
    (tmp_path / "half.tar").write_bytes(exported.path.read_bytes()[: exported.size // 2])
    with tarfile.open(tmp_path / "other.tar", "w"):
        pass
    for name in ("empty", "text", "half", "other", "absent"):
        with pytest.raises(CannotEvaluate) as refused:
            judged(tmp_path / f"{name}.tar", own, tmp_path, stored.image.digest)
        assert refused.value.code in ("store.malformed", "export.malformed", "export.missing"), name


def test_a_later_format_is_not_guessed_at(exported, own, stored, tmp_path):
    def later(members):
        about = json.loads(members["gatehouse/export.json"]) | {"format": "gatehouse-export/2"}
        return {**members, "gatehouse/export.json": json.dumps(about).encode()}

    with pytest.raises(CannotEvaluate, match="gatehouse-export/2") as refused:
        judged(changed(exported.path, tmp_path / "later.tar", later), own, tmp_path, stored.image.digest)
    assert refused.value.code == "export.malformed"


@pytest.mark.parametrize(
    ("policy", "roots"),
    [
        (None, ()),
        ("", ("local=a",)),
        ("sha256:" + "0" * 64, ("=file",)),
        ("p", ("local=",)),
        ("p", ("local=a", "local=b")),
        ("p", ("../up=a",)),
    ],
)
def test_a_file_does_not_vouch_for_itself(policy, roots):
    with pytest.raises(Misuse, match="is not usable") as misuse:
        Own.of(policy, roots)
    assert misuse.value.code == "verify.offline"


def test_a_root_without_a_name_is_the_public_one():
    assert Own.of("p", ["file", "local=other"]).trust_roots == {"public": "file", "local": "other"}


def test_a_file_of_a_root_or_a_folder_of_a_policy_that_is_not_there_is_a_misuse(exported, own, stored, tmp_path):
    for mine in (
        Own(policy=str(tmp_path / "absent"), trust_roots={}),
        Own(policy=own.policy, trust_roots={"local": str(tmp_path / "absent")}),
    ):
        with pytest.raises(Misuse) as misuse:
            judged(exported.path, mine, tmp_path, stored.image.digest)
        assert misuse.value.code == "verify.offline"


def test_an_image_whose_layer_is_gone_is_not_exported(tmp_path, rekor_v1, root):
    stored = Stored.make(tmp_path, rekor_v1, root)
    layer = json.loads(stored.store.manifest(stored.image.digest))["layers"][0]["digest"].removeprefix("sha256:")
    (stored.state / "store" / "blobs" / "sha256" / layer).unlink()
    with pytest.raises(CannotEvaluate) as missing:
        write_export(stored.store, "v1", stored.policies, stored.state, tmp_path / "out" / "release.tar")
    assert missing.value.code == "store.missing"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture(scope="module")
def clone(tmp_path_factory, root):
    """The package alone, in a folder of its own, so that a process of it leaves its state there."""
    clone = tmp_path_factory.mktemp("receiver") / "clone"
    shutil.copytree(root / "pipeline", clone / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    return clone


def test_it_is_judged_in_an_empty_network_namespace(exported, stored, clone):
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    command = [sys.executable, "-I", clone / "pipeline" / "__main__.py", "verify", str(stored.image.digest)]
    command += ["--offline", exported.path, "--policy", f"sha256:{exported.policy}"]
    trust = ["--trust-root", f"local=sha256:{exported.trust_roots['local']}"]
    alone = ["unshare", "-rn", "env", "-i"]
    done = subprocess.run([*alone, *command, *trust], capture_output=True, text=True, check=False)
    assert (done.returncode, "development: PASSED as of " in done.stdout) == (0, True), done.stderr
    done = subprocess.run([*alone, *command[:-2], *trust], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "verify.offline: verify --offline: --policy is not usable (got none" in done.stderr


def outside(name):
    found = shutil.which(name, path=f"{os.environ.get('GATEHOUSE_OUTSIDE', '')}/bin:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not here: .ci/install-outside-verifiers installs it")
    return found


@pytest.mark.interop
def test_skopeo_copies_the_image_out_of_the_file(exported, stored, tmp_path):
    places = [f"oci-archive:{exported.path}:image", f"oci:{tmp_path / 'copy'}:v1"]
    subprocess.run([outside("skopeo"), "copy", "--insecure-policy", "--preserve-digests", *places], check=True)
    assert OciLayout(tmp_path / "copy").resolve("v1").digest == stored.image.digest


@pytest.mark.interop
def test_oras_finds_the_evidence_in_the_file(exported, stored):
    discover = [outside("oras"), "discover", "--oci-layout", f"{exported.path}:image"]
    told = subprocess.run(discover, check=True, capture_output=True, text=True).stdout
    assert str(stored.image.digest) in told
    assert told.count("dev.sigstore.bundle.predicateType: ") == exported.referrers > 10


def test_what_was_exported_can_be_pushed_again(exported, stored, tmp_path):
    """As an archive of the image step: the receiver may put it into a registry of their own."""
    file = changed(
        exported.path,
        tmp_path / "image.tar",
        lambda members: {
            **members,
            "index.json": json.dumps({"manifests": json.loads(members["index.json"])["manifests"][:1]}).encode(),
        },
    )
    assert push_archive(file, OciLayout(tmp_path / "store"), "v1").digest == stored.image.digest


def test_time_passes_in_a_file_too(exported, own, stored, tmp_path):
    later = datetime.now(UTC) + timedelta(days=400)
    with open_offline(exported.path, own) as offline:
        judgement = verify_offline(offline, str(stored.image.digest), "development", later, tmp_path)[1]
    assert "evidence.expired" in {one.code for one in judgement.refusals}
