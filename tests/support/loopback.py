"""A loopback HTTP server that answers exactly what a test tells it to, and remembers what it was asked."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Sent instead of an HTTP response."""
    hang: float = 0
    """Seconds of silence before the answer."""
    announce: int | None = None
    """The Content-Length to claim."""


@dataclass
class Loopback:
    host: str
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


@contextlib.contextmanager
def loopback(answer: Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def _reply(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            found.requests.append(request)
            reply = answer(request)
            stopping.wait(reply.hang)
            with contextlib.suppress(OSError):
                if reply.raw is not None:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                length = len(reply.body) if reply.announce is None else reply.announce
                for name, value in {**reply.headers, "Content-Length": str(length)}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                if reply.announce is not None:
                    self.close_connection = True

    for method in ("GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler._reply)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Loopback(f"127.0.0.1:{server.server_port}", "https" if tls else "http")
    if tls is not None:  # the handshake belongs to the handler's thread, and one that fails is the client's to tell
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
