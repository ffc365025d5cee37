"""HTTP that ends: time limits, bounded retries and clear errors below sigstore-python, which has none of its own."""

import datetime as dt
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import truststore
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from pipeline.model.errors import CannotEvaluate, Misuse

RETRIED = frozenset({429, 500, 502, 503, 504})

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

#: Beyond this the ten minutes of a signing certificate would be judged wrongly.
CLOCK_TOLERANCE = dt.timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """For one call, in seconds and bytes; ``total`` spans every try of it."""

    connect: float = 10
    read: float = 60  # Rekor v2 answers once the entry is in the tree
    total: float = 120
    tries: int = 3
    pause: float = 0.5
    size: int = 64 * 1024 * 1024
    sleep: Callable[[float], None] = field(default=time.sleep)


class _Again(Exception):
    """The try failed in a way that another one may not."""


class BoundedAdapter(HTTPAdapter):
    """Sends a request until it is answered, refused, or out of tries or time.

    Raises CannotEvaluate (``signing.unreachable``, ``signing.refused``, ``signing.clock``), Misuse
    (``signing.insecure``) before a token would leave the machine unencrypted. A try that was cut
    off may have been logged: the same bytes are sent again, and a log that has them already answers 409 with
    the entry's place, which is then fetched (rekor's ``openapi.yaml``, ``createLogEntry``).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        super().__init__()

    # The system's store counts: a proxy with its own root certificate is then trusted as the machine says.

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the base class's signature
        timeout: Any = None,  # noqa: ARG002
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        parts = urlsplit(request.url or "")
        host = parts.netloc
        if parts.hostname in _LOOPBACK:
            proxies = None  # whatever the environment says, no proxy reaches this machine's own services
        elif parts.scheme != "https" and request.headers.get("Authorization"):
            raise _insecure(host, parts.scheme)

        def attempt(request: requests.PreparedRequest, deadline: float) -> requests.Response:
            remaining = max(deadline - time.monotonic(), 0.001)
            limits = (min(self._limits.connect, remaining), min(self._limits.read, remaining))
            try:
                response = super(BoundedAdapter, self).send(request, True, limits, verify, cert, proxies)
                _read_whole(response, deadline, self._limits.size)
            except (requests.RequestException, HTTPError, OSError) as error:
                # The text of these names hosts and causes, never headers.
                raise _Again(_reason(error)) from error
            return response

        response = self._until_answered(attempt, request, host)
        if response.status_code == 409 and (place := response.headers.get("Location")):
            response = self._until_answered(attempt, _existing(request, place, host), host)
        if not 200 <= response.status_code < 300:
            raise refused(host, f"{response.status_code}: {_said(response, request)}")
        return response

    def _until_answered(
        self,
        attempt: Callable[[requests.PreparedRequest, float], requests.Response],
        request: requests.PreparedRequest,
        host: str,
    ) -> requests.Response:
        deadline = time.monotonic() + self._limits.total
        why = ""
        for number in range(self._limits.tries):
            if number:
                self._limits.sleep(self._limits.pause * 2 ** (number - 1))
            try:
                response = attempt(request, deadline)
            except _Again as failure:
                why = str(failure)
            else:
                _check_clock(response, host)
                if response.status_code not in RETRIED:
                    return response
                why = f"{response.status_code}: {_said(response, request)}"
            if time.monotonic() > deadline:
                break
        raise CannotEvaluate(
            "signing.unreachable",
            f"{host}: no usable answer (got {why}, expected one within {self._limits.tries} tries "
            f"and {self._limits.total:g} s)",
            fix="check the network, proxy and the service's status page, and run the command again",
        )


def bind(session: requests.Session, limits: Limits) -> None:
    """Put the limits under a session of sigstore-python's; does nothing the second time."""
    if isinstance(session.get_adapter("https://"), BoundedAdapter):
        return
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter(limits))
    # NOTE: without an auth of its own, requests replaces the token by what a .netrc has for the host.
    session.auth = lambda request: request


def refused(host: str, why: str) -> CannotEvaluate:
    return CannotEvaluate(
        "signing.refused",
        f"{host}: did not accept the request (got {why}, expected a success)",
        fix="see that `signing.instance` in pipeline.toml names an instance that knows this identity provider",
    )


def _insecure(host: str, scheme: str) -> Misuse:
    return Misuse(
        "signing.insecure",
        f"{host}: the identity token would be sent unencrypted (got {scheme}, expected https)",
        fix="give https addresses in the client trust config that `signing.instance` names",
    )


def _read_whole(response: requests.Response, deadline: float, limit: int) -> None:
    """Read the body under a deadline that a server which drips bytes cannot move."""
    content = bytearray()
    # NOTE: read1 comes back with what is there; read waits for as much as was asked for.
    while chunk := response.raw.read1(64 * 1024, decode_content=True):
        content += chunk
        if len(content) > limit:
            raise requests.ConnectionError(f"more than {limit} bytes")
        if time.monotonic() > deadline:
            raise requests.Timeout("a body without end")
    response._content = bytes(content)  # noqa: SLF001 - where requests itself keeps a body that was read


def _reason(error: BaseException) -> str:
    words = {
        requests.exceptions.SSLError: "a certificate that this machine does not trust",
        requests.exceptions.ProxyError: "no way through the proxy",
        requests.Timeout: "no answer in time",
    }
    return next((text for kind, text in words.items() if isinstance(error, kind)), "no connection, or a broken one")


def _check_clock(response: requests.Response, host: str) -> None:
    try:
        theirs = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return
    ours = dt.datetime.now(dt.UTC)
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=dt.UTC)
    if abs(ours - theirs) > CLOCK_TOLERANCE:
        raise CannotEvaluate(
            "signing.clock",
            f"clock: differs from that of {host} (got {ours:%Y-%m-%d %H:%M} UTC, expected {theirs:%Y-%m-%d %H:%M} UTC)",
            fix="set this machine's clock (`timedatectl set-ntp true`) and run the command again",
        )


def _existing(request: requests.PreparedRequest, place: str, host: str) -> requests.PreparedRequest:
    """The request for an entry that the log has already; only ever at the same host."""
    url = urljoin(request.url or "", place)
    if urlsplit(url).netloc != host:
        raise refused(host, "an entry at another host")
    return requests.Request("GET", url, headers={"Accept": "application/json"}).prepare()


def _said(response: requests.Response, request: requests.PreparedRequest) -> str:
    """The server's message, short and printable, unless it repeats the token."""
    try:
        text = str(json.loads(response.content)["message"])
    except (ValueError, KeyError, TypeError):
        text = response.text
    token = str(request.headers.get("Authorization", "")).removeprefix("Bearer ")
    if any(len(part) > 7 and part in text for part in token.split(".")):
        return "a message that repeats the token, not shown"
    return "".join(c for c in text if c.isprintable())[:200] or "no message"
