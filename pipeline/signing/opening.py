"""Which instance signs: the ambient identity's where the machine offers one, else the local one."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.model.errors import Misuse
from pipeline.settings import Settings
from pipeline.signing.identities import GOOGLE_ISSUER
from pipeline.signing.identity import ambient_token, check_publication, read_claims
from pipeline.signing.local import LocalSigstore
from pipeline.signing.local.instance import RekorVersion
from pipeline.signing.signer import Signer, SigstoreSigner
from pipeline.signing.transport import Limits
from pipeline.signing.vendored import ClientTrust, load_client_trust, load_public

PUBLIC = "public"


def sigstore_folder(state: Path) -> Path:
    """Where the local instance keeps its keys, log and ``trusted_root.json``."""
    return state / "sigstore"


@contextlib.contextmanager
def open_signer(
    settings: Settings,
    state: Path,
    *,
    say: Callable[[str], None],
    root: Path | None = None,
    detect: Callable[[], str | None] = ambient_token,
    rekor_version: RekorVersion = 1,
    limits: Limits | None = None,
) -> Iterator[Signer]:
    """A Signer for the whole job. ``root`` (by default the folder around ``state``) is where paths start.

    Raises Misuse (``signing.private-identity``, ``signing.instance``, ``state.keys-exposed``),
    CannotEvaluate (``signing.*``, ``trust.*``, ``state.*``).
    """
    found = detect()
    token = _usable(found, settings, say) if found else None
    if token is None:
        with LocalSigstore(sigstore_folder(state), rekor_version) as instance:
            say("signing with the local instance, which only development trusts")
            yield SigstoreSigner(
                instance.client_trust_config(), instance.trusted_root(), instance.token, instance="local", limits=limits
            )
        return
    trust = client_trust(settings, root or state.parent)
    yield SigstoreSigner(trust.config, trust.trusted_root, _renewed(token, detect), instance="ambient", limits=limits)


def _usable(token: str, settings: Settings, say: Callable[[str], None]) -> str | None:
    """``token`` where it may be shown to the instance; None where it is the machine's, not a repository's."""
    claims = read_claims(token, dt.datetime.now(dt.UTC))
    if settings.signing.instance == PUBLIC:
        if claims.issuer == GOOGLE_ISSUER and not settings.signing.publish_identity:
            say("this machine has a Google identity: not used, since `signing.publish_identity` is not set")
            return None
        check_publication(claims, publish_identity=settings.signing.publish_identity)
    say(f"signing through the {settings.signing.instance} instance with a token of {claims.issuer}")
    return token


def _renewed(token: str, detect: Callable[[], str | None]) -> Callable[[], str]:
    """Gives ``token``, and a new one each time after: a long job outlives its token and its certificate."""
    first = [token]

    def next_token() -> str:
        found = first.pop() if first else detect() or ""
        read_claims(found, dt.datetime.now(dt.UTC))
        return found

    return next_token


def client_trust(settings: Settings, root: Path) -> ClientTrust:
    """The instance that the settings name; raises Misuse (``signing.instance``), CannotEvaluate (``trust.*``)."""
    if settings.signing.instance == PUBLIC:
        return load_public(root / "policies" / "trust")
    path = root / settings.signing.instance
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misuse(
            "signing.instance",
            f"pipeline.toml: signing.instance is not readable (got {error.strerror} for "
            f"{settings.signing.instance}, expected a client trust config)",
            fix='give the path of the instance\'s client trust config below the repository, or "public"',
        ) from error
    return load_client_trust(content, what=settings.signing.instance)
