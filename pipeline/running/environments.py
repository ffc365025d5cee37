"""The locked environments: one folder a lock, named by the lock's digest, made whole or made again."""

import contextlib
import hashlib
import os
import shutil
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import locked
from pipeline.indexes import pip_environment, uv_environment
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.processes import Completed, run

NAMES = ("bootstrap", "pipeline", "checks", "test")
STATE = ".gatehouse"
_UNUSED_AFTER = 14 * 24 * 3600
_ROOM = 64 << 20


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment for one lock. ``folder`` is keyed on the lock's content, the interpreter and this host."""

    name: str
    lock: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def complete(self) -> Path:
        """Written last: an environment without it was interrupted and is made again."""
        return self.folder / ".complete"

    def ready(self) -> bool:
        return self.complete.is_file()


def locate(root: Path, name: str) -> Environment:
    """Where the environment of today's lock belongs; raises Misuse (``environment.unknown``, ``lock.missing``)."""
    if name not in NAMES:
        raise Misuse(
            "environment.unknown",
            f"environment {name!r}: unknown (got {name!r}, expected one of {', '.join(NAMES)})",
            fix="use one of those names",
        )
    lock = root / "requirements" / f"{name}.txt"
    try:
        content = lock.read_bytes()
    except OSError as error:
        raise Misuse(
            "lock.missing",
            f"requirements/{name}.txt: not readable (got {error.strerror}, expected the lock of environment {name})",
            fix=f"restore it: `git checkout requirements/{name}.txt`",
        ) from error
    key = hashlib.sha256(content + f"{sys.version}\n{sys.platform}\n{os.uname().machine}\n{root}".encode())
    return Environment(name, lock, root / STATE / "environments" / f"{name}-{key.hexdigest()[:12]}")


def ensure(root: Path, name: str, say: Callable[[str], None]) -> Environment:
    """The environment, made if it is not there; safe to call twice at once and after an interruption.

    Raises CannotEvaluate (``environment.*``) with the installer's own last words.
    """
    environment = locate(root, name)
    if environment.ready():
        with contextlib.suppress(OSError):
            os.utime(environment.complete)
        return environment
    lock = root / STATE / "locks" / f"environment-{name}.lock"
    with locked(lock, waiting=lambda: say(f"another run makes environment {name}: waiting for its end")):
        if environment.ready():  # another run made it while this one waited
            return environment
        say(f"making environment {name} from requirements/{name}.txt")
        shutil.rmtree(environment.folder, ignore_errors=True)
        try:
            environment.folder.parent.mkdir(parents=True, exist_ok=True)
            _make_bootstrap(environment) if name == "bootstrap" else _make(root, environment)
            environment.complete.touch()
        except BaseException:
            shutil.rmtree(environment.folder, ignore_errors=True)
            raise
        _remove_unused(environment)
    return environment


def _make_bootstrap(environment: Environment) -> None:
    """With the standard library's venv and pip, since nothing else is there yet."""
    settings = _system_certificates() | pip_environment()  # wrong ones are said at once
    made = run([sys.executable, "-I", "-m", "venv", str(environment.folder)], timeout=120)
    if made.exit_code != 0:
        _check_room(environment)  # ensurepip's own words get lost on their way
        raise Misuse(
            "environment.no-venv",
            f"{sys.executable}: no virtual environment made (got {made.last_words!r}, expected venv and ensurepip)",
            fix="install them (Debian and Ubuntu: `apt-get install python3-venv`), then run the command again",
        )
    pip: list[str | Path] = [
        environment.python,
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    hashed: list[str | Path] = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", environment.lock]
    _check(environment, run([*pip, *hashed], env=settings, timeout=600))


def _check_room(environment: Environment) -> None:
    free = shutil.disk_usage(environment.folder.parent).free
    if free < _ROOM:
        raise CannotEvaluate(
            "environment.disk-full",
            f"environment {environment.name}: not made (got {free >> 20} MiB free, expected {_ROOM >> 20} MiB)",
            fix="free some disk space and run the command again",
        )


def _system_certificates() -> dict[str, str]:
    """The system's store for a pip that is too old to ask for it itself (before 24.2)."""
    paths = ssl.get_default_verify_paths()
    candidates = (paths.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
    return next(({"PIP_CERT": path} for path in candidates if path and Path(path).is_file()), {})


def _make(root: Path, environment: Environment) -> None:
    uv = locate(root, "bootstrap").folder / "bin" / "uv"
    settings = {**uv_environment(), "UV_PYTHON_DOWNLOADS": "never"}
    venv: list[str | Path] = [
        uv,
        "venv",
        "--quiet",
        "--no-config",
        "--no-project",
        "--python",
        sys.executable,
        environment.folder,
    ]
    _check(environment, run(venv, env=settings, timeout=120))
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--no-config",
        "--python",
        environment.python,
        "--require-hashes",
    ]
    hashed: list[str | Path] = ["--only-binary", ":all:", "--no-deps", "--compile-bytecode", "-r", environment.lock]
    _check(environment, run([*install, *hashed], env=settings, timeout=600))


#: How pip, and uv, say that the index answered and does not have it. Of an index that it cannot reach, pip says
#: the same, below warnings of broken connections.
_NO_SUCH_PACKAGE = ("no matching distribution", "not found in the package registry", "there is no version of")


def _check(environment: Environment, completed: Completed) -> None:
    if completed.exit_code == 0:
        return
    words = (completed.stderr or completed.stdout).decode("utf-8", "replace").lower()
    if "hash" in words and ("mismatch" in words or "do not match" in words):
        code, fix = "environment.hash-mismatch", "find out why the index serves other bytes than the lock names"
    elif "no space left" in words:
        code, fix = "environment.disk-full", "free some disk space and run the command again"
    elif "certificate" in words:
        code, fix = "environment.certificate", "add your proxy's root certificate to the system's store"
    elif any(telling in words for telling in _NO_SUCH_PACKAGE) and "connection" not in words:
        code, fix = (
            "environment.package-missing",
            "use a package index that answers and has every package of the lock (`pip config list` shows it)",
        )
    else:
        code, fix = (
            "environment.unreachable",
            "check network, proxy and package index (`pip config list`), then try again",
        )
    raise CannotEvaluate(
        code,
        f"environment {environment.name}: not made (got {_reason(completed)!r}, expected every package of its lock)",
        fix=fix,
    )


def _reason(completed: Completed) -> str:
    """The installer's own first line that says what is wrong; its last line is often only advice."""
    lines = (completed.stderr or completed.stdout).decode("utf-8", "replace").splitlines()
    starts = ("error", "cause", "expected", "got")
    broken = [
        line.partition("connection broken by ")[2]
        .rpartition(": /")[0]
        .rpartition(">: ")[2]
        .replace("'", "")
        .rstrip(")")
        for line in lines
        if "connection broken by " in line
    ]
    telling = [line.strip() for line in lines if line.lower().lstrip(" \N{MULTIPLICATION SIGN}").startswith(starts)]
    # pip lists every version that there is before it says which one there is not.
    short = [line for line in telling if len(line) < 200] or telling
    chosen = broken[-1] if broken else " ".join(short[:4]) if short else completed.last_words
    return "".join(character for character in chosen if character.isprintable())[:300]


def _remove_unused(environment: Environment) -> None:
    """Environments of older locks go once nobody has used them for two weeks."""
    for folder in environment.folder.parent.glob(f"{environment.name}-*"):
        marker = folder / ".complete"
        if folder != environment.folder and marker.is_file() and marker.stat().st_mtime < time.time() - _UNUSED_AFTER:
            shutil.rmtree(folder, ignore_errors=True)
