"""The service for real: its own server on a loopback port, its own loop, one for each test."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.testing import bind_unused_port
from tornado.websocket import WebSocketClientConnection, websocket_connect

from sample_app.application import make_application, make_server, make_service
from sample_app.handlers.base import Service
from sample_app.security import XSRF_COOKIE
from sample_app.settings import Settings


@dataclass(kw_only=True)
class Running:
    """A running service and a client of it."""

    service: Service
    server: HTTPServer
    port: int
    clients: list[WebSocketClientConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def fetch(self, path: str, *, method: str = "GET", **more: Any) -> HTTPResponse:
        request = HTTPRequest(self.url + path, method=method, follow_redirects=False, allow_nonstandard_methods=True)
        for name, value in more.items():
            setattr(request, name, HTTPHeaders(value) if name == "headers" else value)
        return await AsyncHTTPClient().fetch(request, raise_error=False)

    async def api(self, path: str, value: Any = None) -> tuple[int, Any]:
        """Status and JSON: GET, or POST of ``value``."""
        if value is None:
            response = await self.fetch(path)
        else:
            headers = {"Content-Type": "application/json"}
            response = await self.fetch(path, method="POST", body=json.dumps(value).encode(), headers=headers)
        return response.code, json.loads(response.body)

    async def room(self, name: str = "Lobby") -> str:
        status, room = await self.api("/api/rooms", {"name": name})
        assert status == 201
        return str(room["id"])

    async def post(self, room: str, text: str) -> None:
        status, _ = await self.api(f"/api/rooms/{room}/messages", {"author": "Ann", "text": text})
        assert status == 201

    async def live(self, room: str, query: str = "", **headers: str) -> WebSocketClientConnection:
        url = f"ws://127.0.0.1:{self.port}/api/rooms/{room}/live{query}"
        client = await websocket_connect(HTTPRequest(url, headers=HTTPHeaders(headers)))
        self.clients.append(client)
        return client

    async def raw(self, data: bytes) -> bytes:
        """Bytes on the wire, and all that comes back before the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def form(self, path: str, fields: dict[str, str], **headers: str) -> HTTPResponse:
        """Post a form as a browser does: read the page, send its token back with the cookie."""
        page = await self.fetch("/")
        token = re.search(r'name="_xsrf" value="([^"]+)"', page.body.decode())
        cookie = re.search(rf"{XSRF_COOKIE}=[^;]+", page.headers["Set-Cookie"])
        assert token is not None
        assert cookie is not None
        return await self.submit(path, {"_xsrf": token[1], **fields}, Cookie=cookie[0], **headers)

    async def submit(self, path: str, fields: dict[str, str], **headers: str) -> HTTPResponse:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return await self.fetch(path, method="POST", body=urlencode(fields).encode(), headers=headers)


@asynccontextmanager
async def start(**settings: Any) -> AsyncIterator[Running]:
    service = make_service(Settings(**settings))
    server = make_server(make_application(service))
    socket, port = bind_unused_port()
    server.add_sockets([socket])
    running = Running(service=service, server=server, port=port)
    try:
        yield running
    finally:
        for client in running.clients:
            client.close()
        async with asyncio.timeout(5):
            while service.live:
                await asyncio.sleep(0.001)
        server.stop()
        AsyncHTTPClient().close()
        await server.close_all_connections()


Test = Callable[[Running], Awaitable[None]]


@pytest.fixture
def run() -> Callable[..., None]:
    """Run a coroutine function against a service of its own: ``run(test, max_rooms=1)``."""

    def with_service(test: Test, **settings: Any) -> None:
        async def main() -> None:
            async with start(**settings) as service:
                await asyncio.wait_for(test(service), 10)

        asyncio.run(main())

    return with_service
