"""Opening a WebSocket, a message there, one back; and what is no WebSocket."""

import base64
import hashlib
import struct

import pytest

from pipeline.runtime.websocket import MAX_MESSAGE, NoWebSocketError, converse
from tests.support.loopback import Reply, loopback


def frame(kind: int, payload: bytes, *, last: bool = True) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    return bytes([0x80 * last | kind]) + length + payload


def opening(request, accept=None):
    key = request.headers.get("Sec-Websocket-Key") or request.headers["Sec-WebSocket-Key"]
    made = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
    proof = accept or base64.b64encode(made).decode()
    return f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {proof}\r\n\r\n".encode()


def talk(frames: bytes, *, expected: str = "hello", accept: str | None = None, message: str = "") -> None:
    with loopback(lambda request: Reply(raw=opening(request, accept) + frames)) as server:
        host, _, port = server.host.partition(":")
        converse((host, int(port)), "/live", {}, message, expected, seconds=5)


CLOSED = frame(0x8, b"\x03\xe8")


@pytest.mark.parametrize(
    "frames",
    [
        frame(0x1, b"hello there"),
        frame(0x9, b"ping") + frame(0x1, b"first") + frame(0x1, b"hello"),
        frame(0x1, b"x" * 300 + b"hello"),
        frame(0x1, b"hel", last=False) + frame(0x9, b"ping") + frame(0x0, b"lo"),
    ],
)
def test_the_message_that_is_waited_for_comes(frames):
    talk(frames + CLOSED)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (CLOSED, "none of 0 messages holds 'hello'"),
        (frame(0x1, b"other") + CLOSED, "none of 1 messages holds 'hello'"),
        (b"", "none of 0 messages"),
        (frame(0x1, b"hello")[:-1], "cut off"),
        (frame(0x2, b"hello") + frame(0x0, b"hello") + CLOSED, "none of 0 messages"),
        (frame(0x1, b"hello", last=False) + CLOSED, "none of 0 messages"),
        (bytes([0x81, 0x85]), "a masked frame"),
        (bytes([0x81, 0x7F]) + struct.pack("!Q", MAX_MESSAGE + 1), f"a message of {MAX_MESSAGE + 1} bytes"),
    ],
)
def test_anything_else_is_said(frames, says):
    with pytest.raises(NoWebSocketError, match=says):
        talk(frames)


def test_an_answer_to_another_key_opens_nothing():
    with pytest.raises(NoWebSocketError, match="another key"):
        talk(CLOSED, accept="bm8=")


def test_a_service_that_refuses_is_named_by_its_status():
    with (
        loopback(lambda _: Reply(403)) as server,
        pytest.raises(NoWebSocketError, match="status 403, not 101"),
    ):
        converse(("127.0.0.1", int(server.host.partition(":")[2])), "/", {}, "", "", seconds=5)
