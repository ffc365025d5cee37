import http.client
import json
import socket
import threading

import pytest

from pipeline.signing.local.server import Answer, LoopbackServer, json_answer


def fails(_body, _headers):
    raise RuntimeError("no room")


def misreads(_body, _headers):
    raise ValueError("not mine")


@pytest.fixture(scope="module")
def server():
    routes = {
        ("GET", "/hello"): lambda _body, _headers: json_answer({"hello": 1}),
        ("POST", "/echo"): lambda body, headers: Answer(body, headers["Content-Type"]),
        ("POST", "/fails"): fails,
        ("POST", "/misreads"): misreads,
    }
    with LoopbackServer(routes) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_listens_on_loopback_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_route_gets_body_and_headers(server):
    assert ask(server, "POST", "/echo", b"body", **{"Content-Type": "text/x"}) == (200, b"body")


def test_the_query_is_no_part_of_the_path(server):
    assert ask(server, "GET", "/hello?a=b") == (200, b'{"hello": 1}')


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/echo", 404), ("POST", "/fails", 500), ("PUT", "/", 501)]
)
def test_what_it_does_not_do_it_says(server, method, path, status):
    assert ask(server, method, path, b"")[0] == status


def test_a_bad_request_is_told_why(server):
    status, content = ask(server, "POST", "/misreads", b"")
    assert (status, json.loads(content)["message"]) == (400, "ValueError: not mine")


@pytest.mark.parametrize("length", ["", "x", "-1", "999999999999"])
def test_a_request_without_a_sane_length_is_refused_unread(server, length):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
        connection.sendall(f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
