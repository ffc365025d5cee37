"""A team's ledger: a branch of a git remote that only ever moves forward, which is a real compare-and-swap.

The server takes a push where the branch still is what the pushed commit descends from, and refuses any other; so of
two promotions one is pushed and the other is told. All of it happens in the clone's object store, under a ref of its
own (``refs/gatehouse/ledger/<branch>``): no file, branch or index of the clone is touched.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.git import git, text
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.processes import Completed, agent_address
from pipeline.promotion.ledger_store import MAX_FILE, Overtaken, unreadable

_AUTHOR = {
    "GIT_AUTHOR_NAME": "Gatehouse",
    "GIT_AUTHOR_EMAIL": "gatehouse@invalid",
    "GIT_COMMITTER_NAME": "Gatehouse",
    "GIT_COMMITTER_EMAIL": "gatehouse@invalid",
}
#: What ``ls-remote --exit-code`` ends with where the remote answers and has no such branch.
_NO_BRANCH = 2


class GitLedger:
    """``root`` is the clone, ``remote`` the name of one of its remotes, ``branch`` the ledger's. Needs git alone.

    ``credentials`` are variables that git is given when it talks to the remote, beside the user's ssh agent.
    """

    def __init__(self, root: Path, remote: str, branch: str, credentials: Mapping[str, str] | None = None) -> None:
        self._root, self._remote, self._branch = root, remote, branch
        self._credentials = dict(credentials or {})
        self._kept = f"refs/gatehouse/ledger/{branch}"
        self._revision = ""

    @property
    def address(self) -> str:
        return f"{self._remote}/{self._branch}"

    def refresh(self) -> None:
        if not self._there():
            if self._known():
                raise self._rewritten("no branch")
            self._revision = ""
            return
        fetched = f"{self._kept}-fetched"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc")
        asked = self._ask("fetch", *options, self._remote, f"+refs/heads/{self._branch}:{fetched}")
        if asked.exit_code != 0:
            raise self._unreachable(asked)
        known, now = self._known(), text(self._git("rev-parse", "--verify", f"{fetched}^{{commit}}"))
        if known and git(self._root, "merge-base", "--is-ancestor", known, now).exit_code != 0:
            raise self._rewritten(now[:12])
        self._git("update-ref", self._kept, now)
        self._revision = now

    def read(self, path: str) -> bytes | None:
        if not self._revision:
            return None
        listed = text(self._git("ls-tree", "-l", self._revision, "--", path)).split()
        if not listed:
            return None
        kind, blob, size = listed[1:4]
        if kind != "blob" or not size.isdigit() or int(size) > MAX_FILE:
            raise unreadable(path, f"a {kind} of {size} bytes")
        return self._git("cat-file", "blob", blob).stdout

    def write(self, changes: Mapping[str, bytes], message: str) -> None:
        commit = self._commit(changes, message)
        alone = ("--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
        pushed = self._ask("push", *alone, self._remote, f"{commit}:refs/heads/{self._branch}")
        now = self._remote_head()
        # NOTE: a push whose answer was lost may have been taken: what the branch is now says so, not the exit code.
        if now == commit:
            self._git("update-ref", self._kept, commit)
            self._revision = commit
            return
        if now != self._revision:
            raise Overtaken(
                "ledger.overtaken",
                f"ledger {self.address}: somebody else wrote first (got {now[:12] or 'nothing'}, "
                f"expected {self._revision[:12] or 'nothing'})",
                fix="run the command again: it decides anew over what is there now",
            )
        raise self._unreachable(pushed)

    # Inside

    def _commit(self, changes: Mapping[str, bytes], message: str) -> str:
        with tempfile.TemporaryDirectory(prefix="gatehouse-ledger-") as folder:
            env = {"GIT_INDEX_FILE": f"{folder}/index", **_AUTHOR}
            if self._revision:
                self._git("read-tree", self._revision, env=env)
            for path, content in changes.items():
                blob = text(self._git("hash-object", "-w", "--stdin", stdin=content))
                self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
            tree = text(self._git("write-tree", env=env))
            parents = ("-p", self._revision) if self._revision else ()
            return text(self._git("commit-tree", tree, *parents, "-m", message, env=env))

    def _there(self) -> bool:
        return bool(self._remote_head())

    def _remote_head(self) -> str:
        """The branch's commit as the remote says, empty where it has no such branch."""
        name = f"refs/heads/{self._branch}"
        listed = self._ask("ls-remote", "--exit-code", self._remote, name)
        if listed.exit_code == _NO_BRANCH:
            return ""
        if listed.exit_code != 0:
            raise self._unreachable(listed)
        # NOTE: it lists every ref that ends with what it is asked for: refs/heads/a/refs/heads/ledger comes first.
        found = (line.split() for line in text(listed).splitlines())
        return next((commit for commit, ref in found if ref == name), "")

    def _known(self) -> str:
        """The commit that this clone saw last, empty where it saw none."""
        found = git(self._root, "rev-parse", "--quiet", "--verify", f"{self._kept}^{{commit}}")
        return text(found) if found.exit_code == 0 else ""

    def _ask(self, *arguments: str) -> Completed:
        """Talk to the remote, which may ask for the user's key."""
        return git(self._root, *arguments, env={**agent_address(), **self._credentials}, timeout=120)

    def _git(self, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Completed:
        done = git(self._root, *arguments, env=env, stdin=stdin)
        if done.exit_code != 0:
            raise CannotEvaluate(
                "ledger.git",
                f"git {arguments[0]}: failed on the ledger (got {done.last_words!r}, expected it to succeed)",
                fix="mend what git names (a broken clone, no room), then run the command again",
            )
        return done

    def _unreachable(self, asked: Completed) -> CannotEvaluate:
        return CannotEvaluate(
            "ledger.unreachable",
            f"ledger {self.address}: the remote does not answer, or does not allow it (got {asked.last_words!r}, "
            f"expected to read and push {self._branch})",
            fix=f"see that `git push {self._remote} HEAD:refs/heads/{self._branch} --dry-run` is allowed from here; "
            "`[promotion] remote` in pipeline.toml names the remote",
        )

    def _rewritten(self, got: str) -> Refused:
        return Refused(
            "ledger.rewritten",
            f"ledger {self.address}: not what this clone saw before, with something added "
            f"(got {got}, expected a descendant of {self._known()[:12]})",
            fix=f"find out who rewrote the branch and restore it: `git push --force {self._remote} "
            f"{self._kept}:refs/heads/{self._branch}`, then protect it against forced pushes",
        )
