"""A person's own signature: logs in through a browser, at the identity provider of the Sigstore instance."""

from collections.abc import Callable
from pathlib import Path

from sigstore.errors import Error
from sigstore.models import ClientTrustConfig
from sigstore.oidc import Issuer

from pipeline.model.errors import CannotEvaluate
from pipeline.settings import Settings
from pipeline.signing.opening import client_trust
from pipeline.signing.signer import Signer, SigstoreSigner
from pipeline.signing.transport import Limits


def log_in(provider: str) -> str:
    """An OIDC token of whoever logs in at ``provider`` (an address); waits for that. The token is a secret."""
    try:
        return str(Issuer(provider).identity_token())
    except (Error, OSError, EOFError) as error:
        raise CannotEvaluate(
            "signing.no-login",
            f"identity: nobody logged in (got {type(error).__name__}, expected a login at {provider})",
            fix="run the command where you have a browser, or where you can type the code that it shows",
        ) from None  # the cause could quote the token


def person_signer(
    settings: Settings, root: Path, *, log_in: Callable[[str], str] = log_in, limits: Limits | None = None
) -> Signer:
    """A Signer for whoever logs in. Name and time stay in the instance's public log: the caller has asked for that.

    Raises Misuse (``signing.instance``) and CannotEvaluate (``signing.*``, ``trust.*``).
    """
    trust = client_trust(settings, root)
    provider = ClientTrustConfig.from_json(trust.config.decode()).signing_config.get_oidc_url()
    return SigstoreSigner(trust.config, trust.trusted_root, lambda: log_in(provider), instance="ambient", limits=limits)
