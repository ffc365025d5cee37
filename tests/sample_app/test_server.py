"""The process: how it starts, refuses to start, logs, and ends."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from sample_app import logs, server
from sample_app.server import drain, main
from sample_app.settings import Settings

ROOT = Path(__file__).parents[2]


def start(*command, cwd=ROOT, **environment):
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env={"NOTICEBOARD_PORT": "0", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def listening_port(process):
    line = json.loads(process.stderr.readline())
    assert line["message"] == "listening"
    return line["port"]


def test_started_by_path_and_isolated_it_answers_and_ends_with_zero_on_sigterm(tmp_path):
    app = tmp_path / "app" / "sample_app"
    shutil.copytree(ROOT / "sample_app", app, ignore=shutil.ignore_patterns("__pycache__"))
    with start("-I", str(app / "__main__.py"), cwd="/") as process:
        port = listening_port(process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
            assert json.load(response) == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        log = [json.loads(line) for line in process.stderr]
        assert process.wait(5) == 0
    assert [line["message"] for line in log] == ["stopping", "stopped"]


def test_started_as_a_module_a_wrong_setting_is_one_line_and_exit_code_2():
    with start("-m", "sample_app", NOTICEBOARD_PORT="http") as process:
        said = process.stderr.read()
        assert process.wait(5) == 2
    assert said == (
        "noticeboard: NOTICEBOARD_PORT: wrong value (got 'http', expected a whole number from 0 to 65535)\n"
    )


def test_a_port_in_use_is_one_line_and_exit_code_1(capsys):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    assert main({"NOTICEBOARD_PORT": str(port)}) == 1
    taken.close()
    assert capsys.readouterr().err == (
        f"noticeboard: NOTICEBOARD_ADDRESS 127.0.0.1, NOTICEBOARD_PORT {port}: cannot listen (Address already in use)\n"
    )


def test_a_wrong_setting_is_refused_before_anything_is_opened(capsys, monkeypatch):
    monkeypatch.setattr(server, "listen", None)
    assert main({"NOTICEBOARD_MAX_ROOMS": "none"}) == 2
    assert capsys.readouterr().err.startswith("noticeboard: NOTICEBOARD_MAX_ROOMS: wrong value")


def test_main_serves_until_a_signal_and_ends_with_zero(monkeypatch, tmp_path):
    monkeypatch.setattr(logs, "configure", lambda level: None)

    async def serve_once(settings, listening):
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
        await real(settings, listening)

    real = server.serve
    monkeypatch.setattr(server, "serve", serve_once)
    assert main({"NOTICEBOARD_PORT": "0"}) == 0


def test_a_stop_waits_for_requests_under_way_and_tells_sockets_to_go(run, monkeypatch):
    async def test(app):
        room = await app.room()
        reader = await app.live(room)
        begun, go_on = asyncio.Event(), asyncio.Event()
        rooms = app.service.board.rooms

        async def slow_rooms():
            begun.set()
            await go_on.wait()
            return await rooms()

        monkeypatch.setattr(app.service.board, "rooms", slow_rooms)
        request = asyncio.create_task(app.api("/api/rooms"))
        await begun.wait()
        stop = asyncio.create_task(drain(app.service, app.server, 5))
        assert await reader.read_message() is None
        assert (reader.close_code, reader.close_reason) == (1001, "stopping")
        await asyncio.sleep(0.05)
        assert not stop.done()
        go_on.set()
        assert (await request)[0] == 200
        await stop
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", app.port))

    run(test)


def test_a_stop_does_not_wait_for_ever(run, caplog, monkeypatch):
    async def test(app):
        never = asyncio.Event()
        monkeypatch.setattr(app.service.board, "rooms", never.wait)
        request = asyncio.create_task(app.fetch("/api/rooms"))
        while not app.service.under_way:
            await asyncio.sleep(0)
        begun = time.monotonic()
        await drain(app.service, app.server, 0.1)
        assert time.monotonic() - begun < 2
        with pytest.raises(HTTPStreamClosedError):
            await request
        never.set()

    run(test)
    assert "stopped with 1 under way" in caplog.messages


@pytest.mark.parametrize(
    "data",
    [
        b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000,
        b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n" + b"x" * 20_480,
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x00",
        b"GET / HTTP/9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["body", "chunks", "headers", "tls", "version", "negative-length", "two-lengths"],
)
def test_what_is_past_a_limit_or_no_http_is_refused_and_the_service_goes_on(run, data):
    async def test(app):
        answer = await app.raw(data)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
        assert (await app.api("/healthz"))[0] == 200

    run(test)


def test_the_service_imports_nothing_heavy():
    program = "import sys; sys.path.insert(0, sys.argv[1]); import sample_app.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program, str(ROOT)], capture_output=True, text=True, check=True)
    foreign = {name.partition(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert {name for name in foreign if re.fullmatch(r"[a-z]\w*", name)} == {"sample_app", "tornado"}


def test_the_service_listens_on_ipv6_too():
    with server.listen("::1", 0) as listening:
        assert listening.getsockname()[0] == "::1"


def test_settings_bound_the_service(run):
    async def test(app):
        room = await app.room()
        for number in range(4):
            await app.post(room, str(number))
        messages = (await app.api(f"/api/rooms/{room}/messages"))[1]["messages"]
        assert [message["number"] for message in messages] == [3, 4]

    run(test, max_messages=2)
    assert Settings(max_messages=2).max_messages == 2
