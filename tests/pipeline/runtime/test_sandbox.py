"""Running an image's entrypoint in user namespaces: what it may see, and that nothing stays behind."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline import processes
from pipeline.model.errors import CannotEvaluate
from pipeline.runtime import sandbox
from pipeline.runtime.launch import Launch
from pipeline.runtime.namespace import Report
from pipeline.runtime.probes import CHECKS
from pipeline.runtime.sandbox import remove_tree, run_in_namespaces, workplace
from tests.support.tiny_service import make_rootfs

PORT = 8080


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "rootfs").mkdir()
    command = make_rootfs(folder / "rootfs")
    folder.chmod(0o755)
    return SimpleNamespace(folder=folder, rootfs=folder / "rootfs", command=command)


def start(place: Any, mode: str, *, arguments: tuple[str, ...] = (), **more: Any) -> tuple[Report, str]:
    launch = Launch(
        arguments=arguments or (*place.command, str(PORT), mode),
        environment={"PATH": "/bin", "ONLY": "this"},
        directory="/",
        uid=65532,
        gid=65532,
    )
    log = place.folder / f"log-{mode}"
    report = run_in_namespaces(
        place.rootfs, launch, port=PORT, health="/healthz", log=log, **{"start_seconds": 10, "stop_seconds": 5} | more
    )
    if report.impossible:
        pytest.skip(f"this machine allows no user namespaces: {report.impossible}")
    return report, log.read_text() if log.exists() else ""


def failed(report: Report) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if not check.passed}


@pytest.fixture(scope="module")
def healthy(place: Any) -> tuple[Report, str]:
    return start(place, "ok")


@pytest.fixture(scope="module")
def facts(healthy: tuple[Report, str]) -> dict[str, Any]:
    """What the service saw of itself."""
    line = next(line for line in healthy[1].splitlines() if line.startswith("{"))
    return dict(ast.literal_eval(line))


def test_a_sound_service_passes_every_check(healthy):
    report, _ = healthy
    assert failed(report) == {}
    names = [check.name for check in report.checks]
    assert names == ["becomes-healthy", *CHECKS, "ends-cleanly-on-sigterm"]


def test_the_service_is_process_one_of_an_ordinary_user_without_capabilities(facts):
    assert (facts["pid"], facts["uid"]) == (1, 65532)
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"


def test_only_tmp_is_writable(facts):
    assert (facts["root_writable"], facts["sys_writable"], facts["tmp_writable"]) == (False, False, True)


def test_the_service_sees_the_image_alone(facts, place):
    assert set(facts["root"]) == {path.name for path in place.rootfs.iterdir()}
    assert facts["env"] == {"PATH": "/bin", "ONLY": "this"}
    assert facts["interfaces"] == ["lo"]


def test_what_the_service_wrote_to_tmp_is_not_on_this_machine(healthy, place):
    assert list((place.rootfs / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "check", "detail"),
    [
        ("broken-address", "unknown-address-answers", "GET of an unknown address answered 500"),
        ("trace", "trace-is-refused", "TRACE / answered 200"),
        ("sniffing", "no-content-sniffing", "x-content-type-options is ''"),
        ("traceback", "no-traceback-is-shown", "GET / answered with a traceback"),
        ("bad-exit", "ends-cleanly-on-sigterm", "exit code 3"),
        ("fragile", "survives-malformed-requests", "no HTTP answer (ConnectionRefusedError)"),
    ],
)
def test_a_service_that_misbehaves_fails_the_check_for_it(place, mode, check, detail):
    report, _ = start(place, mode)
    assert failed(report)[check] == detail


def test_a_service_that_ignores_sigterm_is_killed_and_fails(place):
    report, _ = start(place, "stubborn", stop_seconds=0.2)
    assert failed(report) == {"ends-cleanly-on-sigterm": "still running 0.2 s after SIGTERM"}


def test_a_service_that_never_becomes_healthy_fails_that_one_check(place):
    report, _ = start(place, "sick", start_seconds=0.5)
    assert set(failed(report)) == {"becomes-healthy"}
    assert len(report.checks) == 1


def test_a_service_that_crashes_fails_at_once_and_its_last_words_are_kept(place):
    report, log = start(place, "crash", start_seconds=60)
    assert "and the service ended" in failed(report)["becomes-healthy"]
    assert "cannot start: no database" in log


def test_an_entrypoint_that_is_not_in_the_image_is_the_images_fault(place):
    report, _ = start(place, "missing", arguments=("/no/such/program",))
    assert report.broken == "/no/such/program in /: No such file or directory"


def test_an_image_with_a_link_where_proc_must_be_is_refused(tmp_path):
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    tmp_path.chmod(0o755)
    (rootfs / "proc").symlink_to("/etc")
    report, _ = start(SimpleNamespace(folder=tmp_path, rootfs=rootfs, command=["/x"]), "link")
    assert report.broken == "/proc of the image: not a folder"


def running(word: str) -> list[str]:
    """Command lines of this machine's processes that hold ``word``."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in lines if word in line]


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_the_service_started_ends_with_it(place):
    start(place, "orphan")
    wait_until(lambda: not running("/service.py 8080 orphan"))


def test_a_killed_run_leaves_no_process_and_no_mount(place):
    program = (
        "import sys; from pathlib import Path; from tests.pipeline.runtime.test_sandbox import start;"
        "from types import SimpleNamespace as N; f = Path(sys.argv[1]);"
        "start(N(folder=f, rootfs=f / 'rootfs', command=sys.argv[2:]), 'sick', start_seconds=60)"
    )
    mounts = Path("/proc/self/mounts").read_text()
    command = [sys.executable, "-c", program, str(place.folder), *place.command]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
    try:
        wait_until(lambda: running("/service.py 8080 sick"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_until(lambda: not running("/service.py 8080 sick"))
    assert not running("pipeline.runtime.namespace")
    assert Path("/proc/self/mounts").read_text() == mounts


def test_a_machine_without_user_namespaces_is_said_to_be_one(place, monkeypatch):
    """The limit of the namespace count is not ours to change, so a filter of unshare(2)'s answer stands for it."""
    program = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1])\n"
        "import pipeline.runtime.linux as l, pipeline.runtime.namespace as n\n"
        "l._libc = type('L', (), {'unshare': lambda s, f: (ctypes.set_errno(1), -1)[1], 'prctl': l._libc.prctl})()\n"
        "n.main()"
    )
    monkeypatch.setattr(sandbox, "_PROGRAM", program)
    launch = Launch(arguments=("/x",), environment={}, directory="/", uid=65532, gid=65532)
    report = run_in_namespaces(place.rootfs, launch, port=PORT, health="/", log=place.folder / "log-no")
    assert report.impossible == "unshare user namespace: Operation not permitted"


def test_a_program_that_fails_itself_is_no_result(place, monkeypatch):
    monkeypatch.setattr(sandbox, "_PROGRAM", "raise SystemExit('no memory')")
    launch = Launch(arguments=("/x",), environment={}, directory="/", uid=1, gid=1)
    with pytest.raises(CannotEvaluate, match="got exit code 1, no memory, expected a report") as refusal:
        run_in_namespaces(place.rootfs, launch, port=PORT, health="/", log=place.folder / "log-no")
    assert refusal.value.code == "smoke.sandbox"


def test_a_workplace_is_empty_open_and_removed(tmp_path):
    (tmp_path / "smoke" / "left" / "by").mkdir(parents=True)
    with workplace(tmp_path / "smoke") as folder:
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o755
        (folder / "new").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_closed_to_their_owner_are_removed_and_links_not_followed(tmp_path):
    closed = tmp_path / "tree" / "closed"
    (closed / "deep").mkdir(parents=True)
    (tmp_path / "kept").mkdir(mode=0o700)
    (closed / "link").symlink_to(tmp_path / "kept")
    closed.chmod(0)
    command = [sys.executable, "-c", "import sys; from pathlib import Path; import pipeline.runtime.sandbox as s;"]
    command[2] += "s.remove_tree(Path(sys.argv[1]))"
    subprocess.run([*command, str(tmp_path / "tree")], cwd=Path(__file__).parents[3], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    remove_tree(tmp_path / "tree")  # nothing there: nothing to do


def test_the_time_limit_is_past_every_wait_inside(place, monkeypatch):
    seen: dict[str, Any] = {}

    def run(command: list[str], **given: Any) -> processes.Completed:
        seen.update(given)
        return processes.Completed(0, b'{"impossible": "", "broken": "", "checks": []}', b"")

    monkeypatch.setattr(processes, "run", run)
    launch = Launch(arguments=("/x",), environment={}, directory="/", uid=1, gid=1)
    run_in_namespaces(
        place.rootfs, launch, port=PORT, health="/", log=place.folder / "l", start_seconds=30, stop_seconds=15
    )
    assert seen["timeout"] > 30 + 15
    assert str(os.getpid()).encode() in seen["stdin"]
