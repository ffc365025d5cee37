"""A promotion in a process of its own, killed when it is about to put its n-th file in its place."""

import os
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.model.context import Source
from pipeline.promotion import opening, step
from pipeline.settings import load
from pipeline.signing.opening import open_signer
from pipeline.steps.job import Job

REPOSITORY = Path(__file__).resolve().parents[2]


def kill_at(due: int) -> None:
    real, seen = os.replace, 0

    def replace(*arguments: Any, **options: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == due:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments, **options)

    os.replace = replace


def main(root: str, image: str, due: str) -> None:
    setattr(opening, "open_signer", partial(open_signer, detect=lambda: None))  # noqa: B010 - a patch, and meant so
    source = Source(uri="git+file:local", commit="a" * 40, tree="b" * 40, dirty=False, committed=0)
    job = Job(
        root=Path(root),
        settings=load(REPOSITORY),
        source=source,
        now=datetime.now(UTC),
        options=("development", image),
    )
    kill_at(int(due))
    sys.stdout.write(f"{step.run(job).finding}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
