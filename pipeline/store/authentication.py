"""Answering a registry's challenge: basic (RFC 7617) or a bearer token (distribution's token specification)."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.store.credentials import Credentials

_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)\s+((?:[a-z_]+=(?:\"[^\"]*\"|[^\s,\"]+)\s*,?\s*)+)", re.IGNORECASE)
_PARAMETER = re.compile(r"([a-z_]+)=(?:\"([^\"]*)\"|([^\s,\"]+))", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")

#: Takes an address, headers and an encoded form (None: GET), and returns the body of a 200.
Fetch = Callable[[str, Mapping[str, str], bytes | None], bytes]


class Authenticator:
    """Holds what the registry took last. ``find`` is asked for credentials when the first challenge comes."""

    def __init__(self, find: Callable[[], Credentials | None]) -> None:
        self._find = find
        self._authorization: str | None = None

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def log_in(self, challenges: str, fetch: Fetch) -> bool:
        """Answer a 401's ``WWW-Authenticate``; False where there is nothing (new) to answer with.

        Raises CannotEvaluate (``registry.credentials``, ``registry.token``, and what ``fetch`` raises).
        """
        before = self._authorization
        for scheme, parameters in _parse(challenges):
            if scheme == "bearer" and "realm" in parameters:
                self._authorization = "Bearer " + _token(parameters, self._find(), fetch)
                return self._authorization != before
            if scheme == "basic":
                credentials = self._find()
                if credentials is not None and not credentials.is_identity_token:
                    self._authorization = credentials.basic
                    return self._authorization != before
        return False


def _parse(challenges: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (
            found[1].lower(),
            {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(found[2])},
        )
        for found in _CHALLENGE.finditer(challenges[:8192])
    ]


def _token(challenge: Mapping[str, str], credentials: Credentials | None, fetch: Fetch) -> str:
    realm, asked = challenge["realm"], {name: challenge[name] for name in ("service", "scope") if name in challenge}
    if credentials is not None and credentials.is_identity_token:
        form = {"grant_type": "refresh_token", "client_id": "gatehouse", **asked, "refresh_token": credentials.secret}
        content = fetch(realm, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form).encode())
    else:
        separator = "&" if "?" in realm else "?"
        headers = {"Authorization": credentials.basic} if credentials is not None else {}
        content = fetch(f"{realm}{separator}{urlencode(asked)}", headers, None)
    try:
        document = parse_json(content, what="token")
        token = document.get("token") or document.get("access_token")
    except (CannotEvaluate, AttributeError):
        token = None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CannotEvaluate(
            "registry.token",
            f"{realm.split('?')[0][:200]}: no token (got an answer without one, expected JSON with `token`)",
            fix="check the registry's token server, and log in again with `docker login`",
        )
    return token
