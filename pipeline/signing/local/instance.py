"""The instance: its state folder, its services, its life."""

import base64
import datetime as dt
import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization as encoding

from pipeline.files import locked, write_atomic
from pipeline.model.errors import CannotEvaluate
from pipeline.signing.local import authority, material, oidc, timestamps
from pipeline.signing.local.entries import Entries
from pipeline.signing.local.keys import Keys, load_or_create
from pipeline.signing.local.rekor import RekorV1, RekorV2
from pipeline.signing.local.server import Answer, LoopbackServer, Routes, json_answer
from pipeline.signing.local.state import prepare_folder

TRUSTED_ROOT = "trusted_root.json"

RekorVersion = Literal[1, 2]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class LocalSigstore:
    """A context manager: open, it answers at ``url``; its state folder outlives it.

    ``folder`` (``<state>/sigstore``) is made with mode 0700. Several processes may have it open at once.
    Raises Misuse (``state.keys-exposed``), CannotEvaluate (``state.unreadable``, ``state.damaged``,
    ``signing.clock``, ``files.*``).
    """

    def __init__(
        self, folder: Path, rekor_version: RekorVersion = 1, *, clock: Callable[[], dt.datetime] = _utc_now
    ) -> None:
        self.rekor_version: RekorVersion = rekor_version
        self._clock = clock
        prepare_folder(folder)
        with locked(folder / "keys.lock"):
            self._keys = load_or_create(folder, clock())
            self._check_clock()
            self._publish(folder / TRUSTED_ROOT)
        self._logs = {1: Entries(folder / "rekor-v1.jsonl"), 2: Entries(folder / "rekor-v2.jsonl")}
        self._server: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._routes())
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for entries in self._logs.values():
            entries.close()

    @property
    def keys(self) -> Keys:
        return self._keys

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the local instance is not open")
        return self._server.url

    def token(self, **claims: Any) -> str:
        """An identity token; by default for the local developer. ``claims`` replace or add (GitHub's, an e-mail)."""
        return oidc.issue(self._keys.oidc, self._clock(), claims)

    def trusted_root(self) -> bytes:
        """The same bytes for as long as the state folder lives."""
        return (json.dumps(material.trusted_root(self._keys), indent=1) + "\n").encode()

    def client_trust_config(self) -> bytes:
        """Trusted root and signing configuration at the current ``url``, as sigstore's clients read it."""
        return json.dumps(material.client_trust_config(self._keys, self.url, self.rekor_version)).encode()

    def _check_clock(self) -> None:
        now = self._clock()
        if now < self._keys.start or now > self._keys.root_certificate.not_valid_after_utc:
            raise CannotEvaluate(
                "signing.clock",
                f"clock: outside the life of the local instance's keys (got {now:%Y-%m-%d %H:%M} UTC, "
                f"expected after {self._keys.start:%Y-%m-%d %H:%M} UTC)",
                fix="set the clock (`timedatectl`); if it is right, remove sigstore/ in the state folder",
            )

    def _publish(self, path: Path) -> None:
        content = self.trusted_root()
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)

    def _routes(self) -> Routes:
        rekor_v1, rekor_v2 = RekorV1(self._keys, self._logs[1]), RekorV2(self._keys, self._logs[2])

        def entry(add: Callable[[dict[str, Any], dt.datetime], dict[str, Any]]) -> Callable[..., Answer]:
            return lambda body, _headers: json_answer(add(json.loads(body), self._clock()), HTTPStatus.CREATED)

        return {
            ("GET", "/.well-known/openid-configuration"): lambda _body, _headers: json_answer(oidc.discovery(self.url)),
            ("GET", "/jwks"): lambda _body, _headers: json_answer(oidc.key_set(self._keys.oidc)),
            ("POST", "/api/v2/signingCert"): self._signing_certificate,
            ("POST", "/api/v1/log/entries"): entry(rekor_v1.add),
            ("POST", "/api/v2/log/entries"): entry(rekor_v2.add),
            ("POST", "/api/v1/timestamp"): self._timestamp,
        }

    def _signing_certificate(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Fulcio's ``CreateSigningCertificate`` with a signing request (sigstore/fulcio, ``fulcio.proto``)."""
        asked = json.loads(body)
        in_body = (asked.get("credentials") or {}).get("oidcIdentityToken")
        claims = oidc.read(self._keys.oidc, in_body or headers.get("Authorization", "").removeprefix("Bearer "))
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        leaf = authority.certify(self._keys, claims, request, self._clock())
        chain = (leaf, self._keys.intermediate_certificate, self._keys.root_certificate)
        certificates = [certificate.public_bytes(encoding.Encoding.PEM).decode() for certificate in chain]
        return json_answer(
            {"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}}, HTTPStatus.CREATED
        )

    def _timestamp(self, body: bytes, _headers: Mapping[str, str]) -> Answer:
        stamped = timestamps.stamp(self._keys, body, self._clock())
        return Answer(stamped, "application/timestamp-reply", HTTPStatus.CREATED)
