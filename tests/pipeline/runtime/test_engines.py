"""Finding an engine: where it may answer, in which order, and why one is not used."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.runtime import engines
from pipeline.runtime.engines import Engine, addresses, find_engine


class UnixServer(HTTPServer):
    """Answers on a socket file as an engine does."""

    address_family = socket.AF_UNIX
    name = "Engine"

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


class Answers(BaseHTTPRequestHandler):
    server: UnixServer

    def do_GET(self) -> None:
        version = {"Version": "20.10.24", "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}
        body = json.dumps(version | {"Components": [{"Name": self.server.name}]}).encode()
        self.send_response(200 if self.server.name else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


@pytest.fixture
def engine_at(tmp_path: Path) -> Iterator[Any]:
    started = []

    def start(name: str, file: str = "e.sock") -> str:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        server = UnixServer(str(path), Answers)  # type: ignore[arg-type]
        server.name = name
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return f"unix://{path}"

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def test_docker_comes_before_podman_and_a_users_own_before_the_machines():
    assert addresses({"XDG_RUNTIME_DIR": "/run/user/1"}) == [
        "unix:///var/run/docker.sock",
        "unix:///run/user/1/docker.sock",
        "unix:///run/user/1/podman/podman.sock",
        "unix:///run/podman/podman.sock",
    ]


def test_docker_host_is_the_only_address_where_it_is_set():
    assert addresses({"DOCKER_HOST": "unix:///x", "XDG_RUNTIME_DIR": "/run/user/1"}) == ["unix:///x"]


@pytest.mark.parametrize(("component", "name"), [("Engine", "docker"), ("Podman Engine", "podman")])
def test_an_engine_that_answers_is_found_with_its_name_version_and_platform(engine_at, component, name):
    address = engine_at(component)
    assert find_engine({"DOCKER_HOST": address}).engine == Engine(address, name, "20.10.24", "linux/amd64")


def test_podmans_socket_of_the_user_is_found(engine_at, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "addresses", lambda given: addresses(given)[1:])  # whatever this machine runs
    engine_at("Podman Engine", "podman/podman.sock")
    found = find_engine({"XDG_RUNTIME_DIR": str(tmp_path)}).engine
    assert found is not None
    assert found.name == "podman"


def test_an_engine_over_the_network_is_not_used():
    search = find_engine({"DOCKER_HOST": "tcp://127.0.0.1:2375"})
    assert search.engine is None
    assert search.reasons == ("tcp://127.0.0.1:2375: only engines on this machine (unix://) are used",)


def test_a_named_socket_that_is_not_there_is_said(tmp_path):
    search = find_engine({"DOCKER_HOST": f"unix://{tmp_path}/none"})
    assert search.reasons == (f"unix://{tmp_path}/none: no such socket",)


def test_a_socket_where_nobody_listens_does_not_answer(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    (reason,) = find_engine({"DOCKER_HOST": f"unix://{tmp_path}/dead"}).reasons
    assert "does not answer" in reason


def test_an_engine_that_answers_with_an_error_does_not_count(engine_at):
    (reason,) = find_engine({"DOCKER_HOST": engine_at("")}).reasons
    assert "does not answer" in reason


def test_a_machine_without_any_socket_is_said_to_have_none(monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "addresses", lambda _: [f"unix://{tmp_path}/a", f"unix://{tmp_path}/b"])
    assert find_engine({}).reasons == ("no engine socket on this machine",)
