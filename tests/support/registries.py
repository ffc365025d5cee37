"""Debian's docker-registry on loopback, as a process of the test's own."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

#: bcrypt of PASSWORD: docker-registry takes no other hash.
USER, PASSWORD = "gatehouse", "not a secret"
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuufjJ3DP7hIDUkwzAqTBtlkzMsXi0O/Pm\n"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def docker_registry(folder: Path, *, auth: str = "") -> Iterator[str]:
    """Serve ``folder`` and yield ``host:port``; ``auth`` is the configuration's ``auth`` section as YAML."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not on the PATH: .ci/install-outside-verifiers installs it")
    host = f"127.0.0.1:{free_port()}"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: '{host}'}}\n{auth}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _wait_for(host, process, folder / "log")
        yield host
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(host: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    session = requests.Session()
    session.trust_env = False
    with session:
        for _ in range(200):
            with contextlib.suppress(requests.ConnectionError):
                session.get(f"http://{host}/v2/", timeout=5)
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
    pytest.fail(f"docker-registry did not start: {log.read_text()[-500:]}")


def htpasswd_auth(folder: Path) -> str:
    """The ``auth`` section for basic authentication as USER with PASSWORD."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(HTPASSWD)
    return f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
