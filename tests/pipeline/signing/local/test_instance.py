"""The local instance as sigstore-python sees it: what it signs verifies, on both kinds of log, for good."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
import requests
from sigstore.errors import VerificationError
from sigstore.models import Bundle
from sigstore.verify import Verifier, policy

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.statement import make_statement
from pipeline.signing.identities import GITHUB_ISSUER, LOCAL_IDENTITY, LOCAL_ISSUER
from pipeline.signing.local import LocalSigstore
from pipeline.signing.trust import load_trusted_root
from tests.support.signing import World, github, world

STATEMENT = make_statement([("app", Digest.of(b"app"))], "https://example.org/predicate", {"n": 1})


@pytest.fixture(params=["rekor_v1", "rekor_v2"])
def signing(request: pytest.FixtureRequest) -> World:
    running: World = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sigstore"


def verify(trusted_root: bytes, bundle: bytes, identity: str = LOCAL_IDENTITY, issuer: str = LOCAL_ISSUER) -> bytes:
    verifier = Verifier(trusted_root=load_trusted_root(trusted_root))
    _, payload = verifier.verify_dsse(Bundle.from_json(bundle), policy.Identity(identity=identity, issuer=issuer))
    return payload


def test_a_bundle_of_the_local_developer_verifies(signing):
    assert verify(signing.trusted_root, signing.sign(STATEMENT)) == STATEMENT


def test_a_bundle_of_a_github_workflow_names_the_called_workflow(signing):
    bundle = signing.sign(STATEMENT, **github(workflow=".github/workflows/attest.yml"))
    identity = "https://github.com/acme/app/.github/workflows/attest.yml@refs/heads/main"
    assert verify(signing.trusted_root, bundle, identity, GITHUB_ISSUER) == STATEMENT


def test_a_bundle_holds_one_certificate_one_entry_and_one_timestamp(signing):
    material = json.loads(signing.sign(STATEMENT))["verificationMaterial"]
    assert material["certificate"].keys() == {"rawBytes"}
    assert len(material["tlogEntries"]) == len(material["timestampVerificationData"]["rfc3161Timestamps"]) == 1


def test_each_log_makes_its_own_kind_of_entry(rekor_v1, rekor_v2):
    kinds = [
        json.loads(signing.sign(STATEMENT))["verificationMaterial"]["tlogEntries"][0]["kindVersion"]
        for signing in (rekor_v1, rekor_v2)
    ]
    assert kinds == [{"kind": "dsse", "version": "0.0.1"}, {"kind": "hashedrekord", "version": "0.0.2"}]


def test_one_changed_byte_anywhere_in_the_payload_is_refused(signing):
    bundle = json.loads(signing.sign(STATEMENT))
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:8] + ("A" if payload[8] != "A" else "B") + payload[9:]
    with pytest.raises(VerificationError):
        verify(signing.trusted_root, json.dumps(bundle).encode())


@pytest.mark.parametrize("payload_type", ["application/vnd.in-toto+json", "text/plain"])
def test_the_log_takes_any_payload_as_the_public_one_does(signing, payload_type):
    bundle = signing.sign_raw(b"anything", payload_type=payload_type)
    verifier = Verifier(trusted_root=load_trusted_root(signing.trusted_root))
    who = policy.Identity(identity=LOCAL_IDENTITY, issuer=LOCAL_ISSUER)
    assert verifier.verify_dsse(Bundle.from_json(bundle), who) == (payload_type, b"anything")


def test_another_instance_does_not_vouch_for_it(rekor_v1, rekor_v2):
    with pytest.raises(VerificationError):
        verify(rekor_v2.trusted_root, rekor_v1.sign(STATEMENT))


@pytest.mark.parametrize("version", [1, 2])
def test_after_a_restart_old_bundles_verify_and_new_ones_follow(folder, version):
    with world(folder, version) as first:
        old, root = first.sign(STATEMENT), first.trusted_root
    with world(folder, version) as second:
        new = second.sign(STATEMENT)
        assert second.trusted_root == root == (folder / "trusted_root.json").read_bytes()
    assert verify(root, old) == verify(root, new) == STATEMENT
    assert Bundle.from_json(new).log_entry._inner.log_index == 1


def test_everything_but_the_trusted_root_is_private(folder):
    with world(folder) as running:
        running.sign(STATEMENT)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes.pop("trusted_root.json") == 0o644
    assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_instances_on_one_folder_sign_at_once_into_one_log(folder):
    with world(folder) as one, world(folder) as other:
        bundles: list[bytes] = []

        def sign(running):
            bundles.extend(running.sign(STATEMENT) for _ in range(10))

        threads = [threading.Thread(target=sign, args=(running,)) for running in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    indexes = [Bundle.from_json(bundle).log_entry._inner.log_index for bundle in bundles]
    assert sorted(indexes) == list(range(20))
    assert all(verify(one.trusted_root, bundle) == STATEMENT for bundle in bundles)


def test_processes_that_start_at_once_agree_on_the_keys(folder, root):
    program = (
        "import sys; from pathlib import Path; from pipeline.signing.local import LocalSigstore\n"
        "with LocalSigstore(Path(sys.argv[1])) as instance: print(hash(instance.trusted_root()))\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    running = [
        subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = [process.communicate(timeout=60)[0] for process in running]
    assert answers[0].strip()
    assert len(set(answers)) == 1


def test_keys_that_others_may_read_are_refused_and_nothing_starts(folder):
    with LocalSigstore(folder):
        pass
    (folder / "keys.json").chmod(0o644)
    with pytest.raises(Misuse) as refusal:
        LocalSigstore(folder)
    assert refusal.value.code == "state.keys-exposed"


def test_a_missing_trusted_root_is_written_again(folder):
    with LocalSigstore(folder) as instance:
        root = instance.trusted_root()
    (folder / "trusted_root.json").unlink()
    with LocalSigstore(folder):
        assert (folder / "trusted_root.json").read_bytes() == root


def test_a_clock_before_the_keys_is_named(folder):
    with LocalSigstore(folder):
        pass
    with pytest.raises(CannotEvaluate) as refusal:
        LocalSigstore(folder, clock=lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
    assert refusal.value.code == "signing.clock"
    assert "timedatectl" in refusal.value.fix


def test_nobody_gets_a_token_over_http(rekor_v1):
    url = rekor_v1.instance.url
    for path in ("token", "auth"):
        assert requests.get(f"{url}/{path}", params={"audience": "sigstore"}, timeout=5).status_code == 404
        assert requests.post(f"{url}/{path}", timeout=5).status_code == 404


def test_it_publishes_where_its_keys_are(rekor_v1):
    url = rekor_v1.instance.url
    found = requests.get(f"{url}/.well-known/openid-configuration", timeout=5).json()
    assert found["issuer"] == LOCAL_ISSUER
    assert requests.get(found["jwks_uri"], timeout=5).json()["keys"][0]["alg"] == "ES256"


def test_a_stranger_gets_no_certificate(rekor_v1, tmp_path):
    with LocalSigstore(tmp_path / "other") as stranger:
        token = stranger.token()
    answer = requests.post(
        f"{rekor_v1.instance.url}/api/v2/signingCert",
        json={"certificateSigningRequest": ""},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )
    assert (answer.status_code, "signature verification failed" in answer.json()["message"]) == (400, True)


def test_closed_it_has_no_address(folder):
    instance = LocalSigstore(folder)
    with instance:
        url = instance.url
    with pytest.raises(RuntimeError):
        _ = instance.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_a_copied_folder_is_the_same_instance(folder, tmp_path):
    with world(folder) as first:
        bundle = first.sign(STATEMENT)
    copy = shutil.copytree(folder, tmp_path / "copy")
    with LocalSigstore(copy) as second:
        assert verify(second.trusted_root(), bundle) == STATEMENT
