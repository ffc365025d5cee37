"""The admission policies fit their controllers' schemas, pin what the gate writes, and their CEL says what they say.

What the controllers' own code makes of them is in tests/interop/test_admission.py.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cel_expr_python import cel
from jsonschema import Draft202012Validator

from pipeline.gate.policy import load_policy
from pipeline.gate.signers import GithubSigner
from pipeline.gate.verdict import VERIFIER, verdict_predicate
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import dump
from pipeline.promotion.promoting import VERDICT_AGE
from pipeline.signing.identities import GITHUB_ISSUER
from tests.support import release

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "admission"
ENVIRONMENTS = ("staging", "production")
SCHEMAS = {
    "kyverno": "policies.kyverno.io.imagevalidatingpolicies.v1.json",
    "policy-controller": "policy.sigstore.dev.clusterimagepolicies.v1beta1.json",
}
NOW = release.NOW
IMAGE = "ghcr.io/OWNER/NAME-production@sha256:" + "1" * 64


def shipped(controller: str, environment: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / controller / f"{environment}.yaml").read_text(encoding="utf-8"))
    return loaded


def strict(schema: Any) -> Any:
    """As the API server has it with strict field validation: a field that the schema does not name is none."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(value) for name, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


def problems(controller: str, document: dict[str, Any]) -> list[str]:
    schema = json.loads((Path(__file__).parent / "schemas" / SCHEMAS[controller]).read_text(encoding="utf-8"))
    text = {"type": "string"}
    named = {"type": "object", "properties": {"name": text}}  # these three are every object's
    schema["properties"] |= {"apiVersion": text, "kind": text, "metadata": named}
    return [error.message for error in Draft202012Validator(strict(schema)).iter_errors(document)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("controller", SCHEMAS)
def test_a_policy_fits_its_controllers_schema(controller, environment):
    assert problems(controller, shipped(controller, environment)) == []


@pytest.mark.parametrize("controller", SCHEMAS)
def test_a_field_that_the_schema_does_not_name_is_noticed(controller):
    document = shipped(controller, "production")
    document["spec"]["validationAction"] = ["Deny"]
    assert len(problems(controller, document)) == 1


def test_the_two_environments_differ_in_their_name_alone():
    for controller in SCHEMAS:
        staging, production = ((FOLDER / controller / f"{name}.yaml").read_text() for name in ENVIRONMENTS)
        assert staging.replace("staging", "production") == production


def pinned(controller: str, environment: str) -> dict[str, str]:
    """Issuer, identity and predicate type of a policy, wherever its controller wants them."""
    spec = shipped(controller, environment)["spec"]
    if controller == "kyverno":
        keyless, kind = spec["attestors"][0]["cosign"]["keyless"], spec["attestations"][0]["intoto"]["type"]
    else:
        (authority,) = spec["authorities"]
        keyless, kind = authority["keyless"], authority["attestations"][0]["predicateType"]
        assert authority["signatureFormat"] == "bundle"
    (identity,) = keyless["identities"]
    return {**identity, "type": kind}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("controller", SCHEMAS)
def test_kind_issuer_and_identity_are_those_of_the_policys_judge(controller, environment):
    policy = load_policy(ROOT / "policies")
    (judge,) = policy.signers_of(policy.environment(environment), Kind.VERDICT)
    assert isinstance(judge, GithubSigner)
    assert pinned(controller, environment) == {
        "issuer": GITHUB_ISSUER,
        "subject": f"https://github.com/OWNER/REPOSITORY/{judge.workflow}@{judge.ref}",
        "type": SHAPES[Kind.VERDICT].predicate_type,
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("controller", SCHEMAS)
def test_verifier_policy_and_resource_are_pinned_as_the_gate_writes_them(judged, controller, environment):
    text = (FOLDER / controller / f"{environment}.yaml").read_text(encoding="utf-8")
    verdict = verdict_predicate(judged(environment), "NAME")
    assert f'"{VERIFIER}"' in text
    assert f'"{verdict.policy.uri}"' in text
    assert f'"{verdict.resource_uri.removesuffix(release.IMAGE.digest.hex)}"' in text


def test_a_verdict_lives_longer_than_the_daily_gate_needs_to_sign_the_next():
    for controller in SCHEMAS:
        text = (FOLDER / controller / "production.yaml").read_text(encoding="utf-8")
        (hours,) = set(re.findall(r'duration\("(\d+)h"\)|<= (\d+) \* 3600', text)[0]) - {""}
        assert timedelta(days=1) < timedelta(hours=int(hours)) < VERDICT_AGE + timedelta(days=1)


def test_what_no_policy_names_is_refused():
    config = yaml.safe_load((FOLDER / "policy-controller" / "config.yaml").read_text(encoding="utf-8"))
    assert config["data"] == {"no-match-policy": "deny"}


def test_kyverno_fails_closed():
    spec = shipped("kyverno", "production")["spec"]
    assert (spec["failurePolicy"], spec["validationActions"]) == ("Fail", ["Deny"])
    assert spec["matchImageReferences"] == [{"glob": "*"}]
    assert all(spec["validationConfigurations"].values())


# Kyverno's CEL


@pytest.fixture(scope="module")
def judged():
    """A verdict, as the gate makes it, about the image of the tests."""
    from dataclasses import replace  # noqa: PLC0415

    from pipeline.gate.evidence import Memory  # noqa: PLC0415
    from pipeline.gate.judging import judge  # noqa: PLC0415

    policy = replace(load_policy(ROOT / "policies"), repository="acme/app")

    def call(environment, *, pieces=None, now=NOW):
        found = release.hosted() if pieces is None else pieces
        return judge(release.IMAGE, list(found.values()), policy, environment, now, Memory())

    return call


@pytest.fixture(scope="module")
def refused():
    """The messages with which the policy for production refuses a pod, by the CEL of its validations.

    Kyverno's functions stand for what its own tests hold: signatures that verify, and payloads of those that did.
    """
    verified: dict[str, Any] = {}
    text, any_map = cel.Type.STRING, cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    functions = [
        (
            "verifyAttestationSignatures",
            cel.Type.INT,
            [text, any_map, cel.Type.List(any_map)],
            lambda i, *_: i in verified,
        ),
        ("extractPayload", any_map, [text, any_map], lambda image, _: verified[image]),
        ("time.now", cel.Type.TIMESTAMP, [], lambda: NOW),
    ]
    environment = cel.NewEnv(
        variables={
            "images": cel.Type.Map(text, cel.Type.List(text)),
            "variables": cel.Type.Map(text, cel.Type.List(text)),
            "attestations": cel.Type.Map(text, any_map),
            "attestors": cel.Type.Map(text, any_map),
        },
        functions=[
            cel.FunctionDecl(
                name, [cel.Overload(name.replace(".", "_"), result, parameters, impl=_as_int(implementation))]
            )
            for name, result, parameters, implementation in functions
        ],
    )
    spec = shipped("kyverno", "production")["spec"]
    (every,) = spec["variables"]
    named = {"attestations": {"verdict": {"name": "verdict"}}, "attestors": {"judge": {"name": "judge"}}}

    def call(pod: dict[str, list[str]], payloads: dict[str, Any]) -> list[str]:
        verified.clear()
        verified.update(payloads)
        images = {"containers": [], "initContainers": [], "ephemeralContainers": [], **pod}
        found = environment.compile(every["expression"]).eval(
            environment.Activation({**named, "images": images, "variables": {}})
        )
        seen = environment.Activation({**named, "images": images, "variables": {every["name"]: found.plain_value()}})
        return [
            one["message"]
            for one in spec["validations"]
            if environment.compile(one["expression"]).eval(seen).plain_value() is not True
        ]

    return call


def _as_int(implementation):
    """Python's yes is CEL's 1."""

    def call(*arguments):
        answer = implementation(*arguments)
        return int(answer) if isinstance(answer, bool) else answer

    return call


def payload(judgement, name: str = "NAME", **changes: Any) -> dict[str, Any]:
    predicate = dump(verdict_predicate(judgement, name))
    subject = [{"name": name, "digest": {"sha256": release.IMAGE.digest.hex}}]
    return {"subject": subject, "predicate": {**predicate, **changes}}


def good(judged) -> dict[str, Any]:
    # Production asks for more than the release of these tests has: what counts here is how a verdict is read.
    return payload(judged("production"), verificationResult="PASSED")


def test_a_pod_whose_images_have_a_fresh_passed_verdict_is_admitted(judged, refused):
    assert refused({"containers": [IMAGE]}, {IMAGE: good(judged)}) == []


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
def test_an_image_without_a_verdict_refuses_wherever_it_is(judged, refused, place):
    other = IMAGE.replace("1" * 64, "2" * 64)
    pod = {"containers": [IMAGE], place: [IMAGE, other]}
    assert "an image has no verdict by the judge's workflow" in refused(pod, {IMAGE: good(judged)})


@pytest.mark.parametrize("image", [IMAGE.replace("-production", "-staging"), IMAGE.replace("@", "-evil@"), "NAME"])
def test_an_image_of_another_repository_refuses_whatever_its_verdict(judged, refused, image):
    assert refused({"containers": [image]}, {image: good(judged)}) == ["an image is not of production's repository"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verificationResult": "FAILED"}, "the verdict about an image is not PASSED"),
        ({"verifier": {"id": "https://evil.example"}}, "the verdict about an image is not the gate's"),
        ({"resourceUri": "pkg:oci/other@sha256%3A" + "1" * 64}, "the verdict about an image is about another resource"),
        ({"resourceUri": "pkg:oci/NAME@sha256%3A" + "2" * 64}, "the verdict about an image is about another resource"),
        ({"timeVerified": "2026-11-19T09:59:59Z"}, "the verdict about an image is older than 26 hours"),
        ({"timeVerified": "2026-11-20T12:05:01Z"}, "the verdict about an image is from the future"),
    ],
)
def test_each_field_of_the_verdict_is_pinned(judged, refused, changes, message):
    found = good(judged)
    found["predicate"] |= changes
    assert refused({"containers": [IMAGE]}, {IMAGE: found}) == [message]


def test_a_verdict_of_another_environment_refuses(judged, refused):
    staging = payload(judged("staging"))
    assert staging["predicate"]["verificationResult"] == "PASSED"
    assert refused({"containers": [IMAGE]}, {IMAGE: staging}) == [
        "the verdict about an image is for another environment than production"
    ]


def test_what_the_gate_refused_refuses(judged, refused):
    messages = refused({"containers": [IMAGE]}, {IMAGE: payload(judged("production", pieces={}))})
    assert messages == ["the verdict about an image is not PASSED"]


@pytest.mark.parametrize("field", ["verificationResult", "verifier", "policy", "resourceUri", "timeVerified"])
def test_a_verdict_that_leaves_a_field_out_refuses(judged, refused, field):
    found = good(judged)
    del found["predicate"][field]
    assert refused({"containers": [IMAGE]}, {IMAGE: found}) != []


def test_the_verdict_is_as_old_as_the_gate_says(judged, refused):
    late = datetime(2026, 11, 19, 10, 0, 1, tzinfo=UTC)
    assert (
        refused({"containers": [IMAGE]}, {IMAGE: payload(judged("production", now=late), verificationResult="PASSED")})
        == []
    )
