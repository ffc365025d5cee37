"""The one way out, against servers on loopback: what is asked, and what is never asked."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from sample_app import outbound
from sample_app.outbound import Address, Answer, CheckedResolver, Forbidden, Outbound, Policy, Unreachable, is_public


class Echo(RequestHandler):
    def get(self, path: str) -> None:
        seen.append((path, dict(self.request.headers)))
        match path:
            case "elsewhere":
                self.redirect("http://other.invalid/x")
            case "inside":
                self.redirect("http://169.254.169.254/latest/meta-data")
            case "round":
                self.redirect("/round")
            case "moved":
                self.redirect("/here")
            case "large":
                self.write(b"x" * (outbound.MAX_BODY + 1))
            case _:
                self.set_header("Content-Type", "text/plain")
                self.write(f"got {path}")

    def post(self, path: str) -> None:
        self.set_status(201)
        self.write(self.request.body + path.encode())


seen: list[tuple[str, dict[str, str]]] = []


def loopback_too(_: object) -> bool:
    return True


@pytest.fixture
def run() -> Callable[..., None]:
    def run(
        test: Callable[[Outbound, str], Awaitable[None]], allowed: Callable[[Address], bool] = loopback_too
    ) -> None:
        async def main() -> None:
            seen.clear()
            server = HTTPServer(Application([(r"/(.*)", Echo)]))
            socket, port = bind_unused_port()
            server.add_sockets([socket])
            policy = Policy(hosts=frozenset({"127.0.0.1"}), schemes=frozenset({"http"}), allowed=allowed)
            client = Outbound(policy)
            try:
                await asyncio.wait_for(test(client, f"http://127.0.0.1:{port}"), 10)
            finally:
                client.close()
                server.stop()
                await server.close_all_connections()

        asyncio.run(main())

    return run


def test_an_allowed_host_is_asked(run):
    async def test(client: Outbound, url: str) -> None:
        assert await client.ask(f"{url}/here") == Answer(status=200, body=b"got here", content_type="text/plain")
        assert await client.ask(f"{url}/x", method="POST", body=b"to ") == Answer(
            status=201, body=b"to x", content_type="text/html; charset=UTF-8"
        )

    run(test)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://127.0.0.1/",
        "https://user:pw@api.example/",
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "https://api.example:8443/",
        "https://api.example:x/",
        "file:///etc/passwd",
        "gopher://api.example/",
        "//api.example/",
        "https://[::1]/",
        "",
    ],
)
def test_any_other_address_is_not_asked(url: str):
    async def main() -> None:
        client = Outbound(Policy(hosts=frozenset({"api.example"})))
        with pytest.raises(Forbidden, match="address: not one to ask"):
            await client.ask(url)
        client.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_on_the_public_internet_are_public(address: str, public: bool):
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_name_that_resolves_to_this_machine_is_refused_when_it_is_resolved():
    async def main() -> None:
        with pytest.raises(Forbidden):
            await CheckedResolver(allowed=is_public).resolve("localhost", 443)

    asyncio.run(main())


def test_an_allowed_name_that_points_inside_is_not_connected_to(run):
    async def test(client: Outbound, url: str) -> None:
        with pytest.raises(Forbidden):
            await client.ask(f"{url}/here")
        assert seen == []

    run(test, allowed=is_public)


def test_a_redirect_is_followed_to_the_same_host(run):
    async def test(client: Outbound, url: str) -> None:
        assert (await client.ask(f"{url}/moved", headers={"Authorization": "Bearer x"})).body == b"got here"
        assert [headers.get("Authorization") for _, headers in seen] == ["Bearer x", "Bearer x"]

    run(test)


@pytest.mark.parametrize("path", ["elsewhere", "inside"])
def test_a_redirect_to_another_place_is_refused(run, path: str):
    async def test(client: Outbound, url: str) -> None:
        with pytest.raises(Forbidden):
            await client.ask(f"{url}/{path}")
        assert len(seen) == 1

    run(test)


def test_redirects_without_end_are_refused(run):
    async def test(client: Outbound, url: str) -> None:
        with pytest.raises(Unreachable, match="upstream: redirects without end"):
            await client.ask(f"{url}/round")

    run(test)


def test_an_answer_that_is_too_large_is_refused(run):
    async def test(client: Outbound, url: str) -> None:
        with pytest.raises(Unreachable, match="upstream: no answer"):
            await client.ask(f"{url}/large")

    run(test)


def test_a_server_that_is_not_there_is_told_without_its_address(run):
    async def test(client: Outbound, _: str) -> None:
        with pytest.raises(Unreachable) as caught:
            await client.ask("http://127.0.0.1:1/")
        assert str(caught.value) == "upstream: no answer"

    run(test)


def test_a_server_that_does_not_answer_is_given_up(run, monkeypatch: pytest.MonkeyPatch):
    ended = asyncio.Event()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client gives up
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def test(client: Outbound, _: str) -> None:
        server = await asyncio.start_server(silence, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="upstream: no answer"):
            await client.ask(f"http://127.0.0.1:{port}/")
        await ended.wait()
        server.close()
        await server.wait_closed()

    monkeypatch.setattr(outbound, "REQUEST_SECONDS", 0.1)
    run(test)
