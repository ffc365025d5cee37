"""npm's @sigstore/verify and sigstore-go accept every bundle, and none that was changed."""

from pathlib import Path

import pytest

from tests.interop.conftest import OUTSIDE, flipped

pytestmark = [pytest.mark.interop, pytest.mark.registry]

SCRIPT = Path(__file__).with_name("verify.js")


@pytest.fixture(params=["npm", "sigstore-go"])
def verify(request, program, tmp_path):
    """Says of bundle and release whether the verifier accepts it; ``changes`` replace parts of the release."""

    def npm(release, path, identity, issuer, digest):
        modules = OUTSIDE / "npm"
        if not (modules / "node_modules").is_dir():
            pytest.skip("npm's @sigstore/verify is not here: .ci/install-outside-verifiers installs it")
        return program("node")(SCRIPT, modules, release.trusted_root, path, identity, issuer)

    def sigstore_go(release, path, identity, issuer, digest):
        return program("sigstore-go-verification")(
            "-artifact-digest",
            digest.hex,
            "-expectedSAN",
            identity,
            "-expectedIssuer",
            issuer,
            "-trustedrootJSONpath",
            release.trusted_root,
            path,
        )

    def call(release, bundle, *, identity=None, issuer=None, digest=None):
        path = tmp_path / "bundle.json"
        path.write_bytes(bundle)
        verifier = npm if request.param == "npm" else sigstore_go
        return verifier(
            release, path, identity or release.identity, issuer or release.issuer, digest or release.image.digest
        )

    return call


def test_every_bundle_is_accepted(verify, release):
    for one in release.own:
        accepted = verify(release, one.bundle)
        assert accepted.exit_code == 0, f"{one.kind}: {accepted.last_words}"


def test_every_changed_bundle_is_refused(verify, release):
    for one in release.own:
        assert verify(release, flipped(one.bundle)).exit_code != 0, one.kind


def test_another_identity_is_refused(verify, release):
    assert verify(release, release.own[0].bundle, identity=f"{release.identity}-2").exit_code != 0


def test_another_issuer_is_refused(verify, release):
    assert verify(release, release.own[0].bundle, issuer="https://example.com").exit_code != 0


@pytest.mark.parametrize("verify", ["sigstore-go"], indirect=True)
def test_another_image_is_refused(verify, release, elsewhere):
    """npm's verifies signatures and leaves the subject to its caller."""
    assert verify(release, release.own[0].bundle, digest=elsewhere.image.digest).exit_code != 0
