"""Container engines for tests: the one that answers here, podman's compatible socket, and one that may be killed."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline import processes
from pipeline.runtime.engines import Engine, find_buildx, find_engine

ROOT = Path(__file__).parents[2]


def running_engine() -> Engine:
    """The engine that DOCKER_HOST or this machine's sockets name; skips where none answers."""
    search = find_engine(processes.engine_addresses())
    if search.engine is None:
        pytest.skip(f"no container engine answers: {'; '.join(search.reasons)}")
    return search.engine


def buildx_command() -> Sequence[str]:
    """Skips where buildx is not installed."""
    outside = os.environ.get("GATEHOUSE_OUTSIDE")
    found = find_buildx([*([Path(outside, "bin")] if outside else []), *processes.program_folders()])
    if found is None:
        pytest.skip("docker-buildx is not here: .ci/install-outside-verifiers installs it below $GATEHOUSE_OUTSIDE")
    return found


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[Engine]:
    """Podman's service with a store of its own below ``folder``."""
    program = shutil.which("podman")
    if program is None:
        pytest.skip("podman is not on the PATH: .ci/install-outside-verifiers installs it")
    address = f"unix://{folder}/podman.sock"
    folder.mkdir(parents=True)
    command = [program, "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    runtime = ["--runtime", "runc"] if shutil.which("runc", path=f"/usr/sbin:{os.environ['PATH']}") else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *runtime, "system", "service", "--time", "0", address], stdout=log, stderr=log
        )
    try:
        yield _answering(address, process, folder / "log")
    finally:
        process.terminate()
        process.wait(20)
        # Its layers belong to many users, and its overlay is mounted: only podman itself gets rid of both.
        subprocess.run([*command, "system", "reset", "--force"], capture_output=True, check=False, timeout=60)


@contextlib.contextmanager
def docker(folder: Path) -> Iterator[tuple[Engine, int]]:
    """A Docker engine of the test's own below ``folder``, and its process id: it may be killed."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("a Docker engine of the test's own needs root and dockerd")
    started = subprocess.run([ROOT / ".ci" / "start-docker", folder], capture_output=True, text=True, check=True)
    engine = find_engine({"DOCKER_HOST": f"unix://{started.stdout.strip()}"}).engine
    assert engine is not None
    try:
        yield engine, int((folder / "docker.pid").read_text())
    finally:
        subprocess.run([ROOT / ".ci" / "stop-docker", folder], capture_output=True, check=True)
        _end_containerd(folder)


def _end_containerd(folder: Path) -> None:
    """A killed engine leaves its containerd, and that what it runs."""
    for name in ("containerd.pid",):
        for path in folder.rglob(name):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(path.read_text()), 15)
    for mounted in reversed([line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]):
        if mounted.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mounted], capture_output=True, check=False)


def _answering(address: str, process: "subprocess.Popen[bytes]", log: Path) -> Engine:
    for _ in range(200):
        engine = find_engine({"DOCKER_HOST": address}).engine
        if engine is not None:
            return engine
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"podman did not start: {log.read_text()[-500:]}")
