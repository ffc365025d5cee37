"""HTTP to one registry: time limits, retries, redirects, authentication, and errors that say what happened.

Authorization is sent to the registry's own origin alone, whatever a redirect or an upload's Location says.
"""

import contextlib
import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
import truststore
import urllib3
from requests.adapters import HTTPAdapter

from pipeline.model.errors import CannotEvaluate
from pipeline.store import faults
from pipeline.store.authentication import Authenticator
from pipeline.store.faults import Retry
from pipeline.store.interface import MAX_MANIFEST, too_large
from pipeline.store.streams import PIECE

ATTEMPTS = 4
#: Codes of faults that may be gone a moment later.
TEMPORARY = ("registry.unreachable", "registry.failing")
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body was read whole (empty where it went into a file). ``url`` answered in the end."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str


def is_loopback(host: str) -> bool:
    """Of ``host[:port]``: only there plain http is spoken."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


class _SystemTrust(HTTPAdapter):
    """Verifies certificates by the system's store, so that a proxy's own root counts where the system says so."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().init_poolmanager(*arguments, **options, ssl_context=context)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return super().proxy_manager_for(*arguments, **options, ssl_context=context)


class _NoRedirects(requests.Session):
    """Leaves redirects to us: requests would read the body of one without a limit even where it may not follow it."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the base class's signature
        return None


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stands in for authentication, or requests would look into ``~/.netrc`` and send what it finds."""
    return request


class Transport:
    """``host`` is ``host[:port]``. ``timeout`` is (connect, silence), ``patience`` a whole response, in seconds."""

    def __init__(
        self,
        host: str,
        authenticator: Authenticator,
        *,
        timeout: tuple[float, float] = (10, 60),
        patience: float = 900,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host, self._loopback = host, is_loopback(host)
        self.origin = f"{'http' if self._loopback else 'https'}://{host}"
        self._authenticator = authenticator
        self._timeout, self._patience, self._wait = timeout, patience, wait
        self._session = _NoRedirects()
        self._session.auth = _unchanged
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.trust_env = not self._loopback  # a proxy is for the way out
        self._session.mount("https://", _SystemTrust())

    def send(
        self,
        method: str,
        url: str,
        *,
        expect: tuple[int, ...] = (200,),
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
        into: IO[bytes] | None = None,
        limit: int = MAX_MANIFEST,
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """One request and its answer; temporary faults are repeated ``attempts`` times, a little later each time.

        ``into`` takes the body of a 200; ``limit`` is in bytes. Raises CannotEvaluate: ``registry.unreachable``,
        ``registry.failing`` (5xx), ``registry.refused`` (4xx), ``registry.garbage``, ``store.too-large``.
        """
        for attempt in range(attempts):
            try:
                return self._follow(method, url, expect, dict(headers or {}), body, into, limit)
            except Retry as error:
                if attempt + 1 == attempts:
                    raise error.told from error
                self._wait(max(error.after, 0.2 * 2**attempt))
        raise AssertionError("attempts: at least one")

    def absolute(self, url: str, location: str | None) -> str:
        """Where ``location`` points from ``url``; https, or the loopback of a loopback registry."""
        try:
            found = urljoin(url, location or "")
            parts = urlsplit(found)
            allowed = parts.scheme == "https" or (self._loopback and is_loopback(parts.netloc))
        except ValueError as error:
            raise self.garbage("a redirect to no address", "an https address") from error
        if not location or not allowed:
            raise self.garbage(f"a redirect to {parts.scheme}://{parts.netloc}", "an https address")
        return found

    def garbage(self, got: str, expected: str) -> CannotEvaluate:
        return faults.garbage(self._host, got, expected)

    def _follow(
        self,
        method: str,
        url: str,
        expect: tuple[int, ...],
        headers: dict[str, str],
        body: bytes | BinaryIO | None,
        into: IO[bytes] | None,
        limit: int,
    ) -> Answer:
        logins = 0
        for _ in range(_MAX_REDIRECTS + 2):
            own = self._is_own(url)
            with self._exchange(method, url, headers | (self._authenticator.header if own else {}), body) as response:
                if response.status_code == 401 and own and not logins:
                    logins += 1
                    challenges = response.headers.get("WWW-Authenticate", "")
                    if self._authenticator.log_in(challenges, self._fetch_token):
                        continue
                if response.status_code in _REDIRECTS and method in ("GET", "HEAD"):
                    url = self.absolute(url, response.headers.get("Location"))
                    continue
                if response.status_code not in expect:
                    raise self._unexpected(method, url, response)
                wanted = response.status_code == 200
                content = self._read(response, into if wanted else None, limit if wanted else MAX_MANIFEST)
                return Answer(response.status_code, response.headers, content, url)
        raise self.garbage("redirects without end", "an answer")

    def _is_own(self, url: str) -> bool:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}".lower() == self.origin.lower()

    @contextlib.contextmanager
    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | BinaryIO | None
    ) -> Iterator[requests.Response]:
        """One exchange as it is, its errors told in our words."""
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        try:
            with self._session.request(
                method,
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": "gatehouse", **headers},
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                yield response
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise faults.fault_of(self._host, error) from error

    def _read(self, response: requests.Response, into: IO[bytes] | None, limit: int) -> bytes:
        """The body, at most ``limit`` bytes of it; into a file it starts at the file's beginning."""
        until, size, pieces = time.monotonic() + self._patience, 0, bytearray()
        if into is not None:
            into.seek(0)
            into.truncate()
        for piece in response.iter_content(PIECE):
            size += len(piece)
            if size > limit:
                raise too_large(f"answer of {self._host}", limit)
            if time.monotonic() > until:
                raise Retry(faults.unreachable(self._host, f"no end after {self._patience:g} s"))
            if into is None:
                pieces += piece
            else:
                into.write(piece)
        return bytes(pieces)

    def _fetch_token(self, url: str, headers: Mapping[str, str], form: bytes | None) -> bytes:
        """Ask a token server, which may be another host: its address is the registry's own word."""
        url = self.absolute(self.origin, url)
        method = "GET" if form is None else "POST"
        with self._exchange(method, url, headers, form) as response:
            if response.status_code != 200:
                raise self._unexpected(method, url, response)
            return self._read(response, None, MAX_MANIFEST)

    def _unexpected(self, method: str, url: str, response: requests.Response) -> Exception:
        words, parts = b"", urlsplit(url)
        with contextlib.suppress(requests.RequestException, urllib3.exceptions.HTTPError):
            words = next(response.iter_content(300), b"")
        # The query may hold a signature or an upload's state: it is never told.
        request, retry_after = f"{method} {parts.path}", response.headers.get("Retry-After", "")
        return faults.status_fault(parts.netloc, request, response.status_code, words, retry_after)
