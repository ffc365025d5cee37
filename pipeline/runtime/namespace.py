"""Runs an unpacked image in namespaces of its own: user, mount, process, network, IPC and host name.

A program, started by ``sandbox.py`` with ``python -I``: one thread, because unshare(2) of a user namespace refuses
more. It reads a Plan as JSON on stdin, and writes a Report as JSON to stdout. Nothing outlives it: the service is
process 1 of its namespace and is killed when this program dies, its mounts exist in its namespace alone.

Sources: user_namespaces(7), mount_namespaces(7), pid_namespaces(7), pivot_root(2), prctl(2).
"""

import contextlib
import encodings.idna  # noqa: F401 - looked up by the first connection, when Python's own files may be out of reach
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pipeline.runtime import linux
from pipeline.runtime.exchanges import Exchange, hold
from pipeline.runtime.linux import Impossible
from pipeline.runtime.probes import Check, Target, ask, ended, wait_healthy

DEVICES = ("null", "zero", "full", "random", "urandom")
MOUNT_POINTS = ("dev", "proc", "tmp")
LOG_LIMIT = 64 * 1024 * 1024
"""Bytes of any one file that the service may write, its log included."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    rootfs: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    uid: int
    gid: int
    """Ids of the service inside."""
    port: int
    health: str
    start_seconds: float
    stop_seconds: float
    log: str
    exchanges: list[dict[str, Any]]
    """The fields of each Exchange."""
    parent: int
    """Process id of the starter: when it dies, so does all of this."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """``impossible`` says why this machine allows no such namespaces; ``broken`` why the image could not start."""

    impossible: str = ""
    broken: str = ""
    checks: tuple[Check, ...] = ()


class Broken(Exception):
    """The image cannot be started."""


def _die_with(parent: int) -> None:
    linux.prctl("parent-death signal", linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _leave_root(uid: int, gid: int) -> None:
    """Root becomes the service's own user first: namespaces of real root would still own the machine's files."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        # A change of user makes /proc/self root's, and the id maps could not be written.
        linux.prctl("dumpable", linux.PR_SET_DUMPABLE, 1)


def enter(uid: int, gid: int) -> None:
    """Unshare all but the mount namespace, map the one user, bring the loopback up; raises Impossible."""
    _leave_root(uid, gid)
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    linux.unshare(flags, "unshare user namespace")
    try:
        Path("/proc/self/setgroups").write_bytes(b"deny")
        Path("/proc/self/uid_map").write_bytes(b"%d %d 1" % (uid, outer_uid))
        Path("/proc/self/gid_map").write_bytes(b"%d %d 1" % (gid, outer_gid))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, linux.SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", linux.IFF_UP | linux.IFF_RUNNING))
    except OSError as error:
        raise Impossible(f"set up user namespace: {error.strerror}") from error


def _kept_flags(path: str) -> int:
    """Flags that a remount in a user namespace must repeat: the kernel locks them (mount_namespaces(7))."""
    given = os.statvfs(path).f_flag
    flags = given & (linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOATIME | linux.MS_NODIRATIME)
    return flags | (linux.MS_RELATIME if given & 4096 else 0)


def _devices() -> None:
    linux.mount("tmpfs", "dev", "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755,size=64k")
    for name in DEVICES:
        os.close(os.open(f"dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        linux.mount(f"/dev/{name}", f"dev/{name}", None, linux.MS_BIND)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"dev/{name}")
    linux.mount(
        "tmpfs", "dev", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NOEXEC
    )


def change_root(name: str) -> None:
    """Make the working directory, the folder ``name`` with an unpacked image, the root: read-only but for /tmp.

    Raises Impossible, and Broken where the image has something else where a file system must be mounted.
    """
    linux.unshare(linux.CLONE_NEWNS, "unshare mount namespace")
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    keep = _kept_flags(".")
    linux.mount(".", ".", None, linux.MS_BIND)
    # "." is still the folder below that mount. Folders further up may be closed to this user, so no whole path.
    os.chdir(f"../{name}")
    for mount_point in MOUNT_POINTS:
        if not stat.S_ISDIR(os.lstat(mount_point).st_mode):
            raise Broken(f"/{mount_point} of the image: not a folder")
    _devices()
    linux.mount("proc", "proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    linux.mount("tmpfs", "tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC, "mode=1777,size=64m")
    linux.mount(
        "none", ".", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | keep
    )
    linux.pivot_root_here()


def _give_up_privileges() -> None:
    linux.drop_bounding_set()
    linux.prctl("no_new_privs", linux.PR_SET_NO_NEW_PRIVS, 1)
    # exec by an ordinary user drops the capabilities that this process holds in its namespace.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_LIMIT, LOG_LIMIT))


def _orphaned(alive: int) -> bool:
    """Whether the other end of the pipe ``alive`` is gone: seen from here the parent has no process id."""
    watch = select.poll()
    watch.register(alive, select.POLLIN)
    return bool(watch.poll(0))


def _become_service(plan: Plan, log: int) -> NoReturn:
    """In the child: everything up to exec; raises Impossible, Broken or OSError."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    change_root(Path(plan.rootfs).name)
    _give_up_privileges()
    for number, descriptor in enumerate((nothing, log, log)):
        os.dup2(descriptor, number)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and exec would keep it so
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.chdir(plan.directory)
        os.execvpe(plan.arguments[0], plan.arguments, plan.environment)
    except OSError as error:
        raise Broken(f"{plan.arguments[0]} in {plan.directory}: {error.strerror}") from error


def _child(plan: Plan, log: int, alive: int, words: int) -> NoReturn:
    """What goes wrong is written to ``words``, which exec closes."""
    try:
        linux.prctl("parent-death signal", linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        if not _orphaned(alive):
            _become_service(plan, log)
    except Broken as error:
        os.write(words, json.dumps({"broken": str(error)}).encode())
    except Exception as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        os.write(words, json.dumps({"impossible": str(error)}).encode())
    finally:
        os._exit(127)


def _wait(child: int, seconds: float) -> int | None:
    """The exit code (128 + signal where one ended it), None where it still runs after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.02)


def _alive(child: int) -> bool:
    """Without collecting it."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _questions(plan: Plan, child: int) -> list[Check]:
    target = Target("127.0.0.1", plan.port, plan.health)
    first = wait_healthy(target, plan.start_seconds, lambda: _alive(child))
    if not first.passed:
        return [first]
    checks = [first, *ask(target), *hold(target, [Exchange(**fields) for fields in plan.exchanges])]
    if _alive(child):
        os.kill(child, signal.SIGTERM)
    return [*checks, ended(_wait(child, plan.stop_seconds), plan.stop_seconds)]


def _start(plan: Plan, log: int) -> tuple[int, bytes]:
    """The child's process id, and what it said before exec (nothing, where all went well)."""
    alive, mine = os.pipe()
    said, words = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(mine)
        _child(plan, log, alive, words)
    os.close(alive)
    os.close(words)
    with os.fdopen(said, "rb") as file:
        return child, file.read()


def run(plan: Plan) -> Report:
    os.chdir(plan.rootfs)
    log = os.open(plan.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        enter(plan.uid, plan.gid)
    except Impossible as error:
        return Report(impossible=str(error))
    _die_with(plan.parent)  # again: the change of user took it back
    child, problem = _start(plan, log)
    try:
        return Report(**json.loads(problem)) if problem else Report(checks=tuple(_questions(plan, child)))
    finally:
        # Process 1 of its namespace: with it everything that it started ends.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    _die_with(plan.parent)
    json.dump(asdict(run(plan)), sys.stdout)
