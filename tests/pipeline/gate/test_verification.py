"""One bundle against trust roots: what is accepted, and the code of each thing that is not."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.gate.verification import MAX_BUNDLE_BYTES, verify_bundle
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import Kind
from pipeline.signing.identities import GITHUB_ISSUER, LOCAL_IDENTITY, LOCAL_ISSUER
from pipeline.signing.trust import load_trusted_root
from tests.support import release
from tests.support.signing import github, world

STATEMENT = release.statement("tests", release.predicates()["tests"])


@pytest.fixture(scope="module", params=["rekor_v1", "rekor_v2"])
def signing(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def roots(signing):
    return {"local": load_trusted_root(signing.trusted_root)}


@pytest.fixture(scope="module")
def bundle(signing):
    return signing.sign(STATEMENT)


def changed(bundle: bytes, change) -> bytes:
    document = json.loads(bundle)
    change(document)
    return json.dumps(document).encode()


def refusal(bundle: bytes, roots) -> GatehouseError:
    with pytest.raises(GatehouseError) as error:
        verify_bundle(bundle, roots)
    return error.value


def test_a_good_bundle_says_who_signed_what_and_when(bundle, roots):
    verified = verify_bundle(bundle, roots)
    assert (verified.identity.issuer, verified.identity.san) == (LOCAL_ISSUER, LOCAL_IDENTITY)
    assert (verified.root, verified.statement.kind) == ("local", Kind.TESTS)
    assert abs(datetime.now(UTC) - verified.verified_at) < timedelta(minutes=5)


def test_a_workflows_certificate_names_repository_workflow_ref_trigger_and_runner(signing, roots):
    identity = verify_bundle(signing.sign(STATEMENT, **github()), roots).identity
    uri = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
    assert (identity.issuer, identity.san, identity.workflow, identity.caller) == (GITHUB_ISSUER, uri, uri, uri)
    assert (identity.repository, identity.ref) == ("https://github.com/acme/app", "refs/heads/main")
    assert (identity.trigger, identity.runner, identity.visibility) == ("push", "github-hosted", "public")
    assert (identity.commit, identity.workflow_digest, identity.caller_digest) == ("a" * 40, "a" * 40, "a" * 40)


def test_the_root_is_the_one_whose_authority_issued_the_certificate(bundle, roots, root):
    public = load_trusted_root(root / "policies" / "trust" / "sigstore-public.json")
    assert verify_bundle(bundle, {"public": public, **roots}).root == "local"


def test_a_certificate_of_an_unknown_authority_is_a_strangers(bundle, root):
    public = load_trusted_root(root / "policies" / "trust" / "sigstore-public.json")
    error = refusal(bundle, {"public": public})
    assert (error.code, type(error)) == ("bundle.root", Refused)
    assert "certificate of an unknown authority" in error.message


def test_another_clones_instance_is_an_unknown_authority(tmp_path, roots):
    with world(tmp_path / "other") as other:
        assert refusal(other.sign(STATEMENT), roots).code == "bundle.root"


def test_an_edited_statement_is_not_what_was_signed(bundle, roots):
    def edit(document):
        payload = base64.b64decode(document["dsseEnvelope"]["payload"]).replace(b"PASSED", b"FAILED")
        document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()

    error = refusal(changed(bundle, edit), roots)
    assert (error.code, type(error)) == ("bundle.signature", Refused)
    assert "expected a valid signature over the statement" in error.message


def test_another_payload_type_is_not_what_was_signed(bundle, roots):
    def edit(document):
        document["dsseEnvelope"]["payloadType"] = "text/plain"

    assert refusal(changed(bundle, edit), roots).code == "bundle.signature"


def test_the_certificate_of_another_signature_does_not_fit(signing, bundle, roots):
    other = json.loads(signing.sign(STATEMENT, **github()))

    def edit(document):
        document["verificationMaterial"]["certificate"] = other["verificationMaterial"]["certificate"]

    # Issued in a later second than the timestamp, it was not even valid then.
    assert refusal(changed(bundle, edit), roots).code in {"bundle.signature", "bundle.certificate"}


def test_without_its_log_entry_a_bundle_cannot_be_read(bundle, roots):
    def edit(document):
        document["verificationMaterial"]["tlogEntries"] = []

    error = refusal(changed(bundle, edit), roots)
    assert (error.code, type(error)) == ("bundle.malformed", CannotEvaluate)
    assert "expected exactly one log entry" in error.message


def test_a_log_entry_of_another_statement_is_refused(signing, bundle, roots):
    other = json.loads(signing.sign(release.statement("sast", release.predicates()["sast"])))

    def edit(document):
        document["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]

    assert refusal(changed(bundle, edit), roots).code == "bundle.log"


def test_an_edited_inclusion_proof_is_refused(bundle, roots):
    def edit(document):
        proof = document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
        proof["rootHash"] = base64.b64encode(b"\0" * 32).decode()

    assert refusal(changed(bundle, edit), roots).code == "bundle.log"


def test_without_any_verified_time_a_bundle_is_refused(bundle, roots):
    def edit(document):
        document["verificationMaterial"].pop("timestampVerificationData", None)
        document["verificationMaterial"]["tlogEntries"][0].pop("inclusionPromise", None)

    error = refusal(changed(bundle, edit), roots)
    assert "bundle must contain an inclusion promise or signed timestamp" in error.message


def test_a_timestamp_over_something_else_is_no_time(rekor_v2):
    one, other = (json.loads(rekor_v2.sign(STATEMENT, **claims)) for claims in ({}, github()))
    stamps = other["verificationMaterial"]["timestampVerificationData"]
    one["verificationMaterial"]["timestampVerificationData"] = stamps
    error = refusal(json.dumps(one).encode(), {"local": load_trusted_root(rekor_v2.trusted_root)})
    assert error.code == "bundle.time"
    assert "not enough sources of verified time" in error.message


def test_a_signature_over_another_payload_type_is_no_statement(signing, roots):
    error = refusal(signing.sign_raw(STATEMENT, payload_type="text/plain"), roots)
    assert (error.code, type(error)) == ("bundle.payload-type", Refused)
    assert "got 'text/plain', expected 'application/vnd.in-toto+json'" in error.message


def test_a_signed_statement_with_a_key_twice_is_unreadable(signing, roots):
    error = refusal(signing.sign_raw(b'{"_type":"x",' + STATEMENT[1:]), roots)
    assert (error.code, type(error)) == ("document.malformed", CannotEvaluate)


def test_a_signed_statement_that_is_none_of_in_totos_is_unreadable(signing, roots, bundle):
    statement = json.loads(STATEMENT)
    statement["subject"][0]["digest"]["sha512"] = "a" * 128
    error = refusal(signing.sign_raw(json.dumps(statement).encode()), roots)
    assert (error.code, type(error)) == ("document.shape", CannotEvaluate)


def test_twenty_megabytes_are_refused_before_they_are_parsed(bundle, roots):
    error = refusal(bundle + b" " * 20 * 1024 * 1024, roots)
    assert (error.code, type(error)) == ("bundle.too-large", CannotEvaluate)
    assert f"expected at most {MAX_BUNDLE_BYTES}" in error.message


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 0.99])
def test_a_file_cut_off_cannot_be_read(bundle, roots, part):
    error = refusal(bundle[: int(len(bundle) * part)], roots)
    assert (error.code, type(error)) == ("bundle.malformed", CannotEvaluate)


def test_a_key_that_is_there_twice_is_refused(bundle, roots):
    error = refusal(b'{"mediaType":"x",' + bundle[1:], roots)
    assert "duplicate key 'mediaType'" in error.message


def test_another_bundle_version_is_refused(bundle, roots):
    def edit(document):
        document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"

    assert "not a bundle that is read here" in refusal(changed(bundle, edit), roots).message
