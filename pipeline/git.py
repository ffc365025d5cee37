"""What git says of the clone: the commit, and the work tree as it really is. Standard library only."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.model.errors import Misuse
from pipeline.processes import Completed, run


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The clone at one moment. ``files`` maps each path, tracked or new but not ignored, to ``<mode> <blob hash>``."""

    commit: str
    commit_tree: str
    committed: int
    """Committer time, in seconds since the epoch."""
    tree: str
    files: Mapping[str, str]

    @property
    def dirty(self) -> bool:
        return self.tree != self.commit_tree


def git(
    root: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None, timeout: float = 60
) -> Completed:
    """Run git in ``root`` without the system's configuration, hooks or prompts; ``timeout`` is in seconds."""
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return run(
        ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(root), *arguments],
        env={**fixed, **(env or {})},
        stdin=stdin,
        timeout=timeout,
    )


def text(completed: Completed) -> str:
    return completed.stdout.decode("utf-8", "replace").strip()


_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")


def origin(root: Path) -> str:
    """The clone's ``origin``, without credentials; ``git+file:local`` where it has none or it is no address."""
    remote = text(git(root, "config", "--get", "remote.origin.url"))
    return "git+" + _CREDENTIALS.sub("", remote) if re.match(r"(https?|ssh|git)://", remote) else "git+file:local"


def check_clone(root: Path) -> None:
    """Raise Misuse (``source.no-repository``) where ``root`` is not the top folder of a clone."""
    found = git(root, "rev-parse", "--show-toplevel")
    if b"dubious ownership" in found.stderr:
        raise Misuse(
            "source.owner",
            f"{root}: the clone of another user (got an owner that git does not trust, expected this user)",
            fix=f"if you trust what is in it, `git config --global --add safe.directory {shlex.quote(str(root))}`",
        )
    got = text(found) if found.exit_code == 0 else found.last_words
    if found.exit_code != 0 or not Path(got).samefile(root):
        raise Misuse(
            "source.no-repository",
            f"{root}: not a git repository (got {got!r}, expected a clone with this folder at its top)",
            fix="work in a git clone: `git clone` the repository, or `git init && git add -A && git commit`",
        )


def take_snapshot(root: Path) -> Snapshot:
    """Read commit and work tree; raises Misuse (``source.no-repository``, ``source.no-commit``, ``source.unreadable``).

    The work tree is written into a temporary index and object folder, so that the clone itself is untouched.
    """
    check_clone(root)
    head = git(root, "log", "-1", "--format=%H %T %ct")
    if head.exit_code != 0:
        raise Misuse(
            "source.no-commit",
            f"{root}: no commit (got {head.last_words!r}, expected a commit to build from)",
            fix="commit something first: `git add -A && git commit`",
        )
    commit, commit_tree, committed = text(head).split()
    tree, files = _work_tree(root)
    return Snapshot(commit=commit, commit_tree=commit_tree, committed=int(committed), tree=tree, files=files)


def _work_tree(root: Path) -> tuple[str, dict[str, str]]:
    objects = text(git(root, "rev-parse", "--git-path", "objects"))
    index = text(git(root, "rev-parse", "--git-path", "index"))
    with tempfile.TemporaryDirectory(prefix="gatehouse-tree-") as folder:
        env = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": f"{folder}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((root / objects).resolve()),
        }
        os.mkdir(f"{folder}/objects")
        # The clone's index spares hashing what has not changed. Its time goes with it: git hashes again
        # what is not older than the index (git's racy-git.txt).
        if (root / index).is_file():
            shutil.copy2(root / index, env["GIT_INDEX_FILE"])
        added = git(root, "add", "--all", "--", ".", env=env)
        written = git(root, "write-tree", env=env)
        listed = git(root, "ls-files", "--stage", "-z", env=env)
    for completed in (added, written, listed):
        if completed.exit_code != 0:
            raise Misuse(
                "source.unreadable",
                f"{root}: work tree not readable (got {completed.last_words!r}, expected git to list every file)",
                fix="mend what git names (permissions, a broken clone), then run the command again",
            )
    entries = (entry.split("\t", 1) for entry in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if entry)
    return text(written), {path: " ".join(stage.split()[:2]) for stage, path in entries}
