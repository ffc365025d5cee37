"""What a service declares that it can do, asked of it: in order, with what was kept, and no silence for a yes."""

import os
import re
import subprocess
import sys

import pytest

from pipeline.runtime.exchanges import Exchange, hold
from pipeline.runtime.probes import Target, wait_healthy
from pipeline.settings import load
from tests.support.loopback import Reply, loopback


def answer(request):
    cookies = request.headers.get("Cookie", "")
    return {
        "/": Reply(body=b'<form value="tok|en">', headers={"Set-Cookie": "sid=7; Secure; HttpOnly"}),
        "/form": Reply(303 if request.body == b"t=tok|en" and "sid=7" in cookies else 403),
        "/api/12": Reply(body=b'{"id": "12"}'),
        "/api": Reply(201, b'{"id": "12"}'),
    }.get(request.path, Reply(404))


def ask(*exchanges):
    with loopback(answer) as server:
        target = Target("127.0.0.1", int(server.host.partition(":")[2]), "/")
        return [(check.name, check.passed, check.detail) for check in hold(target, exchanges)], server.requests


def test_each_is_asked_in_turn_and_may_use_what_was_kept_before():
    checks, requests = ask(
        Exchange(name="page", path="/", keep={"token": 'value="([^"]+)"'}),
        Exchange(name="form", method="POST", path="/form", body="t={token}", status=303),
        Exchange(
            name="create", method="POST", path="/api", body='{"name": "{name}"}', status=201, keep={"id": '"(1.)"'}
        ),
        Exchange(name="read", path="/api/{id}", contains='"{id}"'),
    )
    assert checks == [
        ("request page", True, "status 200"),
        ("request form", True, "status 303"),
        ("request create", True, "status 201"),
        ("request read", True, "status 200"),
    ]
    assert requests[2].body == b'{"name": "{name}"}', "braces of nothing that was kept stay"


@pytest.mark.parametrize(
    ("exchange", "detail"),
    [
        (Exchange(name="x", path="/none"), "GET /none gave status 404, not 200"),
        (Exchange(name="x", path="/", contains="word"), "GET / gave an answer without 'word'"),
        (Exchange(name="x", path="/", keep={"id": "([0-9]{9})"}), "GET / gave nothing to keep as id"),
        (Exchange(name="x", path="/api/{id}"), "GET /api/{id} gave nothing was kept as id"),
        (Exchange(name="x", method="WEBSOCKET", path="/"), "WEBSOCKET / gave status 200, not 101"),
    ],
)
def test_another_answer_than_declared_has_failed(exchange, detail):
    assert ask(exchange)[0] == [("request x", False, detail)]


@pytest.mark.parametrize("method", ["GET", "WEBSOCKET"])
def test_no_answer_has_failed(method):
    with loopback(answer) as server:
        port = int(server.host.partition(":")[2])
    (check,) = hold(Target("127.0.0.1", port, "/"), [Exchange(name="x", method=method, path="/")])
    assert (check.passed, check.detail) == (False, "no answer (ConnectionRefusedError)")


def test_the_service_of_this_repository_does_what_it_declares(root):
    declared = [Exchange(**one.model_dump()) for one in load(root).smoke]
    assert {one.method for one in declared} == {"GET", "POST", "WEBSOCKET"}
    environment = {**os.environ, "NOTICEBOARD_PORT": "0"}
    command = [sys.executable, "-I", root / "sample_app" / "__main__.py"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as service:
        try:
            assert service.stderr is not None
            found = re.search(rb'"port": (\d+)', service.stderr.readline())
            assert found
            target = Target("127.0.0.1", int(found[1]), "/healthz")
            assert wait_healthy(target, 10, lambda: service.poll() is None).passed
            assert [check for check in hold(target, declared) if not check.passed] == []
        finally:
            service.terminate()
            service.communicate()
