import datetime as dt

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER
from pipeline.signing.local import oidc


def now():
    return dt.datetime.now(dt.UTC)


def test_a_token_names_the_local_developer(keys):
    claims = oidc.read(keys.oidc, oidc.issue(keys.oidc, now(), {}))
    assert (claims["iss"], claims["sub"], claims["aud"]) == (LOCAL_ISSUER, LOCAL_IDENTITY, "sigstore")


def test_claims_replace_the_defaults(keys):
    claims = oidc.read(keys.oidc, oidc.issue(keys.oidc, now(), {"iss": "https://a", "email": "a@example.org"}))
    assert (claims["iss"], claims["email"]) == ("https://a", "a@example.org")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1}, "signature has expired"),
        ({"nbf": 1 << 40}, "not yet valid"),
        ({"aud": "someone-else"}, "audience doesn't match"),
    ],
)
def test_a_token_for_another_time_or_audience_is_refused(keys, claims, why):
    with pytest.raises(ValueError, match=why):
        oidc.read(keys.oidc, oidc.issue(keys.oidc, now(), claims))


def test_a_token_of_another_key_is_refused(keys):
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="signature verification failed"):
        oidc.read(keys.oidc, oidc.issue(stranger, now(), {}))


def test_an_unsigned_token_is_refused(keys):
    token = jwt.encode({"iss": LOCAL_ISSUER, "sub": LOCAL_IDENTITY, "aud": "sigstore"}, "", algorithm="none")
    with pytest.raises(ValueError, match="alg value is not allowed"):
        oidc.read(keys.oidc, token)


def test_the_published_key_verifies_a_token(keys):
    published = jwt.PyJWKSet.from_dict(oidc.key_set(keys.oidc)).keys[0].key
    token = oidc.issue(keys.oidc, now(), {})
    assert jwt.decode(token, published, algorithms=["ES256"], audience="sigstore")["sub"] == LOCAL_IDENTITY


def test_only_the_public_half_is_published(keys):
    assert "d" not in oidc.key_set(keys.oidc)["keys"][0]
