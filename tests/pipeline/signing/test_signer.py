"""The signer against instances that lie, break or stop."""

import datetime as dt
import json
import logging
import threading

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.statement import MAX_STATEMENT_BYTES, make_statement
from pipeline.signing import signer as signer_module
from pipeline.signing.identities import GITHUB_ISSUER, LOCAL_IDENTITY, LOCAL_ISSUER
from pipeline.signing.local import LocalSigstore
from pipeline.signing.signer import SigstoreSigner
from pipeline.signing.transport import Limits
from tests.support.loopback import Reply, loopback
from tests.support.signing import github

STATEMENT = make_statement([("app", Digest.of(b"app"))], "https://example.org/predicate", {"n": 1})
QUICK = Limits(connect=1, read=1, total=3, sleep=lambda _: None)


def config_with(instance: LocalSigstore, **addresses: str) -> bytes:
    """The instance's configuration with some services elsewhere."""
    config = json.loads(instance.client_trust_config())
    for service, address in addresses.items():
        config["signingConfig"][service][0]["url"] = address
    return json.dumps(config).encode()


def signer(instance: LocalSigstore, config: bytes | None = None, **claims: str) -> SigstoreSigner:
    return SigstoreSigner(
        config or instance.client_trust_config(),
        instance.trusted_root(),
        lambda: instance.token(**claims),
        instance="local",
        limits=QUICK,
    )


@pytest.fixture(params=["rekor_v1", "rekor_v2"])
def instance(request):
    return request.getfixturevalue(request.param).instance


def test_the_signer_tells_who_it_is(instance):
    local, workflow = signer(instance), signer(instance, None, **github())
    assert (local.identity, local.issuer, local.instance) == (LOCAL_IDENTITY, LOCAL_ISSUER, "local")
    assert workflow.identity == "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
    assert workflow.issuer == GITHUB_ISSUER


def test_many_statements_take_one_certificate(instance):
    one = signer(instance)
    certificates = {
        json.loads(one.sign(STATEMENT))["verificationMaterial"]["certificate"]["rawBytes"] for _ in range(5)
    }
    assert len(certificates) == 1


def test_a_certificate_about_to_end_is_renewed_with_a_new_token(instance, monkeypatch):
    one = signer(instance)
    before = one._certificate
    monkeypatch.setattr(signer_module, "RENEWAL", dt.timedelta(minutes=11))
    one.sign(STATEMENT)
    assert one._certificate != before


def test_one_signer_serves_many_threads_within_the_limits(instance):
    one, bundles = signer(instance), []
    threads = [threading.Thread(target=lambda: bundles.append(one.sign(STATEMENT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(bundles)) == 4


@pytest.mark.parametrize(
    ("statement", "code"),
    [(b"", "malformed"), (b'{"a": 1, "a": 2}', "malformed"), (b"{}", "shape"), (STATEMENT[:-1] + b',"x":1}', "shape")],
)
def test_what_is_not_one_statement_is_not_signed(instance, statement, code):
    with pytest.raises(CannotEvaluate) as refusal:
        signer(instance).sign(statement)
    assert refusal.value.code == f"document.{code}"


def test_a_statement_of_twenty_megabytes_is_refused(instance):
    with pytest.raises(CannotEvaluate) as refusal:
        signer(instance).sign(b" " * 20_000_000)
    assert refusal.value.code == "signing.too-large"
    assert f"got 20000000 bytes, expected at most {MAX_STATEMENT_BYTES}" in refusal.value.message


@pytest.mark.parametrize("service", ["caUrls", "rekorTlogUrls", "tsaUrls"])
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(201, b"garbage"), "signing.garbage"),
        (Reply(201, b"[]"), "signing.garbage"),
        (Reply(201, b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": ["a", "b"]}}}'), "signing.garbage"),
        (Reply(403, b'{"message": "no"}'), "signing.refused"),
        (Reply(500), "signing.unreachable"),
        (Reply(raw=b"garbage"), "signing.unreachable"),
    ],
    ids=["text", "list", "certificates", "refusal", "crash", "no http"],
)
def test_each_service_that_fails_stops_the_signing_with_its_code(instance, service, reply, code):
    with loopback(lambda _: reply) as server:
        config = config_with(instance, **{service: server.origin})
        with pytest.raises(CannotEvaluate) as refusal:
            signer(instance, config).sign(STATEMENT)
    assert refusal.value.code == code
    assert refusal.value.fix


def test_a_certificate_of_another_authority_is_unverifiable(instance, tmp_path):
    with LocalSigstore(tmp_path / "other") as other:
        config = config_with(instance, caUrls=other.url)
        with pytest.raises(CannotEvaluate) as refusal:
            SigstoreSigner(config, instance.trusted_root(), other.token, instance="local", limits=QUICK)
    assert refusal.value.code == "signing.unverifiable"
    assert "scripts/nox -s trust" in refusal.value.fix


@pytest.mark.parametrize("service", ["rekorTlogUrls", "tsaUrls"])
def test_an_entry_or_stamp_of_another_instance_is_never_handed_out(instance, tmp_path, service):
    path = "/api/v1/timestamp" if service == "tsaUrls" else ""
    with LocalSigstore(tmp_path / "other", instance.rekor_version) as other:
        one = signer(instance, config_with(instance, **{service: f"{other.url}{path}"}))
        with pytest.raises(CannotEvaluate) as refusal:
            one.sign(STATEMENT)
    assert refusal.value.code == "signing.unverifiable"


def test_a_token_that_the_authority_refuses_is_told_without_the_token(instance, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with LocalSigstore(tmp_path / "other") as other:
        secret = other.token()
    with pytest.raises(CannotEvaluate) as refusal:
        SigstoreSigner(
            instance.client_trust_config(), instance.trusted_root(), lambda: secret, instance="local", limits=QUICK
        )
    assert refusal.value.code == "signing.refused"
    assert "signature verification failed" in refusal.value.message
    told = f"{refusal.value}{refusal.value!r}{caplog.text}"
    assert not any(part in told for part in secret.split("."))


def test_a_configuration_that_is_none_is_garbage(instance):
    with pytest.raises(CannotEvaluate) as refusal:
        signer(instance, b"{}")
    assert refusal.value.code == "signing.garbage"
