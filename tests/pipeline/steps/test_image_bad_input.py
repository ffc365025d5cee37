"""What can be wrong with what an image is made from: one clear line, an exit code, and nothing that looks finished."""

import hashlib
import json
import subprocess
import sys
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


_PROGRESS = ("fetching ", "downloading ", "laying out ", "writing ", "compiling ", "reading ")


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
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def nothing_half_written(here):
    """Whatever happens: no image, a record that says so, and below the caches only what is whole."""
    yield
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


@pytest.mark.parametrize(
    ("line", "code", "problem"),
    [
        ("VOLUME /data", 1, "dockerfile.unknown-instruction: Dockerfile:9: not of the known subset (got VOLUME, "),
        ("FETCH a", 1, "dockerfile.unknown-instruction: Dockerfile:9: not of the known subset (got FETCH, "),
        ("COPY ../pipeline.toml /app/", 1, "dockerfile.outside-context: Dockerfile:9: COPY from outside the context ("),
        ("COPY a/../../x /app/", 1, "dockerfile.outside-context: Dockerfile:9: COPY from outside the context (got a/"),
        ("RUN true", 2, "dockerfile.needs-engine: Dockerfile:9: RUN needs a container engine (got RUN, "),
    ],
)
def test_a_line_that_the_composer_cannot_carry_out(here, build, line, code, problem):
    write_dockerfile(here, f"{DOCKERFILE}{line}\n")
    ended = build()
    assert ended.code == code
    assert ended.problem.startswith(problem)


@pytest.mark.parametrize("target", ["../pipeline.toml", "/etc/passwd", "inner/../../x"])
def test_a_link_out_of_the_context(here, build, target):
    (here.root / "service" / "link").symlink_to(target)
    ended = build()
    assert ended.code == 1
    assert ended.problem == (
        f"context.link: link: a link out of the build context (got {target!r}, expected a relative path inside)"
    )


@pytest.mark.parametrize("base", ["python:3.13", "scratch", "docker.io/library/python"])
def test_a_base_without_digest(here, build, base):
    write_dockerfile(here, DOCKERFILE.replace("${BASE_IMAGE}", base))
    ended = build()
    assert ended.code == 1
    assert ended.problem.startswith(
        f"dockerfile.base-without-digest: Dockerfile: FROM a base without a digest (got {base}, expected "
    )


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
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert ended.code == 3, ended.complained
    assert ended.problem.startswith(f"files.full: {folder}")
    assert "(got No space left on device, expected room " in ended.problem
