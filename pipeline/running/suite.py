"""The command behind ``scripts/test``: the whole test suite in the locked test environment."""

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.processes import scrubbed
from pipeline.running.environments import ensure


def main(root: Path, arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Run pytest with ``arguments``; returns its exit code, 5 (no tests) included: nothing tested is no pass."""
    with ThreadPoolExecutor(3) as pool:
        made = pool.map(lambda name: ensure(root, name, say), ("test", "checks", "pipeline"))
    python = next(iter(made)).python
    command = [
        str(python),
        "-I",
        "-m",
        "pytest",
        "-c",
        str(root / "pyproject.toml"),
        "--rootdir",
        str(root),
        *arguments,
    ]
    return subprocess.run(command, cwd=root, env=scrubbed({"PYTHONDONTWRITEBYTECODE": "1"}), check=False).returncode
