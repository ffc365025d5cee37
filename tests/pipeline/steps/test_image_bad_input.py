"""What can be wrong with what an image is made from: one clear line, an exit code, and nothing that looks finished."""

import hashlib
import json
import socketserver
import subprocess
import sys
import threading
from dataclasses import dataclass

import pytest

from pipeline import cli, processes
from pipeline.commands import edge, step
from tests.support.composing import DOCKERFILE, site
from tests.support.loopback import Reply
from tests.support.namespaces import within


@dataclass(frozen=True)
class Ended:
    """How the command ended: its exit code, and what it wrote to stdout and stderr."""

    code: int
    said: str
    complained: str

    @property
    def problem(self):
        """The one problem's line, after a line that says the same for people and before its fix."""
        lines = [line for line in self.complained.splitlines() if not line.startswith(_PROGRESS)]
        assert len(lines) == 2, self.complained
        assert lines[1].startswith("  fix: ")
        code, _, message = lines[0].partition(": ")
        assert self.said.partition(": ")[2].partition(": ")[2] == f"{message}\n"
        return f"{code}: {message}"


_PROGRESS = ("loading ", "building ", "fetching ", "downloading ", "laying out ", "writing ", "compiling ", "reading ")


@pytest.fixture
def here(tmp_path):
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def build(here, monkeypatch, capsys):
    """`step image` as a session calls it, in this process: only its root is another."""
    monkeypatch.setattr(edge, "root_folder", lambda: here.root)
    monkeypatch.setattr(step, "root_folder", lambda: here.root)
    monkeypatch.setattr(step, "use_system_certificates", lambda: None)
    monkeypatch.setattr(processes, "end_with_parent", lambda: None)

    def run():
        code = cli.main(["step", "image", "--environment", f"checks={here.pip}"])
        check_nothing_half_written(here)
        return Ended(code, *capsys.readouterr())

    return run


def check_nothing_half_written(here):
    """Whatever happens: no image, a record that says so, and below the caches only what is whole."""
    assert [path.name for path in (here.root / "dist").rglob("*")] == []
    record = json.loads((here.root / ".gatehouse" / "steps" / "image.json").read_bytes())
    assert record["outcome"]["status"] in {"failed", "crashed"}
    assert record["outcome"]["evidence"] == record["outcome"]["artifacts"] == []
    cache = here.root / ".gatehouse" / "cache"
    assert not list(cache.rglob(".fetch-*"))
    for path in [*(cache / "debs").glob("*"), *(cache / "layers").glob("*")]:
        if len(path.name) == 64:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        else:
            assert path.name == ".lock" or path.suffix in {".part", ".json"}


def deb_address(here):
    (address,) = [path for path in here.archive.files if "/tzdata/" in path]
    return address


def write_dockerfile(here, text):
    (here.root / "service" / "Dockerfile").write_text(text)


def test_a_package_that_is_gone_from_mirror_and_snapshot(here, build):
    settings = here.root / "pipeline.toml"
    settings.write_text(settings.read_text() + f'snapshot = "{here.settings.base.mirror}/past"\n')
    del here.archive.files[deb_address(here)]
    ended = build()
    assert ended.code == 3
    assert ended.problem.startswith("download.unreachable: tzdata 1.0-1: not fetched (got status 404 from 127.0.0.1:")
    assert "superseded package leaves the mirror" in ended.complained


def test_a_package_with_another_hash(here, build):
    address = deb_address(here)
    here.archive.files[address] = here.archive.files[address][:-1] + b"!"
    ended = build()
    assert ended.code == 3
    assert ended.problem.startswith("download.wrong-content: tzdata 1.0-1: not fetched (got other content from 127.0.0")


def test_a_wheel_with_another_hash(here, build, tmp_path):
    (wheel,) = (tmp_path / "house").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"!")
    ended = build()
    assert ended.code == 1
    assert ended.problem.startswith("wheels.wrong-hash: requirements.txt: a wheel is not the locked one (got thing-1.0")


def test_a_download_that_is_cut_off_every_time(here, build):
    address = deb_address(here)
    whole = here.archive.files[address]
    here.archive.replies[address] = Reply(200, whole[:100], announce=len(whole))
    ended = build()
    assert ended.code == 3
    assert ended.problem.startswith("download.unreachable: tzdata 1.0-1: not fetched (got 100 bytes from 127.0.0.1:")
    assert f"expected {len(whole)} bytes with sha256 " in ended.problem


def test_a_lock_for_another_suite(here, build):
    lock = here.root / "requirements" / "base.lock.json"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"suite": "bookworm"}))
    ended = build()
    assert ended.code == 3
    assert ended.problem == (
        "base.other-suite: requirements/base.lock.json: locked for another suite (got bookworm, expected trixie)"
    )


#: Each is a whole small repository's build, so one repository does for all that only the Dockerfile decides.
LINES = {
    "VOLUME /data": (1, "dockerfile.unknown-instruction: Dockerfile:9: not of the known subset (got VOLUME, "),
    "FETCH a": (1, "dockerfile.unknown-instruction: Dockerfile:9: not of the known subset (got FETCH, "),
    "COPY ../pipeline.toml /app/": (1, "dockerfile.outside-context: Dockerfile:9: COPY from outside the context (got "),
    "COPY a/../../x /app/": (1, "dockerfile.outside-context: Dockerfile:9: COPY from outside the context (got a/../.."),
    "RUN true": (2, "dockerfile.needs-engine: Dockerfile:9: RUN needs a container engine (got RUN, "),
}


def test_a_line_that_the_composer_cannot_carry_out(here, build):
    for line, (code, problem) in LINES.items():
        write_dockerfile(here, f"{DOCKERFILE}{line}\n")
        ended = build()
        assert ended.code == code, line
        assert ended.problem.startswith(problem)


def test_a_link_out_of_the_context(here, build):
    for target in ("../pipeline.toml", "/etc/passwd", "inner/../../x"):
        (here.root / "service" / "link").unlink(missing_ok=True)
        (here.root / "service" / "link").symlink_to(target)
        ended = build()
        assert ended.code == 1
        assert ended.problem == (
            f"context.link: link: a link out of the build context (got {target!r}, expected a relative path inside)"
        )


def test_a_base_without_digest(here, build):
    for base in ("python:3.13", "scratch", "docker.io/library/python"):
        write_dockerfile(here, DOCKERFILE.replace("${BASE_IMAGE}", base))
        ended = build()
        assert ended.code == 1
        assert ended.problem.startswith(
            f"dockerfile.base-without-digest: Dockerfile: FROM a base without a digest (got {base}, expected "
        )


def use_engine(here, monkeypatch, socket):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    settings = here.root / "pipeline.toml"
    settings.write_text(settings.read_text().replace("[image]\n", '[image]\nbuilder = "engine"\n'))


def test_an_engine_that_is_not_there(here, build, monkeypatch, tmp_path):
    use_engine(here, monkeypatch, tmp_path / "none.sock")
    ended = build()
    assert ended.code == 2
    assert ended.problem == (
        f"image.no-engine: container engine: none to build with (got unix://{tmp_path}/none.sock: no such socket, "
        "expected Docker or podman)"
    )


class _DyingEngine(socketserver.StreamRequestHandler):
    """Says who it is, and dies at whatever else it is asked. (The engine tests kill a real one.)"""

    def handle(self):
        if b"/version" in self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            body = b'{"Version": "20.10", "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64", "Components": []}'
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" + body)


def test_an_engine_that_dies_midway(here, build, monkeypatch, tmp_path):
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine.sock"), _DyingEngine) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        use_engine(here, monkeypatch, tmp_path / "engine.sock")
        ended = build()
        server.shutdown()
        serving.join()
    assert ended.code == 3
    assert ended.problem.startswith("image.engine: docker 20.10: image not built (got ")


#: The command, in a process of its own, with another root than that of the code.
_COMMAND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pipeline import cli
from pipeline.commands import edge, step
edge.root_folder = step.root_folder = lambda: Path(sys.argv[2])
sys.exit(cli.main(["step", "image", "--environment", f"checks={sys.argv[3]}"]))
"""


@pytest.mark.parametrize(
    ("place", "size"), [(".gatehouse/cache", "4k"), (".gatehouse/cache/layers", "4k"), ("dist", "4k")]
)
def test_a_disk_without_room(here, root, place, size):
    folder = here.root / place
    folder.mkdir(parents=True)
    mounted = within(f"mount -t tmpfs -o size={size} none '{folder}'", "--mount")
    command = [*mounted, sys.executable, "-c", _COMMAND, str(root), str(here.root), str(here.pip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    check_nothing_half_written(here)
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert ended.code == 3, ended.complained
    assert ended.problem.startswith(f"files.full: {folder}")
    assert "(got No space left on device, expected room " in ended.problem
