"""The git state that a run speaks of: commit, and the hash of the work tree as it really is."""

import os
import re
import tempfile
from pathlib import Path

from pipeline.model.context import Source
from pipeline.model.errors import Misuse
from pipeline.processes import Completed, run

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def _git(root: Path, *arguments: str, env: dict[str, str] | None = None) -> Completed:
    # A repository that the user does not own, or hooks and filters of a foreign configuration, must not run code.
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return run(
        ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(root), *arguments],
        env={**fixed, **(env or {})},
        timeout=60,
    )


def _text(completed: Completed) -> str:
    return completed.stdout.decode("utf-8", "replace").strip()


def repository_root(start: Path) -> Path:
    """The top folder of the git clone around ``start``; raises Misuse (``source.no-repository``)."""
    found = _git(start, "rev-parse", "--show-toplevel")
    if found.exit_code != 0:
        raise Misuse(
            "source.no-repository",
            f"{start}: not a git repository (got {found.last_words!r}, expected a clone)",
            fix="work in a git clone: `git clone` the repository, or `git init && git add -A && git commit`",
        )
    return Path(_text(found))


def work_tree(root: Path) -> str:
    """The tree hash of what is in the folder now: tracked and new files, without the ignored ones.

    Written into a temporary index and object folder, so that the clone itself is untouched.
    """
    with tempfile.TemporaryDirectory(prefix="gatehouse-tree-") as folder:
        objects = _text(_git(root, "rev-parse", "--git-path", "objects"))
        env = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": f"{folder}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((root / objects).resolve()),
        }
        os.mkdir(f"{folder}/objects")
        _git(root, "read-tree", "HEAD", env=env)
        added = _git(root, "add", "--all", "--", ".", env=env)
        written = _git(root, "write-tree", env=env)
        if added.exit_code != 0 or written.exit_code != 0:
            failed = added if added.exit_code else written
            raise Misuse(
                "source.unreadable",
                f"{root}: work tree not readable (got {failed.last_words!r}, expected git to list every file)",
                fix="mend what git names (permissions, a broken clone), then run the command again",
            )
        return _text(written)


def read_source(root: Path) -> Source:
    """Commit, tree, and whether they differ; raises Misuse (``source.*``)."""
    head = _git(root, "log", "-1", "--format=%H %T %ct")
    if head.exit_code != 0:
        raise Misuse(
            "source.no-commit",
            f"{root}: no commit (got {head.last_words!r}, expected a commit to build from)",
            fix="commit something first: `git add -A && git commit`",
        )
    commit, committed_tree, time = _text(head).split()
    tree = work_tree(root)
    remote = _text(_git(root, "config", "--get", "remote.origin.url"))
    is_address = re.match(r"(https?|ssh|git)://", remote)
    uri = "git+" + _CREDENTIALS.sub("", remote) if is_address else "git+file:local"
    return Source(uri=uri, commit=commit, tree=tree, dirty=tree != committed_tree, committed=int(time))
