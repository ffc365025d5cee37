"""Log lines: JSON, one a line, tied to their request, and nothing private in them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from sample_app import logs


@pytest.fixture
def lines() -> Iterator[Any]:
    """What was logged so far, parsed."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    general = logging.getLogger("tornado.general").level
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("tornado.general").setLevel(general)


def test_a_line_has_time_level_logger_and_message(lines):
    logging.getLogger("x").warning("one %s", "thing")
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "warning", "logger": "x", "message": "one thing"}


def test_no_message_can_forge_a_line(lines):
    logging.getLogger("x").info('a\n{"level": "error"}\x1b[31m\u2028')
    assert len(lines()) == 1


def test_an_exception_is_part_of_its_line(lines):
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines()
    assert "ValueError: why" in line["exception"]


def test_a_request_is_one_line_with_the_id_that_the_client_got(run, lines):
    async def test(app):
        response = await app.fetch("/api/rooms?x=secret")
        (line,) = [line for line in lines() if line["logger"] == "noticeboard.request"]
        assert line["request"] == response.headers["X-Request-Id"]
        assert (line["method"], line["path"], line["status"]) == ("GET", "/api/rooms", 400)
        assert line["milliseconds"] >= 0
        assert "secret" not in json.dumps(line)

    run(test)


def test_health_checks_are_logged_at_debug_only(run, lines):
    async def test(app):
        await app.fetch("/healthz")
        assert [line["level"] for line in lines() if line.get("path") == "/healthz"] == ["debug"]

    run(test)


@pytest.mark.parametrize(("path", "expected"), [("/api/rooms", b"internal-server-error"), ("/", b"<h1>500</h1>")])
def test_an_unexpected_error_is_logged_and_the_client_told_nothing_of_it(run, lines, monkeypatch, path, expected):
    async def test(app):
        def broken() -> None:
            raise RuntimeError("password=hunter2")

        monkeypatch.setattr(app.service.board, "rooms", broken)
        response = await app.fetch(path, headers={"Authorization": "Bearer token"})
        assert response.code == 500
        assert expected in response.body
        assert b"hunter2" not in response.body
        (error,) = [line for line in lines() if line["level"] == "error"]
        assert "RuntimeError" in error["exception"]
        assert error["request"] == response.headers["X-Request-Id"]
        assert "Bearer" not in json.dumps(lines())

    run(test)
