"""Running other programs: no shell, a scrubbed environment, a time limit, and output that is kept."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        process = subprocess.Popen(
            words,
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
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except BaseException as error:
        _kill_group(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise CannotEvaluate(
                "tool.timeout",
                f"{name}: not done in time (got no end after {timeout:g} s, expected one)",
                fix="run it again; if it hangs again, look at what it waits for",
            ) from error
        raise
    return Completed(process.returncode, stdout, stderr)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
