"""Loopback HTTP in front of the instance's functions."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_REQUEST_BYTES = 64 * 1024 * 1024
IDLE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    content: bytes
    media_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(json.dumps(value).encode(), status=status)


Route = Callable[[bytes, Mapping[str, str]], Answer]
"""Takes the request's body and headers."""

Routes = Mapping[tuple[str, str], Route]
"""(method, path) to what answers it."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves ``routes`` on a free port of 127.0.0.1; no other machine can reach it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # NOTE: without these two a kept connection costs 48 ms a signature: Nagle's algorithm waits for the
    # client's delayed acknowledgement between header and body.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._send(_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no length, or too large"))
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        route = self.server.routes.get((self.command, self.path.partition("?")[0]))
        if route is None:
            self._send(_problem(HTTPStatus.NOT_FOUND, "no such service"))
            return
        try:
            answer = route(body, dict(self.headers.items()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            answer = _problem(HTTPStatus.BAD_REQUEST, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - a server answers; the client says what it means
            answer = _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: standard error belongs to the command line."""


def _problem(status: HTTPStatus, message: str) -> Answer:
    return json_answer({"code": int(status), "message": message}, status)
