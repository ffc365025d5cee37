"""Running other programs: no shell, a scrubbed environment, a time limit, output that is kept, and no orphans."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.model.errors import CannotEvaluate

#: What a tool may see of the environment: where things are, how to reach the network, nothing that steers it.
PASSED_ON = (
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TZ",
    "TERM",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
)


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended by itself. ``stdout`` and ``stderr`` are bytes as written."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def last_words(self) -> str:
        """The last line of stderr (or stdout) that says something, printable, for a message."""
        lines = (self.stderr.strip() or self.stdout.strip()).decode("utf-8", "replace").splitlines()
        return "".join(c for c in lines[-1] if c.isprintable())[:300] if lines else "no output"


def scrubbed(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that tools get: the allow-list above and ``extra``."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(extra or {})


def engine_addresses() -> dict[str, str]:
    """What the user's environment says of a container engine; the steps that use one get it from here alone."""
    return {name: os.environ[name] for name in ("DOCKER_HOST", "XDG_RUNTIME_DIR") if name in os.environ}


def agent_address() -> dict[str, str]:
    """Where the user's ssh agent listens; git gets it, alone, to reach a remote with the user's key."""
    return {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}


def program_folders() -> list[Path]:
    """Where programs that the user installed may be: the path, and the plugins of Docker's client."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return [*folders, *([Path(os.environ["HOME"], ".docker", "cli-plugins")] if "HOME" in os.environ else [])]


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind, as Ctrl-C does, so that nothing stays on an engine; only a main thread can say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def unwind(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    stdin: bytes | None = None,
) -> Completed:
    """Run ``command`` to its end; ``env`` is added to the scrubbed environment, ``timeout`` is in seconds.

    The exit code is the caller's to judge. Raises CannotEvaluate (``tool.missing``, ``tool.timeout``);
    on a time-out the program's whole process group is killed.
    """
    words = [str(part) for part in command]
    name = Path(words[0]).name
    try:
        process = _start(
            words,
            _running.tools,
            cwd=cwd,
            env=scrubbed(env),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotEvaluate(
            "tool.missing",
            f"{name}: not started (got {error.strerror or error}, expected a program at {words[0]})",
            fix="remove the environments below the state folder and run the command again",
        ) from error
    try:
        stdout, stderr = _communicate(process, stdin, timeout)
    except BaseException as error:
        _kill_group(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise CannotEvaluate(
                "tool.timeout",
                f"{name}: not done in time (got no end after {timeout:g} s, expected one)",
                fix="run it again; if it hangs again, look at what it waits for",
            ) from error
        raise
    finally:
        _running.tools.discard(process)
    return Completed(process.returncode, stdout, stderr)


#: NOTE: a signal that comes between Python's last look for one and a system call that blocks is not seen until that
#: call returns. So nothing is waited for longer than this, in seconds.
_LOOK = 0.5


def _communicate(process: "subprocess.Popen[bytes]", stdin: bytes | None, timeout: float) -> tuple[bytes, bytes]:
    """``Popen.communicate``, which loses no output where it is asked again."""
    deadline = time.monotonic() + timeout
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            return process.communicate(stdin, timeout=min(_LOOK, left))
        except subprocess.TimeoutExpired:
            if left <= _LOOK:
                raise
            stdin = None  # it was taken at the first time


def _wait(process: "subprocess.Popen[bytes]") -> int:
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK)


def call(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], stdout: IO[str] | None = None) -> int:
    """Run one of our own programs, with ``env`` whole and its output on this terminal; returns its exit code.

    Where this process is interrupted, the program is told, and waited for while it ends what it started itself.
    """
    process = _start([str(part) for part in command], _running.own, cwd=cwd, env=env, stdout=stdout)
    try:
        return _wait(process)
    except BaseException:
        _end(process)
        raise
    finally:
        _running.own.discard(process)


def end_on_signals() -> None:
    """From here on SIGINT, SIGTERM and SIGHUP end what this process started, then raise KeyboardInterrupt, once.

    A signal that is ignored already (``nohup``, a shell's background job) stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = _unraisable


def end_with_parent() -> None:
    """Be sent SIGTERM when the parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG); on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)


#: How long one of our own programs may take to end what it started, in seconds.
_GRACE = 15.0


@dataclass(slots=True)
class _Running:
    """What runs now, for the one signal handler of this process."""

    tools: "set[subprocess.Popen[bytes]]" = field(default_factory=set)
    """Each leads its own group, which is killed."""
    own: "set[subprocess.Popen[bytes]]" = field(default_factory=set)
    """Each is told to end."""
    starting: bool = False
    """The main thread starts a program: an exception now would lose sight of it."""
    deferred: bool = False
    interrupted: bool = False


_running = _Running()


def _interrupt(_number: int, _frame: object) -> None:
    if _running.interrupted:
        return  # a second Ctrl-C, or one from the terminal and one from the parent: it is unwinding already
    _running.interrupted = True
    for process in list(_running.tools):
        _kill(process)
    for process in list(_running.own):
        process.terminate()
    if _running.starting:
        _running.deferred = True
        return
    raise KeyboardInterrupt


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """A KeyboardInterrupt that came where Python can raise nothing (a finaliser, a library's callback) comes again."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(lost)


def _start(words: Sequence[str], kept: "set[subprocess.Popen[bytes]]", **options: Any) -> "subprocess.Popen[bytes]":
    """Start a program so that no signal can come between its start and its place in ``kept``."""
    in_main = threading.current_thread() is threading.main_thread()
    if _running.interrupted and not in_main:
        raise KeyboardInterrupt  # what the main thread starts now is its cleaning up; nothing else may begin
    process = None
    _running.starting = _running.starting or in_main
    try:
        process = subprocess.Popen(words, **options)
        kept.add(process)
    finally:
        if in_main:
            _running.starting = False
        if _running.deferred if in_main else _running.interrupted:
            _running.deferred = _running.deferred and not in_main
            if process is not None:
                _kill_group(process) if kept is _running.tools else _end(process)
                kept.discard(process)
            raise KeyboardInterrupt
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    deadline = time.monotonic() + _GRACE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(max(0.0, deadline - time.monotonic()))
    if process.returncode is None:
        process.kill()
        process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    process.communicate()
