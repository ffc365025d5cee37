"""The caches of downloads and layers: what no build of the last weeks used goes, once a build has succeeded."""

from pathlib import Path

from pipeline.files import remove_unused

#: Below the cache folder; other tools keep their own beside them.
FOLDERS = ("bases", "debs", "layers", "wheels")
UNUSED_AFTER = 14 * 24 * 3600
"""Seconds. A branch that is built every other week keeps what it needs."""


def prune(cache: Path, *, now: float) -> int:
    """Remove what was last used long before ``now`` (seconds since the epoch); returns how many files went.

    Every part is fetched or made again when it is missed, so nothing is lost but time.
    """
    return sum(remove_unused(cache / folder, before=now - UNUSED_AFTER) for folder in FOLDERS)
