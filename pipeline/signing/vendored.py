"""``policies/trust``: the public instance's trust, in the repository with its date and digests."""

import datetime as dt
import json
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, ValidationError
from sigstore.models import ClientTrustConfig

from pipeline.model.context import Sha256Hex
from pipeline.model.documents import Document, parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.signing.trust import MAX_BYTES, load_trusted_root, unreadable

INDEX = "trust.toml"
TRUSTED_ROOT = "sigstore-public.json"
SIGNING_CONFIG = "sigstore-public.signing-config.json"


class _Public(Document):
    taken: dt.date
    source: Annotated[str, StringConstraints(max_length=200)]
    trusted_root: Sha256Hex
    signing_config: Sha256Hex


class _Index(Document):
    sigstore_public: _Public


@dataclass(frozen=True, kw_only=True)
class ClientTrust:
    """What a signer needs: ``config`` is a client trust config (JSON), ``trusted_root`` the root in it."""

    config: bytes
    trusted_root: bytes


@dataclass(frozen=True, kw_only=True)
class Vendored:
    trusted_root: bytes
    signing_config: bytes
    taken: dt.date
    source: str


def read_vendored(folder: Path) -> Vendored:
    """The vendored files, held against the digests in ``trust.toml``; needs no network.

    Raises CannotEvaluate (``trust.unreadable``, ``trust.altered``).
    """
    path = folder / INDEX
    try:
        public = _Index.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).sigstore_public
        trusted_root = (folder / TRUSTED_ROOT).read_bytes()
        signing_config = (folder / SIGNING_CONFIG).read_bytes()
    except OSError as error:
        raise unreadable(str(error.filename or path), error.strerror or type(error).__name__) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise unreadable(str(path), f"{type(error).__name__}: {str(error).splitlines()[0]:.200}") from error
    _check(folder / TRUSTED_ROOT, trusted_root, public.trusted_root)
    _check(folder / SIGNING_CONFIG, signing_config, public.signing_config)
    return Vendored(trusted_root=trusted_root, signing_config=signing_config, taken=public.taken, source=public.source)


def index(vendored: Vendored) -> bytes:
    """``trust.toml`` for ``vendored``."""
    return (
        "# The public Sigstore instance's trust: written by `scripts/nox -s trust`, checked whenever it is read.\n"
        "[sigstore_public]\n"
        f"taken = {vendored.taken.isoformat()}\n"
        f'source = "{vendored.source}"\n'
        f'trusted_root = "{sha256(vendored.trusted_root).hexdigest()}"\n'
        f'signing_config = "{sha256(vendored.signing_config).hexdigest()}"\n'
    ).encode()


def load_public(folder: Path, now: dt.datetime | None = None) -> ClientTrust:
    """The public instance, to sign with; raises CannotEvaluate (``trust.*``)."""
    vendored = read_vendored(folder)
    config = {
        "mediaType": ClientTrustConfig.ClientTrustConfigType.CONFIG_0_1.value,
        "trustedRoot": parse_json(vendored.trusted_root, what=TRUSTED_ROOT, limit=MAX_BYTES),
        "signingConfig": parse_json(vendored.signing_config, what=SIGNING_CONFIG, limit=MAX_BYTES),
    }
    return load_client_trust(json.dumps(config).encode(), what=str(folder), now=now)


def load_client_trust(content: bytes, *, what: str, now: dt.datetime | None = None) -> ClientTrust:
    """Read a client trust config strictly; raises CannotEvaluate (``trust.unreadable``, ``trust.expired``)."""
    parsed = parse_json(content, what=what, limit=MAX_BYTES)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("trustedRoot"), dict):
        raise unreadable(what, "no trustedRoot in it")
    trusted_root = json.dumps(parsed["trustedRoot"], indent=1).encode()
    load_trusted_root(trusted_root, what=what, now=now or dt.datetime.now(dt.UTC))
    try:
        config = ClientTrustConfig.from_json(content.decode())
        config.signing_config.get_tlogs()
    except Exception as error:
        raise unreadable(what, f"{type(error).__name__}: {str(error).splitlines()[0]:.200}") from error
    return ClientTrust(config=content, trusted_root=trusted_root)


def _check(path: Path, content: bytes, expected: str) -> None:
    if (got := sha256(content).hexdigest()) != expected:
        raise CannotEvaluate(
            "trust.altered",
            f"{path}: not what {INDEX} names (got sha256 {got}, expected {expected})",
            fix="restore both (`git checkout policies/trust`), or fetch them again (`scripts/nox -s trust`)",
        )
