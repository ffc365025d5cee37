"""Kyverno's and policy-controller's own code admit what deploy/admission says, and nothing else.

Their command lines run what their webhooks run. The image is in a real registry, its verdicts signed for real; in the
shipped policies the placeholders are filled in, and the local Sigstore instance stands for the public one, by a TUF
repository of its own. No cluster runs here.
"""

import base64
import functools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.gate.judgement import Judgement
from pipeline.gate.verdict import verdict_statement
from pipeline.model.digests import Digest
from pipeline.store.referrers import attach
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.interop.conftest import program, registry_host  # noqa: F401 - fixtures
from tests.support.images import write_archive
from tests.support.signing import World, github, world
from tests.support.tuf_repository import write_repository

pytestmark = [pytest.mark.admission]

NAME = "noticeboard"
JUDGE = ".github/workflows/gate.yml"
PASSED: dict[str, Any] = {}
FAILED: dict[str, Any] = {"result": "FAILED"}
STAGING: dict[str, Any] = {"environment": "staging"}
EVE: dict[str, Any] = {"email": "eve@example.org", "iss": "https://accounts.example.org"}

#: What was attached, in this order, and who admits it: both controllers, one of them, or none.
CASES = {
    "a fresh PASSED verdict": ([PASSED], "both"),
    "no verdict": ([], "none"),
    "a FAILED verdict": ([FAILED], "none"),
    "a verdict of yesterday": ([{"hours": 25}], "both"),
    "a verdict that is too old": ([{"hours": 27}], "none"),
    "a verdict from the future": ([{"hours": -1}], "none"),
    "a verdict for another environment": ([STAGING], "none"),
    "a verdict about another name": ([{"name": "other"}], "none"),
    "a verdict about another image": ([{"image": Digest("2" * 64)}], "none"),
    "another workflow's": ([github(workflow=".github/workflows/attest.yml")], "none"),
    "the judge's of another branch": ([github(workflow=JUDGE, ref="refs/heads/x")], "none"),
    "the judge's of a fork": ([github(repository="evil/app", workflow=JUDGE)], "none"),
    "somebody's with a mail address": ([{"email": "eve@example.org", "iss": "https://accounts.example.org"}], "none"),
    "FAILED, then PASSED": ([FAILED, PASSED], "both"),
    "the judge's FAILED, then a stranger's PASSED": ([FAILED, EVE], "none"),
    "the judge's PASSED of last week, then a stranger's": ([{"hours": 170}, EVE], "none"),
    "for staging, then for production": ([STAGING, PASSED], "both"),
    # One attestation that fits is enough for policy-controller: what came after it does not count.
    "PASSED, then FAILED": ([PASSED, FAILED], "policy-controller"),
    # Kyverno looks at the one that is listed last, and at no other.
    "for production, then for staging": ([PASSED, STAGING], "policy-controller"),
}


@dataclass(frozen=True)
class Cluster:
    """One image in a registry, and the two policies for production with their placeholders filled in."""

    store: Registry
    signing: World
    folder: Path
    programs: Any

    @property
    def image(self) -> str:
        return f"{self.store.address}@{self.store.resolve('v1').digest}"

    def judge(
        self,
        environment: str = "production",
        name: str = NAME,
        result: str = "PASSED",
        hours: int = 0,
        image: Digest | None = None,
        **claims: Any,
    ) -> None:
        """Attaches a verdict; ``claims`` are the signer's, by default the judge's."""
        descriptor = self.store.resolve("v1")
        judgement = Judgement(
            environment=environment,
            image=image or descriptor.digest,
            policy="0" * 64,
            time=datetime.now(UTC) - timedelta(hours=hours),
            refusals=(),
            warnings=(),
            levels=("SLSA_BUILD_LEVEL_2",),
            inputs=(),
            sequences={},
        )
        statement = verdict_statement(judgement, name).replace(b'"PASSED"', json.dumps(result).encode())
        attach(
            self.store, descriptor, self.signing.sign(statement, **(claims or github(workflow=JUDGE))), judgement.time
        )

    def kyverno(self, **pod: Any) -> tuple[bool, str]:
        containers = {"containers": [{"name": "app", "image": self.image}], **pod}
        resource = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": containers}
        (self.folder / "pod.yaml").write_text(yaml.safe_dump(resource))
        policy, pod_file = self.folder / "kyverno.yaml", self.folder / "pod.yaml"
        done = self.programs("kyverno")("apply", policy, "--resource", pod_file, "--registry")
        said = done.stdout.decode() + done.stderr.decode()
        assert "pass: 1, fail: 0" in said or "pass: 0, fail: 1" in said, said
        return "pass: 1, fail: 0" in said, said

    def policy_controller(self) -> tuple[bool, str]:
        policy = self.folder / "policy-controller.yaml"
        done = self.programs("policy-tester")("-policy", policy, "-image", self.image)
        return done.exit_code == 0, done.stdout.decode() + done.stderr.decode()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("admission") / "sigstore", 1) as running:
        yield running


@pytest.fixture(scope="module")
def tuf(signing: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Where the controllers find the trusted root, as Kyverno's policies name it."""
    folder = tmp_path_factory.mktemp("tuf") / "repository"
    root = write_repository(folder, signing.trusted_root)
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}"
        yield {"mirror": mirror, "root": {"data": base64.b64encode(root.read_bytes()).decode()}}
        server.shutdown()


@pytest.fixture
def cluster(root, tmp_path, registry_host, signing, tuf, program) -> Cluster:  # noqa: F811 - the fixtures above
    repository = f"{registry_host}/{tmp_path.name.replace('_', '-')}/{NAME}-production"
    store = Registry(repository, locks=tmp_path / "locks")
    write_archive(tmp_path / "image.tar", content=tmp_path.name.encode())
    push_archive(tmp_path / "image.tar", store, "v1")
    for controller in ("kyverno", "policy-controller"):
        shipped = (root / "deploy" / "admission" / controller / "production.yaml").read_text()
        named = shipped.replace("OWNER/REPOSITORY", "acme/app").replace("pkg:oci/NAME@", f"pkg:oci/{NAME}@")
        policy = yaml.safe_load(named.replace("ghcr.io/OWNER/NAME-production", repository))
        if controller == "kyverno":
            policy["spec"]["attestors"][0]["cosign"]["tuf"] = tuf
            del policy["spec"]["matchConstraints"]["namespaceSelector"]  # its command line knows no namespaces
        (tmp_path / f"{controller}.yaml").write_text(yaml.safe_dump(policy))
    made = Cluster(store, signing, tmp_path, program)
    made.kyverno()  # leaves the TUF repository's root in the home folder, where policy-controller looks for one
    return made


@pytest.mark.parametrize("case", CASES)
def test_both_admit_what_has_a_fresh_passed_verdict_by_the_judge_and_nothing_else(cluster, case):
    verdicts, admitting = CASES[case]
    for verdict in verdicts:
        cluster.judge(**verdict)
    for name, (admitted, said) in (("kyverno", cluster.kyverno()), ("policy-controller", cluster.policy_controller())):
        assert admitted == (admitting in (name, "both")), f"{name}: {said}"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (FAILED, "the verdict about an image is not PASSED"),
        (STAGING, "the verdict about an image is for another environment than production"),
        ({"hours": 27}, "the verdict about an image is older than 26 hours"),
        ({"name": "other"}, "the verdict about an image is about another resource"),
    ],
)
def test_kyverno_says_what_is_wrong(cluster, verdict, said):
    cluster.judge(**verdict)
    admitted, words = cluster.kyverno()
    assert not admitted
    assert said in words


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize("carried", [True, False])
def test_kyverno_admits_no_pod_with_an_image_of_another_repository(cluster, place, carried):
    """Whether or not that image has a verdict as good as the other's."""
    cluster.judge()
    other = Registry(f"{cluster.store.address}-other", locks=cluster.folder / "locks")
    push_archive(cluster.folder / "image.tar", other, "v1")
    elsewhere = replace(cluster, store=other)
    if carried:
        elsewhere.judge()
    stranger = {"name": "stranger", "image": elsewhere.image}
    app = {"name": "app", "image": cluster.image}
    pod = {place: [app, stranger]} if place == "containers" else {place: [stranger]}
    admitted, said = cluster.kyverno(**pod)
    assert not admitted
    assert "an image is not of production's repository" in said
