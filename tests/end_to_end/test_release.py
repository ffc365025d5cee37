"""A whole release: the main job with an engine and a registry, its evidence read by a program that is not ours."""

import base64
import hashlib
import json
import os
import re
import shutil
from dataclasses import replace

import pytest

from pipeline.processes import run
from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER
from tests.support.registries import docker_registry

pytestmark = [pytest.mark.engine, pytest.mark.registry, pytest.mark.interop, pytest.mark.network]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield f"{host}/team/noticeboard"


@pytest.fixture(scope="module")
def clone(warm):
    if "DOCKER_HOST" not in os.environ:
        pytest.skip("no engine is named: .ci/run starts one and sets DOCKER_HOST")
    return replace(warm, more={"DOCKER_HOST": os.environ["DOCKER_HOST"]})


@pytest.fixture(scope="module")
def released(clone, repository):
    """The digest that the main job pushed, and what it printed."""
    ended = clone.run("--registry", repository)
    assert ended.code == 0, ended.output
    found = re.search(r"^image +(sha256:[0-9a-f]{64})", ended.output, re.MULTILINE)
    assert found is not None, ended.output
    return found[1], ended.output


@pytest.fixture(scope="module")
def bundles(clone, released):
    return sorted((clone.root / "dist" / "bundles").glob("*.sigstore.json"))


def predicate_types(bundles):
    """Of each bundle in dist, read without our own code."""
    envelopes = [json.loads(path.read_bytes())["dsseEnvelope"] for path in bundles]
    return [json.loads(base64.b64decode(envelope["payload"]))["predicateType"] for envelope in envelopes]


def test_the_image_ran_hardened_on_the_engine(released, bundles):
    assert "hardened, on docker" in released[1]
    assert "smoke-linux-amd64.sigstore.json" in [path.name for path in bundles]


def test_the_smoke_evidence_names_every_request_of_the_services_own_and_the_log(clone, released, bundles):
    (path,) = [path for path in bundles if path.name == "smoke-linux-amd64.sigstore.json"]
    payload = base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"])
    predicate = json.loads(payload)["predicate"]
    declared = re.findall(r'(?m)^\[\[smoke\]\]\nname = "([^"]+)"', (clone.root / "pipeline.toml").read_text())
    assert [name for name in predicate["passedTests"] if name.startswith("request ")] == [
        f"request {name}" for name in declared
    ]
    log = (clone.root / "dist" / "reports" / "smoke.log").read_bytes()
    assert predicate["gatehouse_measures"]["log_sha256"] == hashlib.sha256(log).hexdigest()
    assert {"runs-hardened", "ends-cleanly-on-sigterm"} < set(predicate["passedTests"])


def test_cosign_accepts_every_kind_of_evidence_on_the_real_image(clone, released, repository, bundles, tmp_path):
    cosign = shutil.which("cosign", path=f"{os.environ.get('GATEHOUSE_OUTSIDE', '')}/bin:{os.environ['PATH']}")
    if cosign is None:
        pytest.skip("cosign is not here: .ci/install-outside-verifiers installs it below $GATEHOUSE_OUTSIDE")
    pinned = ["--certificate-identity", LOCAL_IDENTITY, "--certificate-oidc-issuer", LOCAL_ISSUER]
    root = ["--trusted-root", clone.root / "dist" / "trusted_root.json", "--allow-http-registry"]
    image = f"{repository}@{released[0]}"
    types = predicate_types(bundles)
    assert len(types) == 11
    for predicate_type in {*types, "https://slsa.dev/verification_summary/v1"}:
        command = [cosign, "verify-attestation", "--type", predicate_type, *pinned, *root, image]
        done = run(command, env={"HOME": str(tmp_path)}, timeout=60)
        assert done.exit_code == 0, f"{predicate_type}: {done.last_words}"
        assert len(done.stdout.splitlines()) == max(types.count(predicate_type), 1)


@pytest.mark.parametrize(("environment", "code", "result"), [("development", 0, "PASSED"), ("production", 1, "FAILED")])
def test_anyone_with_the_digest_computes_the_verdict_again(clone, released, repository, environment, code, result):
    arguments = ["verify", released[0], "--registry", repository, "--environment", environment]
    ended = clone.run(*arguments, script="gatehouse")
    assert ended.code == code, ended.output
    assert f"{environment}: {result} as of " in ended.output


def test_a_second_run_signs_and_pushes_nothing_anew(clone, released, repository):
    ended = clone.run("--registry", repository)
    assert ended.code == 0, ended.output
    assert f"10 attestations on {released[0]}, 10 kept" in re.sub(r"\s+", " ", ended.output)


def test_the_engine_builds_the_released_image_again_and_that_is_attached_to_it(clone, released, repository):
    ended = clone.run("-s", "reproduce", "--", f"{repository}@{released[0]}", script="nox")
    assert ended.code == 0, ended.output
    assert f"reproduce: passed: {released[0]}: the same digest from engine docker" in ended.output
    verified = clone.run("verify", released[0], "--registry", repository, script="gatehouse")
    assert verified.code == 0, verified.output
    assert re.search(r"^ +reproduction .* PASSED, compared files", verified.output, re.MULTILINE), verified.output
