"""The local instance as sigstore-python sees it: what it signs verifies, on both kinds of log."""

import pytest
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy
from sigstore_models.trustroot.v1 import TrustedRoot as InnerRoot

from pipeline.model.digests import Digest
from pipeline.model.statement import make_statement
from pipeline.signing.identities import GITHUB_ISSUER, LOCAL_IDENTITY, LOCAL_ISSUER
from tests.support.signing import World, github

STATEMENT = make_statement([("app", Digest.of(b"app"))], "https://example.org/predicate", {"n": 1})


@pytest.fixture(params=["rekor_v1", "rekor_v2"])
def signing(request: pytest.FixtureRequest) -> World:
    running: World = request.getfixturevalue(request.param)
    return running


def verify(signing: World, bundle: bytes, identity: str, issuer: str) -> bytes:
    verifier = Verifier(trusted_root=TrustedRoot(InnerRoot.from_json(signing.trusted_root)))
    _, payload = verifier.verify_dsse(Bundle.from_json(bundle), policy.Identity(identity=identity, issuer=issuer))
    return payload


def test_a_bundle_of_the_local_developer_verifies(signing: World):
    assert verify(signing, signing.sign(STATEMENT), LOCAL_IDENTITY, LOCAL_ISSUER) == STATEMENT


def test_a_bundle_of_a_github_workflow_names_the_called_workflow(signing: World):
    bundle = signing.sign(STATEMENT, **github(workflow=".github/workflows/attest.yml"))
    identity = "https://github.com/acme/app/.github/workflows/attest.yml@refs/heads/main"
    assert verify(signing, bundle, identity, GITHUB_ISSUER) == STATEMENT
