"""The image for arm64, made on this machine, runs: its processor is emulated by Debian's qemu-user."""

import hashlib
import json
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.image.archive import Archive, unpack_rootfs
from pipeline.image.bytecode import host_architecture
from pipeline.image.composer import compose
from pipeline.image.lower_layers import Workshop
from pipeline.image.soundness import flaws
from pipeline.indexes import pip_environment
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.settings import load
from pipeline.source import read_source
from tests.support.namespaces import namespace
from tests.support.registries import free_port

pytestmark = [pytest.mark.engine, pytest.mark.network]
PLATFORM = "linux/arm64"
EMULATOR = "qemu-aarch64-static"

# Compiled where the image runs, the code of a file is what the image has of it.
_COMPILE = """
import hashlib, json, py_compile, sys
compiled = {}
for path in sys.argv[1:]:
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile("/" + path, cfile="/tmp/one.pyc", dfile="/" + path, doraise=True, invalidation_mode=mode)
    compiled[path] = hashlib.sha256(open("/tmp/one.pyc", "rb").read()).hexdigest()
print(json.dumps(compiled))
"""


@dataclass(frozen=True)
class Machine:
    """An unpacked image and its configuration, on a processor that is emulated."""

    archive: Archive
    rootfs: Path

    def command(self, *words: str, **environment: str) -> list[str]:
        given = [word for name, value in environment.items() for word in ("-E", f"{name}={value}")]
        return [*namespace("--mount"), "chroot", str(self.rootfs), f"/{EMULATOR}", *given, *words]

    def python(self, program: str, *arguments: str) -> Any:
        command = self.command("/usr/bin/python3", "-I", "-c", program, *arguments)
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.fixture(scope="module")
def machine(root: Path, checks_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    emulator = shutil.which(EMULATOR)
    if emulator is None:
        pytest.skip(f"{EMULATOR} is not here (Debian: apt-get install qemu-user-static)")
    if host_architecture() == "arm64":
        pytest.skip("this machine is arm64 itself")
    folder = tmp_path_factory.mktemp("arm64")
    shop = Workshop(
        root=root, cache=root / ".gatehouse" / "cache", pip=checks_python, pip_environment=pip_environment()
    )
    settings = load(root)
    settings = settings.model_copy(update={"image": settings.image.model_copy(update={"platforms": [PLATFORM]})})
    try:
        compose(shop, settings, read_source(root), folder / "image.tar")
    except (Misuse, CannotEvaluate) as error:
        if error.code not in {"base.no-mirror", "download.unreachable", "wheels.not-fetched"}:
            raise
        pytest.skip(error.message)
    (folder / "rootfs").mkdir()
    unpack_rootfs(folder / "image.tar", PLATFORM, folder / "rootfs")
    shutil.copy(emulator, folder / "rootfs" / EMULATOR)
    return Machine(Archive(folder / "image.tar"), folder / "rootfs")


def test_it_is_as_sound_as_the_hosts(machine):
    assert flaws(machine.archive.tree(PLATFORM)) == []


def test_its_python_and_libraries_are_its_processors(machine):
    program = "import json, platform, ssl, sqlite3; print(json.dumps([platform.machine(), ssl.HAS_TLSv1_3]))"
    assert machine.python(program) == ["aarch64", True]


def test_the_hosts_byte_code_is_its_own(machine):
    tree = machine.archive.tree(PLATFORM)
    sources = [path for path in tree if path.startswith("usr/lib/python3.13/asyncio/") and path.endswith(".py")]
    assert len(sources) > 20
    compiled = machine.python(_COMPILE, *sources)
    for path in sources:
        folder, _, name = path.rpartition("/")
        shipped = tree[f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-313.pyc"].content
        assert compiled[path] == hashlib.sha256(shipped).hexdigest(), path


def test_its_service_answers_and_ends_when_it_is_told(machine):
    config, port = machine.archive.config(PLATFORM)["config"], free_port()
    environment = dict(line.split("=", 1) for line in config["Env"])
    command = machine.command(*config["Entrypoint"], **environment, NOTICEBOARD_PORT=str(port))
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert answer(f"http://127.0.0.1:{port}/healthz", service) == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    finally:
        service.kill()
        log = service.communicate()[0].decode()
    assert "Traceback" not in log


def answer(address: str, service: "subprocess.Popen[bytes]") -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while True:
        try:
            with opener.open(address, timeout=10) as response:
                return int(response.status)
        except OSError:
            assert service.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
