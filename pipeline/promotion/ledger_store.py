"""Where ledgers are kept: files that change together or not at all, and only if nobody else changed them meanwhile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pipeline.files import read_limited, write_atomic
from pipeline.model.errors import CannotEvaluate, Refused

#: Some ten thousand promotions.
MAX_FILE = 128 * 1024 * 1024


class LedgerStore(Protocol):
    """Files by path (``production.jsonl``, ``grants/<sha256>.json``, ``overlays/production/kustomization.yaml``).

    A promotion holds the state folder's lock of its environment (``lock_path``) from ``refresh`` to the last ``write``.
    """

    @property
    def address(self) -> str:
        """What the verifier's memory keeps the head under, empty for the state folder."""

    def refresh(self) -> None:
        """Take over what is there now; all reads are of that. Raises CannotEvaluate (``ledger.unreachable``)."""

    def read(self, path: str) -> bytes | None:
        """The file, None where there is none; raises CannotEvaluate (``ledger.unreadable``)."""

    def write(self, changes: Mapping[str, bytes], message: str) -> None:
        """Write all ``changes``, the last of them last.

        Raises Overtaken where the store changed since ``refresh``, and CannotEvaluate (``ledger.unreachable``,
        ``files.*``); then nothing was written, or nobody can tell and the next ``refresh`` shows it.
        """


class Overtaken(Refused):
    """Somebody else wrote first."""


class LocalLedger:
    """The clone's own: a folder below the state folder. Its compare-and-swap is the lock that the caller holds."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "ledger"

    @property
    def address(self) -> str:
        return ""

    def refresh(self) -> None:
        """Each read is of what is there."""

    def read(self, path: str) -> bytes | None:
        try:
            content = read_limited(self._folder / path, MAX_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(path, error.strerror or type(error).__name__) from error
        if len(content) > MAX_FILE:
            raise unreadable(path, f"more than {MAX_FILE} bytes")
        return content

    def write(self, changes: Mapping[str, bytes], message: str) -> None:
        del message
        for path, content in changes.items():
            write_atomic(self._folder / path, content)


def lock_path(state: Path, environment: str) -> Path:
    """Held from reading the head until the last write, so that of two promotions here one sees the other's."""
    return state / "locks" / f"ledger-{environment}.lock"


def unreadable(path: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "ledger.unreadable",
        f"ledger file {path}: not readable (got {got}, expected a file of at most {MAX_FILE} bytes)",
        fix="make it readable for this user, or restore it from a copy",
    )
