"""uv and pip-compile, asked the same question in the same scrubbed folder, so that their answers can be compared.

Both resolve for the oldest supported Python on Linux and write pins and hashes only: annotations are the one part
in which the two differ.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from pipeline.files import write_atomic
from pipeline.indexes import without_credentials
from pipeline.lock_inputs import read_inputs
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.processes import Completed, run

OLDEST = "3.11"
_SAME = ("--generate-hashes", "--no-header", "--no-annotate", "--strip-extras", "--allow-unsafe", "--quiet")

#: Takes the workspace and the path of a lock in it, returns the lock's new content.
Compiler = Callable[[Path, str], bytes]


@dataclass(frozen=True, slots=True)
class Uv:
    """``uv pip compile``. ``platform`` is fixed, so that a lock does not depend on the machine that checks it."""

    uv: Path
    python: Path
    environment: Mapping[str, str]
    version: str = OLDEST

    def __call__(self, workspace: Path, lock: str) -> bytes:
        command: list[str | Path] = [
            self.uv,
            "pip",
            "compile",
            *_SAME,
            "--python",
            self.python,
            "--python-version",
            self.version,
        ]
        fixed = ["--python-platform", "x86_64-unknown-linux-gnu", "--no-build", "--output-file", lock]
        env = {**self.environment, "UV_PYTHON_DOWNLOADS": "never"}
        source = source_of(lock)
        completed = run([*command, *fixed, source], cwd=workspace, env=env, timeout=300)
        _check("uv", lock, completed, unsolvable="No solution found")
        return _with_markers(workspace, source, (workspace / lock).read_text(encoding="utf-8")).encode()


@dataclass(frozen=True, slots=True)
class PipCompile:
    """``pip-compile`` (pip-tools), the reference. It resolves for the Python that runs it."""

    python: Path
    environment: Mapping[str, str]

    def __call__(self, workspace: Path, lock: str) -> bytes:
        # An empty --unsafe-package: without it pip and setuptools go to a section of their own at the end.
        quiet = ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--unsafe-package="]
        command: list[str | Path] = [self.python, "-Im", "piptools", "compile", "--no-config", *_SAME, *quiet]
        completed = run(
            [*command, "--output-file", lock, source_of(lock)], cwd=workspace, env=self.environment, timeout=1200
        )
        _check("pip-compile", lock, completed, unsolvable="ResolutionImpossible")
        return (workspace / lock).read_bytes()


def source_of(lock: str) -> str:
    """``requirements/test.txt`` is made from ``requirements/test.in``."""
    return lock.removesuffix(".txt") + ".in"


def prepare(root: Path, workspace: Path, locks: Mapping[str, Mapping[str, str]]) -> None:
    """Copy what the compilers read, nothing else; ``locks`` maps each lock to its pins (name to version).

    NOTE: pins go in without their hashes. Both compilers copy hashes from the lock that they find, so that a
    forged one would confirm itself.
    """
    (workspace / "requirements").mkdir(parents=True, exist_ok=True)
    for lock, pins in locks.items():
        shutil.copyfile(root / source_of(lock), workspace / source_of(lock))
        write_atomic(workspace / lock, "".join(f"{name}=={version}\n" for name, version in pins.items()).encode())


def _with_markers(workspace: Path, source: str, text: str) -> str:
    """Write back the markers of direct requirements: pip-compile keeps them, uv resolves them away."""
    for requirement in read_inputs(workspace, source):
        if requirement.marker is not None:
            name = re.escape(canonicalize_name(requirement.name))
            text = re.sub(rf"(?m)^({name}==\S+)(?= )", rf"\1 ; {requirement.marker}", text)
    return text


def _check(tool: str, lock: str, completed: Completed, *, unsolvable: str) -> None:
    if completed.exit_code == 0:
        return
    said = (completed.stderr + completed.stdout).decode("utf-8", "replace")
    words = without_credentials(" ".join(said.split()))[:600]
    # Offline, uv says of a package that it did not find it, but also that it did not look.
    if unsolvable in said and "network was disabled" not in said:
        raise Refused(
            "lock.unsolvable",
            f"{lock}: no set of versions fits (got {words!r}, expected a solution)",
            fix=f"change {source_of(lock)} so that its ranges can hold together",
        )
    raise CannotEvaluate(
        "lock.unresolvable",
        f"{lock}: {tool} could not ask the index (got {words!r}, expected every package's versions and hashes)",
        fix="check network, proxy and package index (`pip config list`), then try again",
    )
