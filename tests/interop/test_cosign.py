"""Debian sid's cosign 3 accepts every piece of evidence on the image, and none that was changed."""

import json

import pytest

from pipeline.model.kinds import SHAPES, Kind
from pipeline.store.referrers import attach
from tests.interop.conftest import flipped
from tests.support.evidence import NOW

pytestmark = [pytest.mark.interop, pytest.mark.registry]

SIGNATURE = SHAPES[Kind.SIGNATURE].predicate_type
TYPES = sorted(
    {
        SHAPES[kind].predicate_type
        for kind in (
            Kind.SIGNATURE,
            Kind.PROVENANCE,
            Kind.TESTS,
            Kind.VULNERABILITIES,
            Kind.SBOM,
            Kind.HARDENING,
            Kind.EVIDENCE_LIST,
        )
    }
)


@pytest.fixture
def cosign(program):
    def call(command, release, *arguments, identity=None, issuer=None):
        return program("cosign")(
            command,
            "--trusted-root",
            release.trusted_root,
            "--certificate-identity",
            identity or release.identity,
            "--certificate-oidc-issuer",
            issuer or release.issuer,
            "--allow-http-registry",
            *arguments,
            release.reference,
        )

    return call


def test_the_image_verifies(cosign, release):
    verified = cosign("verify", release)
    assert verified.exit_code == 0, verified.last_words


@pytest.mark.parametrize("predicate_type", TYPES)
def test_every_attestation_of_a_type_verifies(cosign, release, predicate_type):
    verified = cosign("verify-attestation", release, "--type", predicate_type)
    assert verified.exit_code == 0, verified.last_words
    assert len(verified.stdout.splitlines()) == len(release.of_type(predicate_type)) > 0
    for line in verified.stdout.splitlines():
        assert json.loads(line)["payloadType"] == "application/vnd.in-toto+json"


def test_a_type_that_is_not_there_does_not_verify(cosign, release):
    assert cosign("verify-attestation", release, "--type", "https://example.com/none").exit_code != 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity": "https://github.com/acme/app/.github/workflows/other.yml@refs/heads/main"},
        {"issuer": "https://example.com"},
    ],
)
def test_another_identity_or_issuer_does_not_verify(cosign, release, wrong):
    refused = cosign("verify-attestation", release, "--type", SIGNATURE, **wrong)
    assert refused.exit_code != 0
    assert "no matching" in refused.stderr.decode() or "none of the" in refused.stderr.decode()


@pytest.mark.parametrize("predicate_type", TYPES)
def test_the_evidence_verifies_in_another_repository(cosign, release, twin, predicate_type):
    (bundle, *_) = [one.bundle for one in release.of_type(predicate_type)]
    attach(twin.store, twin.image, bundle, NOW)
    assert cosign("verify-attestation", twin, "--type", predicate_type).exit_code == 0


@pytest.mark.parametrize("predicate_type", TYPES)
def test_a_changed_payload_does_not_verify(cosign, release, twin, predicate_type):
    (bundle, *_) = [one.bundle for one in release.of_type(predicate_type)]
    attach(twin.store, twin.image, flipped(bundle), NOW)
    assert cosign("verify-attestation", twin, "--type", predicate_type).exit_code != 0


def test_another_image_s_signature_does_not_verify(cosign, release, elsewhere):
    (signature,) = release.of_type(SIGNATURE)
    attach(elsewhere.store, elsewhere.image, signature.bundle, NOW)
    assert cosign("verify-attestation", elsewhere, "--type", SIGNATURE).exit_code != 0
    assert cosign("verify", elsewhere).exit_code != 0
