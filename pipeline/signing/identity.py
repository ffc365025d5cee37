"""The ambient identity of a CI job: found, held against the clock, and kept off the public log when private."""

import datetime as dt
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from id import GitHubOidcPermissionCredentialError
from sigstore.oidc import IdentityError, detect_credential
from urllib3.exceptions import HTTPError

from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.signing.transport import CLOCK_TOLERANCE

AUDIENCE = "sigstore"
TRIES = 3

#: Beyond this a token that a job just got is not old: the clock is wrong.
_STALE = dt.timedelta(hours=12)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What the token says of itself; the certificate authority is who verifies it. The token is not in here."""

    issuer: str
    subject: str
    visibility: str
    """Of the source repository: ``public``, ``private``, ``internal``, or empty where the issuer does not say."""


def ambient_token(
    detect: Callable[[], str | None] = detect_credential, sleep: Callable[[float], None] = time.sleep
) -> str | None:
    """The OIDC token that this machine offers (GitHub, GitLab, Buildkite, CircleCI, GCP), None where it offers none.

    Raises CannotEvaluate (``signing.no-permission``, ``signing.no-token``). The token is a secret.
    """
    why = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(2**attempt)
        try:
            return detect()
        except (IdentityError, HTTPError, OSError, ValueError) as error:
            if isinstance(error.__cause__, GitHubOidcPermissionCredentialError):
                raise _no_permission() from None
            # What follows "body=" is the server's answer, in which a token might stand.
            why = re.sub(r",? ?body=.*", "", str(error), flags=re.DOTALL)[:200]
    raise CannotEvaluate(
        "signing.no-token",
        f"identity: the CI system gave no token (got {why}, expected an OIDC token after {TRIES} tries)",
        fix="run the job again; if it stays, look at the status page of the CI system",
    )


def _no_permission() -> CannotEvaluate:
    return CannotEvaluate(
        "signing.no-permission",
        "identity: the workflow may not ask for a token (got no id-token permission, expected `id-token: write`)",
        fix="give the job `permissions: id-token: write`; a pull request from a fork cannot sign at all",
    )


def read_claims(token: str, now: dt.datetime) -> Claims:
    """Read a token and hold it against the clock.

    Raises CannotEvaluate (``signing.token-malformed``, ``signing.token-expired``, ``signing.clock``).
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False, "verify_aud": True}, audience=AUDIENCE)
        issuer, subject = str(claims["iss"]), str(claims["sub"])
        issued, expires = (dt.datetime.fromtimestamp(float(claims[name]), dt.UTC) for name in ("iat", "exp"))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, OSError):
        # Not chained: the cause could quote the token.
        raise CannotEvaluate(
            "signing.token-malformed",
            "identity: the token is not readable (got none of its claims, "
            "expected a JWT for the audience sigstore with iss, sub, iat and exp)",
            fix="see how the CI job makes the token: its audience has to be `sigstore`",
        ) from None
    _check_times(issued, expires, now)
    return Claims(issuer=issuer, subject=subject, visibility=_visibility(claims))


def _check_times(issued: dt.datetime, expires: dt.datetime, now: dt.datetime) -> None:
    if issued - now > CLOCK_TOLERANCE or now - expires > _STALE:
        raise CannotEvaluate(
            "signing.clock",
            f"clock: does not fit the identity token (got {now:%Y-%m-%d %H:%M} UTC, "
            f"expected {issued:%Y-%m-%d %H:%M} to {expires:%Y-%m-%d %H:%M} UTC)",
            fix="set this machine's clock (`timedatectl set-ntp true`) and run the job again",
        )
    if now >= expires:
        raise CannotEvaluate(
            "signing.token-expired",
            f"identity: the token is too old (got {now:%Y-%m-%d %H:%M:%S} UTC, "
            f"expected before {expires:%Y-%m-%d %H:%M:%S} UTC)",
            fix="run the signing job again, so that the CI system makes a new token",
        )


def _visibility(claims: Mapping[str, Any]) -> str:
    """GitHub's claim, or GitLab's."""
    return str(claims.get("repository_visibility") or claims.get("project_visibility") or "")


def check_publication(claims: Claims, *, publish_identity: bool) -> None:
    """Names in the public log stay there for ever; raises Misuse (``signing.private-identity``).

    A repository whose visibility is unknown counts as private.
    """
    if claims.visibility == "public" or publish_identity:
        return
    raise Misuse(
        "signing.private-identity",
        "identity: the public log would show the names of a repository that is not public "
        f"(got visibility {claims.visibility or 'unknown'}, expected public)",
        fix="set `signing.instance` in pipeline.toml to a private instance, or `publish_identity = true` "
        "if repository, branch and workflow names may be seen by everyone",
    )
