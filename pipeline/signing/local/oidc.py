"""The identity provider: tokens (RFC 7519) that only this process can ask for; there is no token endpoint."""

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER

AUDIENCE = "sigstore"
KEY_NAME = "gatehouse-local"
LIFETIME = dt.timedelta(minutes=10)
LEEWAY = dt.timedelta(seconds=5)


def issue(key: ec.EllipticCurvePrivateKey, now: dt.datetime, claims: Mapping[str, Any]) -> str:
    """A token for the local developer; ``claims`` replace or add to its claims."""
    defaults = {
        "iss": LOCAL_ISSUER,
        "sub": LOCAL_IDENTITY,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "nbf": int((now - LEEWAY).timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "jti": secrets.token_hex(8),
    }
    return jwt.encode({**defaults, **claims}, key, algorithm="ES256", headers={"kid": KEY_NAME})


def read(key: ec.EllipticCurvePrivateKey, token: str) -> dict[str, Any]:
    """The claims of a token that this instance signed; ValueError for any other.

    Any issuer may stand in it: the key is the authority, and tests need other people's names.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.public_key(),
            algorithms=["ES256"],
            audience=AUDIENCE,
            options={"require": ["exp", "iat", "nbf", "sub", "aud", "iss"]},
        )
    except jwt.InvalidTokenError as error:
        raise ValueError(f"token: {str(error).lower()}") from error
    return claims


def discovery(url: str) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, section 3."""
    return {
        "issuer": LOCAL_ISSUER,
        "jwks_uri": f"{url}/jwks",
        "authorization_endpoint": f"{url}/auth",
        "token_endpoint": f"{url}/token",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def key_set(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """The public half as a JWK set (RFC 7517, section 5)."""
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return {"keys": [{**public, "kid": KEY_NAME, "alg": "ES256", "use": "sig"}]}
