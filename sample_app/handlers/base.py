"""What every handler shares: headers, request ids, errors as the client expects them, logs."""

import http.client
import logging
import secrets
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tornado.web import HTTPError, RequestHandler

from sample_app.assets import Asset
from sample_app.limits import Buckets, client_of
from sample_app.logs import request_id
from sample_app.model import BoardError, TooMany, UnsupportedMedia
from sample_app.security import HEADERS
from sample_app.services.board import Board
from sample_app.settings import Network

log = logging.getLogger("noticeboard.request")


@dataclass(kw_only=True)
class Service:
    """What the handlers of one process share."""

    board: Board
    assets: dict[str, Asset]
    buckets: Buckets
    trusted_proxies: tuple[Network, ...] = ()
    draining: bool = False
    under_way: set[RequestHandler] = field(default_factory=set)
    """Requests that a stop waits for."""
    live: set[Any] = field(default_factory=set)
    """WebSockets, which a stop closes."""


class Handler(RequestHandler):
    """Base of all handlers; errors are JSON, pages override that."""

    service: Service

    def initialize(self, service: Service) -> None:
        self.service = service
        self.identifier = secrets.token_hex(8)
        self.started = time.monotonic()
        request_id.set(self.identifier)
        self.set_header("X-Request-Id", self.identifier)
        service.under_way.add(self)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        # The task that runs the handler has a context of its own, made before ``initialize`` ran.
        request_id.set(self.identifier)
        self.take_token()

    def take_token(self) -> None:
        """Raises TooMany where this client asked too often."""
        forwarded = self.request.headers.get_list("X-Forwarded-For")
        peer = str(self.request.remote_ip)
        self.service.buckets.take(client_of(peer, forwarded, self.service.trusted_proxies))

    def on_finish(self) -> None:
        self.service.under_way.discard(self)

    def require_type(self, expected: str) -> None:
        """Raises UnsupportedMedia unless the body is declared as ``expected``."""
        given = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given != expected:
            raise UnsupportedMedia(f"content type: not supported (expected {expected})")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        code, message = problem(status_code, kwargs.get("exc_info"))
        self.set_header("X-Request-Id", self.identifier)
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, TooMany):
            self.set_header("Retry-After", str(error.seconds))
        self.show_error(status_code, code, message)

    def show_error(self, _status: int, code: str, message: str) -> None:
        self.finish({"error": {"code": code, "message": message}})

    def _handle_request_exception(self, e: BaseException) -> None:
        # The one place where the service's own errors become HTTP's.
        if isinstance(e, BoardError) and not self._finished:
            self.send_error(e.status, exc_info=(type(e), e, e.__traceback__))
        else:
            super()._handle_request_exception(e)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        if not isinstance(value, HTTPError) and typ is not None and value is not None:
            # The request itself is not logged: its headers and body may hold what is private.
            log.error("unexpected error", exc_info=(typ, value, tb))


def problem(status: int, exc_info: Any) -> tuple[str, str]:
    """Stable code and message of an error; of an unexpected one nothing is told."""
    error = exc_info[1] if exc_info else None
    if isinstance(error, BoardError):
        return error.code, str(error)
    reason = http.client.responses.get(status, "Unknown")
    return reason.lower().replace(" ", "-"), reason


def log_request(handler: RequestHandler) -> None:
    """Tornado's hook for one line a request (``log_function``)."""
    request = handler.request
    started = getattr(handler, "started", None)
    level = logging.DEBUG if request.path in {"/healthz", "/readyz"} else logging.INFO
    log.log(
        level,
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": handler.get_status(),
            "milliseconds": None if started is None else round(1000 * (time.monotonic() - started), 1),
        },
    )
