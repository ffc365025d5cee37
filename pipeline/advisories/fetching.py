"""JSON over HTTP with a limit on everything: time between bytes, time in all, size."""

import time
from typing import Any

from pipeline.advisories.interface import NoAnswer
from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate

LIMIT = 64 * 1024 * 1024
"""The project JSON of a package with thousands of releases has tens of megabytes."""


class NotFound(NoAnswer):
    """The server answered 404: it does not know this document."""


def fetch_json(address: str, *, timeout: float, body: Any = None, accept: str = "application/json") -> Any:
    """GET, or POST where there is a ``body``, within ``timeout`` seconds in all; raises NoAnswer or NotFound."""
    import requests  # noqa: PLC0415  (a tenth of a second that an audit without fallback does not need)

    try:
        method = "GET" if body is None else "POST"
        with requests.Session() as session:
            session.max_redirects = 3
            headers = {"Accept": accept}
            answer = session.request(method, address, json=body, headers=headers, timeout=timeout, stream=True)
            if answer.status_code == requests.codes.not_found:
                raise NotFound("HTTP 404")
            if answer.status_code != requests.codes.ok:
                raise NoAnswer(f"HTTP {answer.status_code}")
            content = _read(answer, time.monotonic() + timeout)
    except (requests.RequestException, OSError) as error:
        raise NoAnswer(describe(type(error).__name__)) from error
    try:
        return parse_json(content, what="answer of an advisory feed", limit=LIMIT)
    except CannotEvaluate as error:
        raise NoAnswer("answered something that is not JSON") from error


def _read(answer: Any, deadline: float) -> bytes:
    content = bytearray()
    for chunk in answer.iter_content(1 << 16):
        content += chunk
        if time.monotonic() > deadline:
            raise NoAnswer("no full answer in time")
        if len(content) > LIMIT:
            raise NoAnswer(f"answered more than {LIMIT} bytes")
    return bytes(content)


def describe(exception: str) -> str:
    """The name of a ``requests`` exception in words: its own text holds addresses and ports that vary."""
    for part, words in (
        ("JSONDecodeError", "answered something that is not JSON"),
        ("Timeout", "no answer in time"),
        ("SSLError", "its certificate was not accepted"),
        ("ProxyError", "the proxy did not let it through"),
        ("TooManyRedirects", "redirected without end"),
        ("ChunkedEncodingError", "the answer broke off"),
    ):
        if part in exception:
            return words
    return "no connection"
