"""The source that a run speaks of, as it stands in every predicate."""

from pathlib import Path

from pipeline.git import origin, take_snapshot
from pipeline.model.context import Source


def read_source(root: Path) -> Source:
    """Commit, tree, and whether they differ; raises Misuse (``source.*``)."""
    snapshot = take_snapshot(root)
    return Source(
        uri=origin(root),
        commit=snapshot.commit,
        tree=snapshot.tree,
        dirty=snapshot.dirty,
        committed=snapshot.committed,
    )
