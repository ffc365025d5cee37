"""The one way out: requests to hosts on an allow-list, with limits on everything.

Server-side request forgery (OWASP "SSRF Prevention") is refused where it happens: the addresses that a name resolves
to are looked at, and those very addresses are connected to, so that no second answer of a name server slips in.
"""

import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.netutil import DefaultLoopResolver, Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from sample_app.model import BoardError

log = logging.getLogger("noticeboard.outbound")

CONNECT_SECONDS = 3
REQUEST_SECONDS = 10
MAX_BODY = 256 * 1024
MAX_REDIRECTS = 2
REDIRECTS = (301, 302, 303, 307, 308)
#: IPv6 addresses that carry an IPv4 one: what they reach is what that one reaches (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unreachable(BoardError):
    """What is told of every request that did not come through: no address and no answer of another system."""

    status = 502
    code = "upstream"


class Forbidden(Unreachable):
    """The address is not one to ask."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, also where IPv6 only wraps an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


class CheckedResolver(Resolver):
    """Resolves names to public addresses; one private address among them refuses the name."""

    def initialize(self, allowed: Callable[[Address], bool]) -> None:
        self._allowed = allowed
        self._resolver = DefaultLoopResolver()

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Raises Forbidden, and OSError where the name is unknown."""
        found: list[tuple[int, Any]] = await self._resolver.resolve(host, port, family)
        for _, place in found:
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            if not self._allowed(address):
                raise Forbidden("address: not one to ask")
        return found


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Who may be asked. ``hosts`` are names in lower case; ``schemes`` and ``allowed`` are the tests' to widen."""

    hosts: frozenset[str]
    schemes: frozenset[str] = frozenset({"https"})
    allowed: Callable[[Address], bool] = is_public


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: bytes
    content_type: str = field(default="")


class Outbound:
    """Asks the hosts of ``policy``; nothing else in the service opens a connection to another system."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._client = SimpleAsyncHTTPClient(
            force_instance=True,
            max_body_size=MAX_BODY,
            max_header_size=16 * 1024,
            resolver=CheckedResolver(allowed=policy.allowed),
        )

    def close(self) -> None:
        self._client.close()

    async def ask(
        self, url: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to one request, whatever its status; redirects are followed for GET alone, each checked anew.

        Raises Forbidden for an address that is not allowed, Unreachable for everything else that goes wrong.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._once(url, method, body, headers or {})
            where = response.headers.get("Location")
            if method != "GET" or response.code not in REDIRECTS or where is None:
                content_type = response.headers.get("Content-Type", "")
                return Answer(status=response.code, body=response.body, content_type=content_type)
            if urlsplit(urljoin(url, where)).netloc != urlsplit(url).netloc:
                headers = {}  # what was meant for one host is not told to another
            url = urljoin(url, where)
        raise Unreachable("upstream: redirects without end")

    async def _once(self, url: str, method: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPResponse:
        self._check(url)
        request = HTTPRequest(
            url,
            method=method,
            body=body,
            headers=dict(headers),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=REQUEST_SECONDS,
            follow_redirects=False,
            decompress_response=False,  # a small answer that grows without end
            user_agent="noticeboard",
        )
        try:
            return await self._client.fetch(request, raise_error=False)
        except BoardError:
            raise
        except (HTTPClientError, OSError, ValueError) as error:
            log.warning("no answer from %s: %s", urlsplit(url).hostname, type(error).__name__)
            raise Unreachable("upstream: no answer") from error

    def _check(self, url: str) -> None:
        """The name is on the list, and the address holds no credentials, no other port and no other scheme."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Forbidden("address: not one to ask") from None
        plain = parts.username is None and parts.password is None
        usual = port is None or "http" in self._policy.schemes or port == 443
        if not (plain and usual and parts.scheme in self._policy.schemes and parts.hostname in self._policy.hosts):
            raise Forbidden("address: not one to ask")
