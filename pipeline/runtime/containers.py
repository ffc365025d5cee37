"""The image on a container engine: loaded, run as hardened as it goes, asked, ended, and removed again."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.model.errors import CannotEvaluate
from pipeline.runtime.engines import Engine, connect
from pipeline.runtime.exchanges import Exchange, hold
from pipeline.runtime.probes import Check, Target, ask, ended, wait_healthy

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image

SERVICE_USER = "65532:65532"
LABEL = "dev.gatehouse.smoke"
LOG_BYTES = 1024 * 1024

#: Stands in the evidence by its digest, so whoever changes it changes the evidence.
HARDENING: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "user": SERVICE_USER,
    "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m"},  # noqa: S108 - inside the container
    "mem_limit": "512m",
    "memswap_limit": "512m",  # as much as memory: none of it swap
    "pids_limit": 128,
    # Named, because podman's own defaults are above what an engine inside a container may set.
    "ulimits": [
        {"name": "nofile", "soft": 1024, "hard": 4096},
        {"name": "nproc", "soft": 4096, "hard": 4096},
    ],
}


#: What every engine grants where nothing is dropped (podman's smallest default; Docker's holds three more).
DEFAULT_CAPABILITIES = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE"}
    | {"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was seen. ``log`` is the container's output, at most LOG_BYTES of its end."""

    checks: tuple[Check, ...]
    log: bytes


def run_hardened(
    engine: Engine,
    archive: Path,
    identities: frozenset[str],
    *,
    port: int,
    health: str,
    exchanges: Sequence[Exchange] = (),
    start_seconds: float = 30,
    stop_seconds: float = 15,
) -> Run:
    """Run the image of ``archive`` and leave nothing on the engine, however this ends.

    ``identities`` are the digests (configuration, manifest, index) that the loaded image may have as its id.
    Raises CannotEvaluate (``smoke.engine``, ``smoke.identity``).
    """
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = connect(engine.address)
        try:
            remove_stale(client)
            with _loaded(client, archive, identities) as image, _started(client, image, port) as container:
                return _observe(container, port, health, exchanges, start_seconds, stop_seconds)
        finally:
            client.close()
    except (DockerException, OSError) as error:
        raise CannotEvaluate(
            "smoke.engine",
            f"{engine.name} {engine.version}: image not run (got {str(error)[:300]}, expected a running container)",
            fix="look at the engine's own log, or stop it: without an engine the image runs in user namespaces",
        ) from error


def owner() -> str:
    """A process told from every other: boot, process namespace, process id."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()} {os.getpid()}"


def remove_stale(client: "DockerClient") -> None:
    """Remove what a killed run left: containers with our label whose process is gone."""
    from docker.errors import DockerException  # noqa: PLC0415

    here = owner().rpartition(" ")[0]
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        home, _, process = container.labels.get(LABEL, "").rpartition(" ")
        if home == here and process.isdigit() and not Path(f"/proc/{process}").exists():
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
                client.images.remove(container.attrs["Image"])


@contextlib.contextmanager
def _loaded(client: "DockerClient", archive: Path, identities: frozenset[str]) -> Iterator["Image"]:
    """The image on the engine. What the engine held before, under the same names too, it holds afterwards."""
    before = {tag: image.id for image in client.images.list() for tag in image.tags}
    known = {image.id for image in client.images.list(all=True)}
    images: list[Image] = []
    try:
        with archive.open("rb") as file:
            images = client.images.load(file)
        yield _identified(images, identities)
    finally:
        for image in images:
            _unload(client, image, before, known)


def _identified(images: "list[Image]", identities: frozenset[str]) -> "Image":
    for image in images:
        if _digest(image.id) in identities:
            return image
    raise CannotEvaluate(
        "smoke.identity",
        f"image: another one was loaded (got {', '.join(str(image.id) for image in images) or 'none'}, "
        f"expected one of {', '.join(sorted(identities))})",
        fix="make the image again with `scripts/nox -s image`",
    )


def _digest(identifier: object) -> str:
    """Of an image id: podman gives the bare hexadecimal digits."""
    text = str(identifier)
    return text if text.startswith("sha256:") else f"sha256:{text}"


def _unload(client: "DockerClient", image: "Image", before: dict[str, Any], known: set[Any]) -> None:
    from docker.errors import DockerException  # noqa: PLC0415

    for tag in image.tags:
        with contextlib.suppress(DockerException):
            if tag in before:
                repository, _, version = tag.rpartition(":")
                client.images.get(before[tag]).tag(repository, version)
            else:
                client.images.remove(tag)
    if image.id not in known:
        with contextlib.suppress(DockerException):
            client.images.remove(str(image.id))


@contextlib.contextmanager
def _started(client: "DockerClient", image: "Image", port: int) -> Iterator["Container"]:
    container = client.containers.create(
        str(image.id), ports={f"{port}/tcp": ("127.0.0.1", 0)}, labels={LABEL: owner()}, detach=True, **HARDENING
    )
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def _observe(
    container: "Container",
    port: int,
    health: str,
    exchanges: Sequence[Exchange],
    start_seconds: float,
    stop_seconds: float,
) -> Run:
    container.reload()
    checks = [check_hardened(container.attrs)]
    published = (container.attrs["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp")
    if published:
        target = Target("127.0.0.1", int(published[0]["HostPort"]), health)
        checks.append(wait_healthy(target, start_seconds, lambda: _running(container)))
        if checks[-1].passed:
            checks += [*ask(target), *hold(target, exchanges)]
            checks.append(ended(_end(container, stop_seconds), stop_seconds))
    else:
        # An engine takes the published port back when the service has ended.
        checks.append(Check("becomes-healthy", passed=False, detail="the service ended at once"))
    return Run(checks=tuple(checks), log=container.logs(tail=10_000)[-LOG_BYTES:])


def check_hardened(attributes: dict[str, Any]) -> Check:
    """Hold what the engine says that it runs against what was asked for: an engine may ignore what it cannot do."""
    host, config = attributes["HostConfig"], attributes["Config"]
    # Docker repeats what it was told, podman names each capability that it would have granted.
    dropped = {str(name).upper().removeprefix("CAP_") for name in host.get("CapDrop") or ()}
    none_left = not host.get("CapAdd") and ("ALL" in dropped or dropped >= DEFAULT_CAPABILITIES)
    wrong = [
        name
        for name, holds in {
            "read-only root": host.get("ReadonlyRootfs") is True,
            "no capabilities": none_left,
            "no new privileges": any("no-new-privileges" in option for option in host.get("SecurityOpt") or ()),
            "not privileged": host.get("Privileged") is False,
            "user": config.get("User") == SERVICE_USER,
            "tmpfs for /tmp": "/tmp" in (host.get("Tmpfs") or {}),  # noqa: S108 - inside the container
            "memory limit": host.get("Memory", 0) > 0,
            "process limit": (host.get("PidsLimit") or 0) > 0,
        }.items()
        if not holds
    ]
    return Check("runs-hardened", passed=not wrong, detail=f"not applied: {', '.join(wrong)}" if wrong else "as asked")


def _running(container: "Container") -> bool:
    container.reload()
    return bool(container.status == "running")


def _end(container: "Container", seconds: float) -> int | None:
    """Exit code after SIGTERM; None where it does not end in ``seconds``."""
    if _running(container):
        container.kill("SIGTERM")
    deadline = time.monotonic() + seconds
    while _running(container):
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
    return int(container.attrs["State"]["ExitCode"])
