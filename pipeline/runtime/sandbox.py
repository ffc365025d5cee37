"""Running an unpacked image without an engine: its own entrypoint in unprivileged user namespaces.

Not hardened as on an engine (no control group bounds it, and it is this machine's user), so never smoke evidence.
"""

import contextlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline import processes
from pipeline.model.errors import CannotEvaluate
from pipeline.runtime.exchanges import Exchange
from pipeline.runtime.launch import Launch
from pipeline.runtime.namespace import MOUNT_POINTS, Plan, Report
from pipeline.runtime.probes import Check

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from pipeline.runtime.namespace import main; main()"


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """``folder``, empty, and removed at the end; what a killed run left in it goes first.

    The caller holds a lock. The folder is open to others: the service's user must reach what is below it.
    """
    remove_tree(folder)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Also where an image's own modes close its folders to their owner."""
    for place, _, _ in os.walk(folder):
        # os.walk reads a folder only after it was given out here, so its mode is mended in time for its children.
        for entry in os.scandir(place):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, stat.S_IRWXU)
    if folder.exists():
        shutil.rmtree(folder)


def run_in_namespaces(
    rootfs: Path,
    launch: Launch,
    *,
    port: int,
    health: str,
    log: Path,
    exchanges: Sequence[Exchange] = (),
    start_seconds: float = 30,
    stop_seconds: float = 15,
) -> Report:
    """Start the image, ask it everything, end it. Its output goes to ``log``.

    ``rootfs.parent`` must be open to other users. Raises CannotEvaluate (``smoke.sandbox``) where the program
    that does it fails itself.
    """
    for name in MOUNT_POINTS:
        with contextlib.suppress(FileExistsError):
            (rootfs / name).mkdir()
    plan = Plan(
        rootfs=str(rootfs),
        arguments=list(launch.arguments),
        environment=launch.environment,
        directory=launch.directory,
        uid=launch.uid,
        gid=launch.gid,
        port=port,
        health=health,
        start_seconds=start_seconds,
        stop_seconds=stop_seconds,
        log=str(log),
        exchanges=[asdict(exchange) for exchange in exchanges],
        parent=os.getpid(),
    )
    done = processes.run(
        [sys.executable, "-I", "-c", _PROGRAM, str(Path(__file__).parents[2])],
        stdin=json.dumps(asdict(plan)).encode(),
        timeout=start_seconds + stop_seconds + 240,
    )
    if done.exit_code != 0:
        raise CannotEvaluate(
            "smoke.sandbox",
            f"namespaces: not run (got exit code {done.exit_code}, {done.last_words}, expected a report)",
            fix="start a container engine, and run the smoke session again",
        )
    report = json.loads(done.stdout)
    return Report(**report | {"checks": tuple(Check(**check) for check in report["checks"])})
