"""Small git clones for tests."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.git import git

_IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    """A clone with one commit that holds ``files`` (path to text)."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert git(folder, "init", "-q", "-b", "main").exit_code == 0
    commit_all(folder)
    return folder


def commit_all(folder: Path, message: str = "change") -> None:
    """Commit everything at a fixed time."""
    when = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    assert git(folder, "add", "-A").exit_code == 0
    done = git(folder, *_IDENTITY, "commit", "-q", "--allow-empty", "-m", message, env=when)
    assert done.exit_code == 0, done.last_words
