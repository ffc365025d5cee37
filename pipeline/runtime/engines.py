"""Finding a container engine: Docker's socket, or podman's compatible one."""

import http.client
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import DockerClient

CONNECT_SECONDS = 5
CALL_SECONDS = 120
ANSWER_BYTES = 1024 * 1024
_PLUGINS = tuple(Path(f"/usr/{place}/docker/cli-plugins") for place in ("local/lib", "local/libexec", "lib", "libexec"))


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered. ``name`` is ``docker`` or ``podman``, ``platform`` is ``linux/amd64``."""

    address: str
    name: str
    version: str
    platform: str


@dataclass(frozen=True, slots=True)
class Search:
    """``engine`` is None where none answered; ``reasons`` then says what was tried."""

    engine: Engine | None
    reasons: tuple[str, ...] = ()


def addresses(environment: Mapping[str, str]) -> list[str]:
    """Where an engine may answer, best first; DOCKER_HOST, where set, is the only one."""
    if named := environment.get("DOCKER_HOST"):
        return [named]
    paths = ["/var/run/docker.sock"]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        paths += [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"]
    return [f"unix://{path}" for path in [*paths, "/run/podman/podman.sock"]]


def connect(address: str, *, seconds: int = CALL_SECONDS) -> "DockerClient":
    """A client of an engine that answered; the caller closes it. ``seconds`` is how long one answer may be silent.

    Raises DockerException.
    """
    import docker  # noqa: PLC0415 - 0.2 s that only the steps with an engine pay

    # Asked here, as the client's own "auto" loses its socket where nobody answers.
    try:
        version = _version(address.removeprefix("unix://"))["ApiVersion"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise docker.errors.DockerException(f"{address}: does not answer ({_cause(error)})") from error
    return docker.DockerClient(base_url=address, version=str(version), timeout=seconds)


def find_buildx(folders: Sequence[Path]) -> tuple[str, ...] | None:
    """The command that is buildx, which needs no client beside it: in one of ``folders``, or where plugins are.

    Source: Docker's CLI, ``cli-plugins/manager``, "getPluginDirs".
    """
    for folder in (*folders, *_PLUGINS):
        program = folder / "docker-buildx"
        if program.is_file() and os.access(program, os.X_OK):
            return (str(program),)
    return None


def find_engine(environment: Mapping[str, str]) -> Search:
    """Ask each address in turn. ``environment`` is ``processes.engine_addresses()``."""
    reasons = []
    for address in addresses(environment):
        found = _ask(address)
        if isinstance(found, Engine):
            return Search(found)
        if found or "DOCKER_HOST" in environment:
            reasons.append(f"{address}: {found or 'no such socket'}")
    return Search(None, tuple(reasons) or ("no engine socket on this machine",))


def _ask(address: str) -> Engine | str:
    """The engine, or why there is none; empty where no socket is there."""
    # A published port is on the engine's machine, so one over the network could not be asked anything.
    if not address.startswith("unix://"):
        return "only engines on this machine (unix://) are used"
    if not Path(address.removeprefix("unix://")).exists():
        return ""
    try:
        version = _version(address.removeprefix("unix://"))
        names = " ".join(str(component["Name"]) for component in version.get("Components") or ())
        return Engine(
            address=address,
            name="podman" if "podman" in names.lower() else "docker",
            version=str(version["Version"]),
            platform=f"{version['Os']}/{version['Arch']}",
        )
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"does not answer ({_cause(error)})"


def _version(path: str) -> Any:
    """What ``GET /version`` says (Docker Engine API, "SystemVersion"), which needs no client library."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(path)
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        with response:
            response.begin()
            body = response.read(ANSWER_BYTES)
    if response.status != 200:
        raise ValueError(f"status {response.status}")
    return json.loads(body)


def _cause(error: BaseException) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
