import base64
import datetime as dt
import json
import logging

import jwt
import pytest
from id import AmbientCredentialError, GitHubOidcPermissionCredentialError
from id import IdentityError as IdError
from sigstore.oidc import IdentityError, detect_credential

from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.signing.identity import Claims, ambient_token, check_publication, read_claims
from tests.support.loopback import Reply, loopback

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def token(**claims):
    stamp = int(NOW.timestamp())
    defaults = {"iss": "https://i", "sub": "s", "aud": "sigstore", "iat": stamp - 10, "exp": stamp + 300}
    return jwt.encode({**defaults, **claims}, "x" * 32, algorithm="HS256")


def failing(cause: IdError, times=99):
    calls = []

    def detect():
        calls.append(1)
        if len(calls) <= times:
            IdentityError.raise_from_id(cause)
        return "token"

    return detect


def test_where_nothing_is_offered_there_is_no_token():
    assert ambient_token(lambda: None) is None


def test_a_token_that_comes_late_is_taken():
    pauses: list[float] = []
    assert ambient_token(failing(AmbientCredentialError("timed out"), times=2), pauses.append) == "token"
    assert pauses == [2, 4]


def test_no_token_after_three_tries_is_told_without_the_servers_answer():
    cause = AmbientCredentialError("GitHub: OIDC token request failed (code=500, body='a-secret')")
    with pytest.raises(CannotEvaluate) as refusal:
        ambient_token(failing(cause), lambda _: None)
    assert refusal.value.code == "signing.no-token"
    assert "(code=500" in refusal.value.message
    assert "a-secret" not in str(refusal.value)


def test_a_workflow_without_permission_is_told_which_and_not_asked_again():
    pauses: list[float] = []
    with pytest.raises(CannotEvaluate) as refusal:
        ambient_token(failing(GitHubOidcPermissionCredentialError("unset")), pauses.append)
    assert refusal.value.code == "signing.no-permission"
    assert "id-token: write" in refusal.value.fix
    assert pauses == []


def test_githubs_own_way_to_a_token(monkeypatch):
    offered = token()
    with loopback(lambda _: Reply(200, json.dumps({"value": offered}).encode())) as server:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{server.origin}/?api-version=2.0")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert ambient_token(detect_credential) == offered
        assert server.requests[0].path == "/?api-version=2.0&audience=sigstore"


def test_claims_are_read_without_keeping_the_token():
    claims = read_claims(token(repository_visibility="private"), NOW)
    assert claims == Claims(issuer="https://i", subject="s", visibility="private")


@pytest.mark.parametrize(
    "malformed",
    ["", "x", "a.b.c", token()[:-40].rpartition(".")[0], token(aud="else"), token(iat="x"), token(exp=1e300)],
)
def test_what_is_no_token_for_sigstore_is_malformed_and_not_quoted(malformed):
    with pytest.raises(CannotEvaluate) as refusal:
        read_claims(malformed, NOW)
    assert refusal.value.code == "signing.token-malformed"
    assert "audience" in refusal.value.fix
    assert refusal.value.__cause__ is None
    assert len(malformed) < 20 or malformed[:20] not in str(refusal.value)


@pytest.mark.parametrize("claim", ["iss", "sub", "iat", "exp"])
def test_a_token_without_a_claim_is_malformed(claim):
    claims = {"iss": "i", "sub": "s", "aud": "sigstore", "iat": 1, "exp": 2}
    del claims[claim]
    with pytest.raises(CannotEvaluate) as refusal:
        read_claims(jwt.encode(claims, "x" * 32, algorithm="HS256"), NOW)
    assert refusal.value.code == "signing.token-malformed"


def test_an_expired_token_is_refused():
    with pytest.raises(CannotEvaluate) as refusal:
        read_claims(token(exp=int(NOW.timestamp()) - 60), NOW)
    assert refusal.value.code == "signing.token-expired"
    assert "(got 2026-05-01 12:00:00 UTC, expected before 2026-05-01 11:59:00 UTC)" in refusal.value.message


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_off_by_a_day_is_named(days):
    with pytest.raises(CannotEvaluate) as refusal:
        read_claims(token(), NOW + dt.timedelta(days=days))
    assert refusal.value.code == "signing.clock"
    assert "timedatectl" in refusal.value.fix


@pytest.mark.parametrize("claim", ["repository_visibility", "project_visibility"])
def test_a_public_repository_may_use_the_public_log(claim):
    check_publication(read_claims(token(**{claim: "public"}), NOW), publish_identity=False)


@pytest.mark.parametrize("visibility", ["private", "internal", "", "Public"])
def test_any_other_repository_may_not(visibility):
    claims = Claims(issuer="https://i", subject="s", visibility=visibility)
    with pytest.raises(Misuse) as refusal:
        check_publication(claims, publish_identity=False)
    assert refusal.value.code == "signing.private-identity"
    assert f"got visibility {visibility or 'unknown'}, expected public" in refusal.value.message
    assert "publish_identity = true" in refusal.value.fix
    check_publication(claims, publish_identity=True)


def test_nothing_of_a_token_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    secret = token()
    read_claims(secret, NOW)
    ambient_token(lambda: secret)
    assert not any(part in caplog.text for part in secret.split("."))
    assert base64.b64decode(secret.split(".")[0] + "==")
