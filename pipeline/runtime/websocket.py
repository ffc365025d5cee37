"""As much of a WebSocket client (RFC 6455) as it takes to see that a service speaks it: a message there, one back.

Standard library only, as ``probes.py``.
"""

import base64
import hashlib
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _CLOSE, _CONTROL, _LAST = 0x0, 0x1, 0x8, 0x8, 0x80
_NORMAL = struct.pack("!H", 1000)
MAX_LINE = 64 * 1024
MAX_MESSAGE = 1024 * 1024


class NoWebSocketError(Exception):
    """What came is not what the protocol asks for."""


def converse(
    address: tuple[str, int], path: str, headers: Mapping[str, str], message: str, expected: str, *, seconds: float
) -> None:
    """Open a WebSocket, send ``message`` unless it is empty, wait for one that holds ``expected``, and close.

    Raises OSError and NoWebSocketError.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    wanted = {
        "Host": f"{address[0]}:{address[1]}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        **headers,
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items()), "", ""]
    with socket.create_connection(address, timeout=seconds) as connection, connection.makefile("rb") as stream:
        connection.sendall("\r\n".join(lines).encode())
        _check_opened(stream, key)
        if message:
            connection.sendall(_frame(_TEXT, message.encode()))
        _wait_for(stream, expected, seconds)
        connection.sendall(_frame(_CLOSE, _NORMAL))
        for _ in _messages(stream):
            """What was on its way; the loop ends with the answer to the close frame."""


def _check_opened(stream: BinaryIO, key: str) -> None:
    """RFC 6455, 4.1: status 101, and the proof that our key was read."""
    status = stream.readline(MAX_LINE).split(b" ")[1:2]
    headers: dict[bytes, str] = {}
    while (line := stream.readline(MAX_LINE).strip()) and len(headers) < 100:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip().decode("latin-1")
    if status != [b"101"]:
        raise NoWebSocketError(f"status {b''.join(status).decode('ascii', 'replace')[:3] or 'none'}, not 101")
    proof = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()
    if headers.get(b"sec-websocket-accept") != proof:
        raise NoWebSocketError("another key in Sec-WebSocket-Accept than the one that was sent")


def _wait_for(stream: BinaryIO, expected: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    count = 0
    for count, message in enumerate(_messages(stream), 1):  # noqa: B007 - counted for the message below
        if expected in message:
            return
        if time.monotonic() > deadline:
            break
    raise NoWebSocketError(f"none of {count} messages holds {expected!r:.80}")


def _frame(kind: int, payload: bytes) -> bytes:
    """One whole frame; those of a client are masked (RFC 6455, 5.2 and 5.3)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    mask = os.urandom(4)
    return bytes([0x80 | kind]) + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def _messages(stream: BinaryIO) -> Iterator[str]:
    """The text of each message, whole even where it came in pieces, until the other side closes."""
    content, is_text = b"", False
    while len(head := stream.read(2)) == 2:
        kind, size = head[0] & 0x0F, head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(_whole(stream, 2 if size == 126 else 8))
        if head[1] & 0x80 or size + len(content) > MAX_MESSAGE:
            raise NoWebSocketError("a masked frame" if head[1] & 0x80 else f"a message of {size + len(content)} bytes")
        payload = _whole(stream, size)
        if kind == _CLOSE:
            return
        if kind & _CONTROL:
            continue
        if kind != _CONTINUED:
            content, is_text = b"", kind == _TEXT
        content += payload
        if head[0] & _LAST and is_text:
            yield content.decode("utf-8", "replace")


def _whole(stream: BinaryIO, size: int) -> bytes:
    payload = stream.read(size)
    if len(payload) != size:
        raise NoWebSocketError("a frame that is cut off")
    return payload
