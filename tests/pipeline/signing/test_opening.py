import datetime as dt
import json

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.statement import make_statement
from pipeline.settings import App, Image, Settings, Signing
from pipeline.signing import signer as signer_module
from pipeline.signing.identities import GITHUB_ISSUER, GOOGLE_ISSUER, LOCAL_ISSUER
from pipeline.signing.opening import open_signer, sigstore_folder
from pipeline.signing.transport import Limits
from tests.support.signing import github

STATEMENT = make_statement([("app", Digest.of(b"app"))], "https://example.org/predicate", {"n": 1})


def settings(**signing):
    app = App(name="app", version="1", directory="app", tests="tests", port=80, health="/")
    return Settings(app=app, image=Image(platforms=["linux/amd64"]), signing=Signing(**signing))


def opened(given, state, detect, **options):
    said: list[str] = []
    with open_signer(given, state, say=said.append, detect=detect, **options) as signer:
        return signer, signer.sign(STATEMENT), said


@pytest.fixture
def state(tmp_path):
    return tmp_path / ".gatehouse"


@pytest.fixture
def private(tmp_path, rekor_v1):
    (tmp_path / "instance.json").write_bytes(rekor_v1.instance.client_trust_config())
    return settings(instance="instance.json")


def test_without_an_ambient_identity_the_local_instance_signs(state):
    signer, bundle, said = opened(settings(), state, lambda: None)
    assert (signer.instance, signer.issuer) == ("local", LOCAL_ISSUER)
    assert signer.trusted_root == (sigstore_folder(state) / "trusted_root.json").read_bytes()
    assert json.loads(bundle)["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert said == ["signing with the local instance, which only development trusts"]


def test_with_an_ambient_identity_the_instance_of_the_settings_signs(state, private, rekor_v1):
    signer, _, said = opened(private, state, lambda: rekor_v1.instance.token(**github()))
    assert (signer.instance, signer.issuer) == ("ambient", GITHUB_ISSUER)
    assert json.loads(signer.trusted_root) == json.loads(rekor_v1.trusted_root)
    assert not sigstore_folder(state).exists()
    assert said == [f"signing through the instance.json instance with a token of {GITHUB_ISSUER}"]


def test_a_private_repository_may_use_a_private_instance(state, private, rekor_v1):
    token = rekor_v1.instance.token(**github(repository_visibility="private"))
    assert opened(private, state, lambda: token)[0].instance == "ambient"


def test_a_private_repository_may_not_use_the_public_one(state, rekor_v1):
    token = rekor_v1.instance.token(**github(repository_visibility="private"))
    with pytest.raises(Misuse) as refusal:
        opened(settings(), state, lambda: token)
    assert refusal.value.code == "signing.private-identity"
    assert token not in str(refusal.value)


def test_the_identity_of_a_machine_at_google_stays_off_the_public_log(state, rekor_v1):
    token = rekor_v1.instance.token(iss=GOOGLE_ISSUER, email="vm@example.org")
    signer, _, said = opened(settings(), state, lambda: token)
    assert signer.instance == "local"
    assert "signing.publish_identity" in said[0]


def test_a_new_certificate_takes_a_new_token(state, private, rekor_v1, monkeypatch):
    asked = []

    def detect():
        asked.append(1)
        return rekor_v1.instance.token(**github())

    with open_signer(private, state, say=lambda _: None, detect=detect) as signer:
        assert len(asked) == 1
        monkeypatch.setattr(signer_module, "RENEWAL", dt.timedelta(minutes=11))
        signer.sign(STATEMENT)
        assert len(asked) == 2


def test_a_local_identity_never_replaces_an_ambient_one_that_fails(state):
    def detect():
        raise CannotEvaluate("signing.no-token", "identity: none", fix="again")

    with pytest.raises(CannotEvaluate):
        opened(settings(), state, detect)
    assert not sigstore_folder(state).exists()


def test_an_expired_token_is_refused_before_anything_is_asked(state, private, rekor_v1):
    with pytest.raises(CannotEvaluate) as refusal:
        opened(private, state, lambda: rekor_v1.instance.token(**github(), iat=1_700_000_000, exp=1_700_000_300))
    assert refusal.value.code == "signing.clock"


def test_an_instance_that_is_not_there_is_named(state, rekor_v1):
    with pytest.raises(Misuse) as refusal:
        opened(settings(instance="nowhere.json"), state, lambda: rekor_v1.instance.token(**github()))
    assert refusal.value.code == "signing.instance"
    assert "nowhere.json" in refusal.value.message


def test_an_instance_that_is_no_configuration_is_unusable(state, tmp_path, rekor_v1):
    (tmp_path / "half.json").write_bytes(rekor_v1.instance.client_trust_config()[:500])
    with pytest.raises(CannotEvaluate) as refusal:
        opened(settings(instance="half.json"), state, lambda: rekor_v1.instance.token(**github()))
    assert refusal.value.code == "document.malformed"


def test_exposed_keys_stop_the_signing(state):
    opened(settings(), state, lambda: None)
    sigstore_folder(state).chmod(0o755)
    with pytest.raises(Misuse) as refusal:
        opened(settings(), state, lambda: None)
    assert refusal.value.code == "state.keys-exposed"


def test_the_public_instance_signs_with_the_vendored_trust(state, root, rekor_v1, monkeypatch):
    """Everything up to the first call, which must not leave this machine."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(CannotEvaluate) as refusal:
        opened(
            settings(),
            state,
            lambda: rekor_v1.instance.token(**github()),
            root=root,
            limits=Limits(tries=1, connect=1),
        )
    assert refusal.value.code == "signing.unreachable"
    assert refusal.value.message.startswith("fulcio.sigstore.dev: no usable answer (got no way through the proxy")
