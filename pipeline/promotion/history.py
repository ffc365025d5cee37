"""What descends from what, as the clone's history says.

A commit names its parents by hash, so that a history that holds both says so without anybody being trusted.
"""

import re
from pathlib import Path
from typing import Protocol

from pipeline.git import git, text
from pipeline.model.errors import CannotEvaluate

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: Ways to tell git other parents than those that the commit names.
_NO_LIES = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null"}


class History(Protocol):
    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``commit`` is ``ancestor`` or comes after it; raises CannotEvaluate (``promotion.history``)."""


class GitHistory:
    """The history of the clone ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def descends(self, commit: str, ancestor: str) -> bool:
        for one in (commit, ancestor):
            if not _COMMIT.fullmatch(one) or self._git("cat-file", "-e", f"{one}^{{commit}}") != 0:
                raise _unknown(f"no commit {one[:12] or 'at all'}")
        code = self._git("merge-base", "--is-ancestor", ancestor, commit)
        if code == 0:
            return True
        # What a shallow clone does not hold may be what connects the two.
        shallow = text(git(self._root, "rev-parse", "--is-shallow-repository")) != "false"
        if code != 1 or shallow:
            raise _unknown("a shallow clone" if shallow else f"git's exit code {code}")
        return False

    def _git(self, *arguments: str) -> int:
        return git(self._root, "-c", "core.commitGraph=false", *arguments, env=_NO_LIES).exit_code


def _unknown(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "promotion.history",
        f"history: not known whether the release descends from what runs (got {got}, expected both commits and all "
        "between them)",
        fix="fetch the whole history: `git fetch --unshallow origin`, or `git fetch origin` (in CI `fetch-depth: 0`)",
    )
