"""A commit in a folder of its own, as git has it: none of the user's settings, hooks, filters or changes."""

import re
from pathlib import Path

from pipeline.git import git, take_snapshot, text
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed

#: git reads these where the user has said something; here nobody has (git(1), "Environment Variables").
_NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"}
#: What the pipeline writes into a clone: of no commit, whatever the commit's .gitignore says.
_OWN = "/.gatehouse/\n/dist/\n"
#: What a source's address may be; the rest (``git+file:local``, a remote helper) is no place to fetch from.
_ADDRESS = re.compile(r"git\+((?:https?|ssh|git)://\S+)")


def check_out(root: Path, source: Source, folder: Path) -> None:
    """Make ``folder`` (which is not there) a clone at ``source.commit``, with ``source.uri`` as its origin.

    Objects are read from the clone ``root``, which stays as it is; a commit that is not there is fetched from
    ``source.uri``. Raises CannotEvaluate (``reproduction.commit``, ``reproduction.checkout``).
    """
    objects = (root / text(git(root, "rev-parse", "--git-path", "objects"))).resolve()
    shallow = root / text(git(root, "rev-parse", "--git-path", "shallow"))
    algorithm = text(git(root, "rev-parse", "--show-object-format"))
    folder.mkdir(parents=True)
    _do(folder, "init", "--quiet", "--template=", f"--object-format={algorithm}")
    own = folder / ".git"
    for name, content in (("info/exclude", _OWN), ("objects/info/alternates", f"{objects}\n")):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text(content, encoding="utf-8")
    if shallow.is_file():
        (own / "shallow").write_bytes(shallow.read_bytes())
    address = _ADDRESS.fullmatch(source.uri)
    if address:
        _do(folder, "config", "remote.origin.url", address[1])
    if git(folder, "cat-file", "-e", f"{source.commit}^{{commit}}", env=_NOBODY).exit_code != 0:
        _fetch(folder, source, known=address is not None)
    done = _do(folder, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", source.commit)
    # NOTE: git says that it could not read an object, leaves the file out, and ends with exit code 0.
    if take_snapshot(folder).dirty:
        raise _no_checkout(done)


def _fetch(folder: Path, source: Source, *, known: bool) -> None:
    # With the user's own configuration: that is where access to the repository is.
    fetched = git(folder, "fetch", "--quiet", "--depth=1", "origin", source.commit) if known else None
    if fetched is None or fetched.exit_code != 0:
        raise CannotEvaluate(
            "reproduction.commit",
            f"commit {source.commit[:12]}: not in this clone "
            f"(got {fetched.last_words if fetched else 'no such object'!r}, expected the commit that was built)",
            fix=f"fetch it into this clone: `git fetch REMOTE {source.commit}`, then run the command again",
        )


def _do(folder: Path, *arguments: str) -> Completed:
    done = git(folder, *arguments, env=_NOBODY)
    if done.exit_code != 0:
        raise _no_checkout(done)
    return done


def _no_checkout(done: Completed) -> CannotEvaluate:
    return CannotEvaluate(
        "reproduction.checkout",
        f"clean checkout: git could not make it (got {done.last_words!r}, expected the whole tree of the commit)",
        fix="see that the clone is whole (`git fsck`) and that the disk has room, then run the command again",
    )
