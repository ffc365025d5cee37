"""The source that a run speaks of, as it stands in every predicate."""

import re
from pathlib import Path

from pipeline.git import Snapshot, git, take_snapshot, text
from pipeline.model.context import Source

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def source_of(root: Path, snapshot: Snapshot) -> Source:
    """Name the snapshot by the clone's ``origin``, without credentials; a clone without one is ``git+file:local``."""
    remote = text(git(root, "config", "--get", "remote.origin.url"))
    is_address = re.match(r"(https?|ssh|git)://", remote)
    return Source(
        uri="git+" + _CREDENTIALS.sub("", remote) if is_address else "git+file:local",
        commit=snapshot.commit,
        tree=snapshot.tree,
        dirty=snapshot.dirty,
        committed=snapshot.committed,
    )


def read_source(root: Path) -> Source:
    """Commit, tree, and whether they differ; raises Misuse (``source.*``)."""
    return source_of(root, take_snapshot(root))
