"""Which Python files there are, found by ourselves: what a tool was given is what its report must speak of."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.git import take_snapshot

_LINK = "120000"


def repository_files(root: Path) -> list[str]:
    """Every Python file of the work tree, tracked or new, below ``root``; fixtures may be broken on purpose."""
    return sorted(
        path
        for path, entry in take_snapshot(root).files.items()
        if path.endswith((".py", ".pyi")) and "/fixtures/" not in path and not entry.startswith(_LINK)
    )


def shipped_files(root: Path, folders: Iterable[str]) -> list[str]:
    """Every Python file below ``folders`` as it lies on disk, ignored by git or not: what lies there is shipped."""
    found = []
    for folder in folders:
        for parent, _, names in os.walk(root / folder):
            below = Path(parent).relative_to(root).as_posix()
            found += [f"{below}/{name}" for name in names if name.endswith((".py", ".pyw", ".pyi"))]
    return sorted(found)
