"""The WebSocket of a room, between the real server and a real client."""

import asyncio
import json
import socket

import pytest
from tornado.httpclient import HTTPClientError

from sample_app.handlers import live
from sample_app.model import Message
from sample_app.services.live import QUEUE


async def heard(connection):
    message = await connection.read_message()
    return None if message is None else json.loads(message)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_a_message_reaches_every_reader_of_its_room_and_no_other(run):
    async def test(app):
        room, other = await app.room("a"), await app.room("b")
        readers = [await app.live(room), await app.live(room)]
        elsewhere = await app.live(other)
        await app.post(room, "hello")
        await app.post(other, "there")
        for reader in readers:
            assert (await heard(reader))["message"]["text"] == "hello"
        assert (await heard(elsewhere))["message"]["text"] == "there"

    run(test)


def test_a_reader_catches_up_from_a_number(run):
    async def test(app):
        room = await app.room()
        for text in ("one", "two", "three"):
            await app.post(room, text)
        reader = await app.live(room, "?after=1")
        assert [(await heard(reader))["message"]["text"] for _ in range(2)] == ["two", "three"]

    run(test)


def test_a_message_may_be_posted_over_the_socket(run):
    async def test(app):
        room = await app.room()
        reader = await app.live(room)
        await reader.write_message(json.dumps({"author": "Ann", "text": "hi"}))
        assert (await heard(reader))["message"]["author"] == "Ann"
        assert len((await app.api(f"/api/rooms/{room}/messages"))[1]["messages"]) == 1

    run(test)


def test_a_mistake_is_answered_and_the_fifth_ends_the_connection(run):
    async def test(app):
        reader = await app.live(await app.room())
        for _ in range(live.MAX_MISTAKES):
            await reader.write_message('{"text": "x"}')
            assert (await heard(reader))["error"] == {"code": "invalid", "message": "author: missing"}
        assert await heard(reader) is None
        assert (reader.close_code, reader.close_reason) == (1008, "too many invalid messages")

    run(test)


def test_a_binary_message_ends_the_connection(run):
    async def test(app):
        reader = await app.live(await app.room())
        await reader.write_message(b"\x00", binary=True)
        assert await heard(reader) is None
        assert reader.close_code == 1003

    run(test)


def test_a_message_past_the_size_limit_ends_the_connection(run):
    async def test(app):
        reader = await app.live(await app.room())
        await reader.write_message("x" * 20_000)
        assert await heard(reader) is None
        assert reader.close_code == 1009

    run(test)


@pytest.mark.parametrize(
    ("room", "query", "headers", "status"),
    [
        ("0123456789abcdef", "", {}, 404),
        (None, "?after=x", {}, 400),
        (None, "?limit=1", {}, 400),
        (None, "", {"Origin": "https://evil.example"}, 403),
        (None, "", {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_what_is_refused_is_refused_before_the_upgrade(run, room, query, headers, status):
    async def test(app):
        made = await app.room()
        with pytest.raises(HTTPClientError) as refusal:
            await app.live(room or made, query, **headers)
        assert refusal.value.code == status
        assert (len(app.service.live), len(app.service.under_way)) == (0, 0)

    run(test)


def test_an_ordinary_request_is_told_to_upgrade(run):
    async def test(app):
        response = await app.fetch(f"/api/rooms/{await app.room()}/live")
        assert response.code == 400
        assert len(app.service.under_way) == 0

    run(test)


def test_readers_past_the_bound_are_refused_until_one_leaves(run):
    async def test(app):
        room = await app.room()
        first = await app.live(room)
        with pytest.raises(HTTPClientError) as refusal:
            await app.live(room)
        assert refusal.value.code == 503
        first.close()
        await until(lambda: not app.service.live)
        await app.live(room)

    run(test, max_readers=1)


def test_a_reader_that_does_not_read_is_closed_and_the_room_goes_on(run):
    async def test(app):
        room = await app.room()
        slow = socket.create_connection(("127.0.0.1", app.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(
            f"GET /api/rooms/{room}/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        await until(lambda: app.service.live)
        (handler,) = app.service.live
        # The kernel's buffers would take megabytes: the handler's own writing is stopped instead.
        blocked = asyncio.Event()
        written = handler._write

        async def write(value):
            await blocked.wait()
            await written(value)

        handler._write = write
        for number in range(QUEUE + 2):
            app.service.board._hub.publish(
                room, Message(number=number + 1, author="a", text="b", posted=app.service.board._clock())
            )
            await asyncio.sleep(0)
        assert app.service.board._hub.count == 0
        blocked.set()
        await until(lambda: handler.ws_connection is None or handler.ws_connection.is_closing())
        await app.post(room, "still here")
        slow.close()
        await until(lambda: not app.service.live)

    run(test)


def test_a_client_that_vanishes_is_forgotten(run):
    async def test(app):
        room = await app.room()
        connection = await app.live(room)
        connection.stream.close()
        await until(lambda: not app.service.live)
        assert app.service.board._hub.count == 0
        await app.post(room, "nobody hears")

    run(test)
