"""Fetching the public instance's trust anew, through Sigstore's TUF repository."""

import datetime as dt
import os
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from sigstore import _store
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient.updater import Updater

from pipeline.files import write_atomic
from pipeline.model.errors import CannotEvaluate
from pipeline.signing.vendored import INDEX, SIGNING_CONFIG, TRUSTED_ROOT, Vendored, index, load_public, read_vendored

PUBLIC_TUF = "https://tuf-repo-cdn.sigstore.dev"

#: Name in the TUF repository to name in ``policies/trust``.
_TARGETS = {"trusted_root.json": TRUSTED_ROOT, "signing_config.v0.2.json": SIGNING_CONFIG}


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """``changed`` names the files that were replaced; empty: all was current."""

    vendored: Vendored
    changed: tuple[str, ...]


def refresh_public(folder: Path, *, today: dt.date, url: str = PUBLIC_TUF, bootstrap: bytes | None = None) -> Refreshed:
    """Replace the files of ``folder`` by those of the TUF repository at ``url`` where they differ.

    ``bootstrap`` is the first root metadata, by default the one that sigstore-python embeds for ``url``.
    Every file is fetched, verified by TUF and read before the first is written. Raises CannotEvaluate
    (``trust.unreachable``, ``trust.refused``, ``trust.unreadable``, ``trust.expired``, ``files.*``).
    """
    fetched = _fetch(url, bootstrap if bootstrap is not None else _embedded_root(url))
    new = Vendored(
        trusted_root=fetched[TRUSTED_ROOT], signing_config=fetched[SIGNING_CONFIG], taken=today, source=f"TUF, {url}"
    )
    try:
        old = read_vendored(folder)
    except CannotEvaluate:
        old = None
    if old and (old.trusted_root, old.signing_config) == (new.trusted_root, new.signing_config):
        return Refreshed(vendored=old, changed=())
    _replace(folder, {**fetched, INDEX: index(new)})
    return Refreshed(vendored=new, changed=(*sorted(fetched), INDEX))


def _embedded_root(url: str) -> bytes:
    return (resources.files(_store) / quote(url, safe="") / "root.json").read_bytes()


def _fetch(url: str, bootstrap: bytes) -> dict[str, bytes]:
    """Vendored name to content. TUF verifies signatures, versions, expiry and digests (specification, section 5)."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-trust-") as temporary:
        metadata, targets = Path(temporary, "metadata"), Path(temporary, "targets")
        metadata.mkdir()
        targets.mkdir()
        try:
            updater = Updater(str(metadata), url, str(targets), f"{url}/targets/", bootstrap=bootstrap)
            updater.refresh()
            return {ours: _target(updater, theirs) for theirs, ours in _TARGETS.items()}
        except DownloadError as error:
            raise CannotEvaluate(
                "trust.unreachable",
                f"{url}: the trust repository was not reached (got {type(error).__name__}, expected its metadata)",
                fix="check network and proxy and run `scripts/nox -s trust` again; the vendored files stay as they are",
            ) from error
        except (RepositoryError, ValueError) as error:
            raise CannotEvaluate(
                "trust.refused",
                f"{url}: the trust repository does not verify (got {str(error)[:200]!r}, "
                "expected signed, fresh metadata)",
                fix="check the clock; if it is right, believe nothing from there and tell Sigstore's maintainers",
            ) from error


def _target(updater: Updater, name: str) -> bytes:
    info = updater.get_targetinfo(name)
    if info is None:
        raise ValueError(f"no target {name}")
    return Path(updater.download_target(info)).read_bytes()


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Write all of ``files``, read them back as trust, and only then let them take their names."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=_made(folder)) as temporary:
        for name, content in files.items():
            write_atomic(Path(temporary, name), content)
        load_public(Path(temporary))
        for name in files:
            os.replace(Path(temporary, name), folder / name)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
