"""The command behind ``scripts/test``: the whole test suite in the locked test environment."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.processes import scrubbed
from pipeline.running.environments import ensure

#: Where .ci/run says that the engine and the outside verifiers are.
_PASSED_ON = ("CI", "DOCKER_HOST", "GATEHOUSE_OUTSIDE")


def prepare(root: Path, arguments: Sequence[str], say: Callable[[str], None]) -> tuple[list[str], dict[str, str]]:
    """Make what the tests need; returns pytest's command line and environment, for the caller to become.

    Its exit code holds, 5 (no tests) included: nothing tested is no pass.
    """
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
    passed_on = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    return command, scrubbed(passed_on)
