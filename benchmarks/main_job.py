"""The main job as a newcomer runs it, beside the same steps one after the other in environments made by pip.

Prints first run, unchanged second run, and run after a one-line change of the service, in seconds of wall clock.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.indexes import pip_environment  # noqa: E402 - the root must be on the path first
from pipeline.running.sessions import TOOLS  # noqa: E402

_ENVIRONMENTS = ("bootstrap", "pipeline", "checks", "test")


def _timed(command: Sequence[str | Path], cwd: Path, env: dict[str, str]) -> tuple[float, int]:
    started = time.monotonic()
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, check=False)
    return time.monotonic() - started, done.returncode


def _clone(folder: Path) -> tuple[Path, dict[str, str]]:
    """A fresh clone and an environment with an empty HOME, as a new user has."""
    clone, home = folder / "clone", folder / "home"
    home.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    kept = ("PATH", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
    return clone, {**{name: os.environ[name] for name in kept if name in os.environ}, "HOME": str(home)}


def newcomer(folder: Path) -> dict[str, float]:
    """Seconds of the first, the unchanged second, and the changed third run of ``scripts/pipeline``."""
    clone, env = _clone(folder)
    seconds = {}
    for name in ("first", "unchanged", "changed"):
        if name == "changed":
            with (clone / "sample_app" / "__init__.py").open("a", encoding="utf-8") as file:
                file.write("\n# one more line\n")
        seconds[name], code = _timed([clone / "scripts" / "pipeline"], clone, env)
        if code != 0:
            raise SystemExit(f"{name} run ended with exit code {code}")
    return seconds


def one_after_the_other(folder: Path) -> float:
    """Seconds of the same steps in sequence, every environment made by venv and pip."""
    clone, env = _clone(folder)
    started = time.monotonic()
    pythons = {}
    for name in _ENVIRONMENTS:
        subprocess.run([sys.executable, "-I", "-m", "venv", str(folder / name)], env=env, check=True)
        pythons[name] = folder / name / "bin" / "python"
        install: list[str | Path] = [
            pythons[name],
            "-m",
            "pip",
            "install",
            "-q",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]
        installing = [*install, "-r", clone / "requirements" / f"{name}.txt"]
        subprocess.run([str(part) for part in installing], env={**env, **pip_environment()}, check=True)
    for step in TOOLS:
        command: list[str | Path] = [pythons["pipeline"], "-I", clone / "pipeline" / "__main__.py", "step", step]
        for name, python in pythons.items():
            command += ["--environment", f"{name}={python}"]
        _, code = _timed(command, clone, env)
        if code != 0:
            raise SystemExit(f"step {step} ended with exit code {code}")
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    style = parser.parse_args().format
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        ours = newcomer(Path(folder, "ours"))
        theirs = one_after_the_other(Path(folder, "theirs"))
    figures = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "first_seconds": round(ours["first"], 1),
        "pip_in_sequence_seconds": round(theirs, 1),
        "ratio": round(theirs / ours["first"], 2),
        "unchanged_seconds": round(ours["unchanged"], 1),
        "changed_seconds": round(ours["changed"], 1),
    }
    if style == "json":
        print(json.dumps(figures))
        return
    print(f"main job on {figures['cores']} cores, Python {figures['python']}")
    print(f"  first run, empty caches              {figures['first_seconds']:7} s   (at most 90)")
    print(
        f"  same steps in sequence, pip          {figures['pip_in_sequence_seconds']:7} s   ({figures['ratio']} times)"
    )
    print(f"  second run, nothing changed          {figures['unchanged_seconds']:7} s   (at most 5)")
    print(f"  after a one-line change of the app   {figures['changed_seconds']:7} s   (at most 20)")


if __name__ == "__main__":
    main()
