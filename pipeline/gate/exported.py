"""Judging an export: what came with the file counts only where the verifier's own word names it.

The policy is a folder of the verifier's, or the file's own where its digest is the one given; so is each trust root.
"""

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import read_limited, write_atomic
from pipeline.gate.export import ABOUT, FORMAT, POLICY, TRUST, About
from pipeline.gate.gathering import root_files
from pipeline.gate.policy import MAX_POLICY_BYTES, policy_digest
from pipeline.model.documents import parse
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.store.archived import ArchivedStore, open_archived

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_ROOT_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_POLICY_FILE = re.compile(r"((?!\.\.?/)[A-Za-z0-9._@ -]{1,100}/){0,6}(?!\.\.?$)[A-Za-z0-9._@ -]{1,100}")
_MAX_ROOT = 4 * 1024 * 1024
#: The root that one means who names none.
_PUBLIC = "public"


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """What the verifier brings: ``policy`` is a folder or ``sha256:<hex>``; each root a file or ``sha256:<hex>``."""

    policy: str
    trust_roots: Mapping[str, str]

    @classmethod
    def of(cls, policy: str | None, trust_roots: Sequence[str]) -> "Own":
        """From ``--policy`` and each ``--trust-root [NAME=]FILE``; raises Misuse (``verify.offline``)."""
        if not policy:
            raise _misuse("--policy", "none", "a folder of your own, or the digest of the file's policy")
        named: dict[str, str] = {}
        for one in trust_roots:
            before, separator, after = one.partition("=")
            name, value = (before, after) if separator else (_PUBLIC, one)
            if not _ROOT_NAME.fullmatch(name) or not value or name in named:
                raise _misuse("--trust-root", one, "[NAME=]FILE or [NAME=]sha256:..., each name once")
            named[name] = value
        return cls(policy=policy, trust_roots=named)


@dataclass(frozen=True, kw_only=True)
class Offline:
    """A file to judge from, with what it is judged by. ``policies`` is a folder while it is open."""

    store: ArchivedStore
    policies: Path
    roots: "Mapping[str, TrustedRoot]"


@contextlib.contextmanager
def open_offline(file: Path, own: Own) -> Iterator[Offline]:
    """Open an export and settle what it is judged by.

    Raises Refused (``export.policy``, ``export.trust-root``) where the file's is another than the one named, Misuse
    (``verify.offline``), and CannotEvaluate (``export.*``, ``store.*``, ``trust.*``) for what cannot be read.
    """
    with open_archived(file) as store, tempfile.TemporaryDirectory(prefix="gatehouse-") as scratch:
        _check_format(store)
        policies = _policies(store, own.policy, Path(scratch))
        yield Offline(store=store, policies=policies, roots=_roots(store, own.trust_roots, policies))


def _check_format(store: ArchivedStore) -> None:
    if ABOUT not in store.names:
        raise _no_export(f"no {ABOUT}")
    about = parse(About, store.read(ABOUT, MAX_POLICY_BYTES), what=ABOUT)
    if about.format != FORMAT:
        raise _no_export(f"format {about.format[:60]!r}")


def _policies(store: ArchivedStore, wanted: str, scratch: Path) -> Path:
    """The verifier's folder, or the file's policy in ``scratch`` once its digest is the one wanted."""
    named = _DIGEST.fullmatch(wanted)
    if named is None:
        folder = Path(wanted)
        if not folder.is_dir():
            raise _misuse("--policy", wanted, "a folder that is there, or sha256:<64 hexadecimal digits>")
        return folder
    for name in store.names:
        if name.startswith(POLICY):
            write_atomic(scratch / _policy_file(name), store.read(name, MAX_POLICY_BYTES))
    if (got := policy_digest(scratch)) != named[1]:
        raise Refused(
            "export.policy",
            f"export: holds another policy than the one to judge by (got sha256:{got}, expected {wanted})",
            fix="ask who exported it for a file with your policy, or judge it by a folder of yours: --policy FOLDER",
        )
    return scratch


def _policy_file(name: str) -> str:
    relative = name.removeprefix(POLICY)
    if not _POLICY_FILE.fullmatch(relative):
        raise _no_export(f"policy file {relative[:80]!r}")
    return relative


def _roots(store: ArchivedStore, wanted: Mapping[str, str], policies: Path) -> "dict[str, TrustedRoot]":
    """The policy's own roots, which its digest is over, and those that the verifier names."""
    from pipeline.signing.trust import load_trusted_root  # noqa: PLC0415 - imports sigstore

    contents = {name: _root_file(name, str(path)) for name, path in root_files(policies).items()}
    for name, value in wanted.items():
        contents[name] = _root_inside(store, name, value) if _DIGEST.fullmatch(value) else _root_file(name, value)
    return {name: load_trusted_root(content, what=f"trust root {name}") for name, content in contents.items()}


def _root_file(name: str, path: str) -> bytes:
    try:
        return read_limited(Path(path), _MAX_ROOT)
    except OSError as error:
        got = f"{name}={path}: {error.strerror or type(error).__name__}"
        raise _misuse("--trust-root", got, "a file that can be read, or sha256:<64 hexadecimal digits>") from error


def _root_inside(store: ArchivedStore, name: str, wanted: str) -> bytes:
    member = f"{TRUST}{name}.json"
    content = store.read(member, _MAX_ROOT) if member in store.names else None
    got = "none" if content is None else f"sha256:{hashlib.sha256(content).hexdigest()}"
    if content is None or got != wanted:
        raise Refused(
            "export.trust-root",
            f"export: holds another trust root {name} than the one to trust (got {got}, expected {wanted})",
            fix=f"give the file of your own: --trust-root {name}=FILE",
        )
    return content


def _no_export(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "export.malformed",
        f"export: not one that this version reads (got {got}, expected {FORMAT})",
        fix="export the release again with `scripts/gatehouse export`",
    )


def _misuse(option: str, got: str, expected: str) -> Misuse:
    return Misuse(
        "verify.offline",
        f"verify --offline: {option} is not usable (got {got[:200]}, expected {expected})",
        fix="a file cannot vouch for itself: give --policy FOLDER or sha256:..., and --trust-root NAME=FILE or "
        "NAME=sha256:... for roots that the policy does not hold",
    )
