"""The log's entries on disk: one canonical JSON body a line, shared by every process that has the log open."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.files import locked, write_atomic
from pipeline.model.errors import CannotEvaluate
from pipeline.signing.local.merkle import Tree
from pipeline.signing.local.state import damaged, unreadable


class Entries:
    """An append-only file and the tree over it.

    Every append holds the file's lock: it first reads what other processes appended, so that indexes and
    roots are one sequence whoever writes. A last line without its end is what a crash left of an entry that
    nobody was answered for, and is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_suffix(".lock")
        self._head = path.with_suffix(".head")
        self._tree = Tree()
        self._offset = 0
        with locked(self._lock):
            self._catch_up()
            self._check_head()

    def append(self, body: bytes, prove: Callable[[Tree, int], dict[str, object]]) -> dict[str, object]:
        """Store ``body`` (one line) and give what ``prove`` makes of the tree and the entry's index.

        Raises CannotEvaluate (``state.*``, ``files.*``); then the log is as it was.
        """
        if b"\n" in body:
            raise ValueError("log entry: holds a line break")
        with locked(self._lock):
            self._catch_up()
            self._write(body + b"\n")
            self._offset += len(body) + 1
            return prove(self._tree, self._tree.append(body))

    def close(self) -> None:
        """Bring the entries to disk, and remember size and root to know them by next time."""
        with locked(self._lock):
            self._catch_up()
            if not len(self._tree):
                return
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
            size = len(self._tree)
            write_atomic(self._head, f"{size} {self._tree.root(size).hex()}\n".encode(), mode=0o600)

    def _catch_up(self) -> None:
        try:
            with open(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._offset:
                    raise damaged(self._path, f"{size} bytes where there were {self._offset}")
                file.seek(self._offset)
                added = file.read()
                whole = added.rfind(b"\n") + 1
                if whole != len(added):
                    file.truncate(self._offset + whole)
        except OSError as error:
            raise unreadable(self._path, error) from error
        for line in added[:whole].splitlines():
            self._tree.append(line)
        self._offset += whole

    def _check_head(self) -> None:
        try:
            head = self._head.read_text(encoding="ascii")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError):
            head = ""
        size, _, root = head.strip().partition(" ")
        if not size.isdecimal() or int(size) > len(self._tree) or self._tree.root(int(size)).hex() != root:
            raise damaged(self._path, f"another tree than at the last {size or 'unreadable'} entries")

    def _write(self, line: bytes) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(line)
        except OSError as error:
            os.truncate(self._path, self._offset)
            raise CannotEvaluate(
                "files.full",
                f"{self._path}: entry not written (got {error.strerror or error}, expected room for {len(line)} bytes)",
                fix="free some disk space and run the command again",
            ) from error
