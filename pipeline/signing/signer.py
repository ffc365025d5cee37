"""Statements -> bundles, with one certificate for many of them."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import requests
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier
from sigstore import sign as sigstore_sign
from sigstore.dsse import Statement
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from pipeline.model.errors import CannotEvaluate, GatehouseError
from pipeline.model.statement import MAX_STATEMENT_BYTES, parse_statement
from pipeline.signing.local import der
from pipeline.signing.transport import Limits, bind

Instance = Literal["ambient", "local"]

#: A certificate that ends sooner is renewed before signing.
RENEWAL = dt.timedelta(minutes=1)

_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signer(Protocol):
    """Signs in-toto statements as one identity."""

    @property
    def identity(self) -> str:
        """The subject alternative name in the certificate."""
        ...

    @property
    def issuer(self) -> str:
        """Who vouched for the identity."""
        ...

    @property
    def instance(self) -> Instance: ...

    @property
    def trusted_root(self) -> bytes:
        """The trusted root (JSON) that verifies the bundles."""
        ...

    def sign(self, statement: bytes) -> bytes: ...


class SigstoreSigner:
    """A Signer on the Sigstore instance that ``config`` describes.

    ``config`` is a client trust config (JSON), ``token`` gives an OIDC token each time that a certificate is
    needed. Raises CannotEvaluate (``signing.*``).
    """

    def __init__(
        self,
        config: bytes,
        trusted_root: bytes,
        token: Callable[[], str],
        *,
        instance: Instance,
        limits: Limits | None = None,
    ) -> None:
        self._token, self._limits, self._instance, self._root = token, limits or Limits(), instance, trusted_root
        with _clear_errors():
            trust = ClientTrustConfig.from_json(config.decode())
            self._context = SigningContext.from_trust_config(trust)
            self._verifier = Verifier(trusted_root=trust.trusted_root)
        self._signer, self._certificate = self._certified()

    @property
    def identity(self) -> str:
        with _clear_errors():
            names = self._certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            return str(next(iter(names)).value)

    @property
    def issuer(self) -> str:
        with _clear_errors():
            extension = self._certificate.extensions.get_extension_for_oid(_ISSUER).value
            return der.read(extension.public_bytes())[1].decode()

    @property
    def instance(self) -> Instance:
        return self._instance

    @property
    def trusted_root(self) -> bytes:
        return self._root

    def sign(self, statement: bytes) -> bytes:
        """A v0.3 bundle (JSON) over ``statement``, verified here before it is handed out.

        Raises CannotEvaluate (``document.*`` for what is no statement, ``signing.*``).
        """
        _check_statement(statement)
        if self._certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) < RENEWAL:
            self._signer, self._certificate = self._certified()
        self._bind()
        with _clear_errors():
            bundle = Bundle.from_json(self._signer.sign_dsse(Statement(statement)).to_json())
            self._check(bundle, statement)
            return bundle.to_json().encode()

    def _certified(self) -> tuple[sigstore_sign.Signer, x509.Certificate]:
        self._bind()
        token = self._token()
        with _clear_errors():
            signer = sigstore_sign.Signer(IdentityToken(token), self._context)
            return signer, signer._signing_cert()  # noqa: SLF001 - cached; the identity is needed before signing

    def _bind(self) -> None:
        # sigstore-python keeps a session a thread, so this is asked each time.
        for session in _sessions(self._context):
            bind(session, self._limits)

    def _check(self, bundle: Bundle, statement: bytes) -> None:
        """What does not verify here verifies nowhere: say so now, not at the gate."""
        # NOTE: on Rekor v1 sigstore-python passes silently over a timestamp that is missing or does not verify.
        wanted = len(self._context._tsa_clients)  # noqa: SLF001 - as in _sessions
        stamps = bundle.verification_material.timestamp_verification_data
        if wanted != (len(stamps.rfc3161_timestamps) if stamps else 0):
            raise _garbage("no timestamp")
        if wanted != len(self._verifier._verify_timestamp_authority(bundle)):  # noqa: SLF001
            raise VerificationError("a timestamp is not of the trusted authority")
        if bundle.signing_certificate != self._certificate:
            raise _garbage("a bundle with another certificate")
        if self._verifier.verify_dsse(bundle, Identity(identity=self.identity)) != (_PAYLOAD_TYPE, statement):
            raise _garbage("a bundle over something else")


def _sessions(context: SigningContext) -> list[requests.Session]:
    # sigstore-python 4.5.1 has no public way to its sessions; the version is pinned for this.
    rekor, authorities = context._rekor, context._tsa_clients  # noqa: SLF001
    return [context._fulcio.session, *(client._session for client in (rekor, *authorities))]  # type: ignore[attr-defined]  # noqa: SLF001


def _check_statement(statement: bytes) -> None:
    if len(statement) > MAX_STATEMENT_BYTES:
        raise CannotEvaluate(
            "signing.too-large",
            f"statement: too large to sign (got {len(statement)} bytes, expected at most {MAX_STATEMENT_BYTES})",
            fix="make the report that it carries smaller: no registry or verifier takes evidence of that size",
        )
    parse_statement(statement)


def _garbage(what: str) -> CannotEvaluate:
    return CannotEvaluate(
        "signing.garbage",
        f"signing instance: its answer makes no sense (got {what}, expected what Sigstore's services send)",
        fix="see that `signing.instance` in pipeline.toml names a Sigstore instance, and that no proxy answers for it",
    )


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what sigstore-python lets out into ours. Not chained: an answer may repeat the token."""
    try:
        yield
    except GatehouseError:
        raise
    except VerificationError as error:
        raise CannotEvaluate(
            "signing.unverifiable",
            f"signing instance: what it signed does not verify (got {str(error)[:200]!r}, "
            "expected a certificate, log entry and timestamp of the trusted root)",
            fix="refresh the trusted root (`scripts/nox -s trust`), or mend `signing.instance` in pipeline.toml",
        ) from None
    except Exception as error:  # noqa: BLE001 - the errors of sigstore-python have no common base
        raise _garbage(type(error).__name__) from None
