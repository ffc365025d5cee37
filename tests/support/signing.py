"""Bundles signed for real, by any identity, on a local Sigstore instance.

As plain Python::

    with world(folder) as signing:                         # or world(folder, rekor_version=2)
        bundle = signing.sign(statement_bytes)             # by the local developer
        bundle = signing.sign(statement_bytes, **github()) # by a GitHub workflow
        bundle = signing.sign(statement_bytes, **github(workflow=".github/workflows/promote.yml", ref="refs/heads/x"))
        bundle = signing.sign(statement_bytes, email="rita@example.org", iss="https://accounts.example.org")
        signing.signer(**github()).sign(statement_bytes)   # the same through a Signer, as open_signer yields
        bundle = signing.sign_raw(b"anything", payload_type="text/plain")  # what no signer of ours would sign
        signing.trusted_root                               # bytes of the trusted root that verifies them

As fixtures, in a ``conftest.py`` (each is one running instance for the whole session)::

    from tests.support.signing import rekor_v1, rekor_v2  # noqa: F401

A signature costs about 5 ms; each identity gets one certificate.
"""

import base64
import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.dsse import Envelope, _pae
from sigstore_models.intoto import Envelope as InnerEnvelope
from sigstore_models.intoto import Signature

from pipeline.signing.identities import GITHUB_ISSUER
from pipeline.signing.local import LocalSigstore
from pipeline.signing.local.instance import RekorVersion
from pipeline.signing.local.keys import load_or_create
from pipeline.signing.local.state import prepare_folder
from pipeline.signing.signer import SigstoreSigner


def github(
    repository: str = "acme/app",
    workflow: str = ".github/workflows/release.yml",
    ref: str = "refs/heads/main",
    sha: str = "a" * 40,
    **claims: str,
) -> dict[str, str]:
    """The claims of a GitHub Actions token; ``claims`` replace or add (``repository_visibility="private"``)."""
    owner = repository.partition("/")[0]
    return {
        "iss": GITHUB_ISSUER,
        "sub": f"repo:{repository}:ref:{ref}",
        "repository": repository,
        "repository_id": "1001",
        "repository_owner": owner,
        "repository_owner_id": "2002",
        "repository_visibility": "public",
        "workflow": "release",
        "workflow_ref": f"{repository}/{workflow}@{ref}",
        "workflow_sha": sha,
        "job_workflow_ref": f"{repository}/{workflow}@{ref}",
        "job_workflow_sha": sha,
        "event_name": "push",
        "ref": ref,
        "sha": sha,
        "runner_environment": "github-hosted",
        "run_id": "3003",
        "run_attempt": "1",
        **claims,
    }


class World:
    """A running instance and the signers that were asked for so far."""

    def __init__(self, instance: LocalSigstore) -> None:
        self.instance = instance
        self._signers: dict[str, SigstoreSigner] = {}

    @property
    def trusted_root(self) -> bytes:
        return self.instance.trusted_root()

    def sign(self, statement: bytes, **claims: Any) -> bytes:
        """A v0.3 bundle (JSON) over ``statement``, by whom ``claims`` name."""
        return self.signer(**claims).sign(statement)

    def sign_raw(self, payload: bytes, *, payload_type: str = Envelope._TYPE, **claims: Any) -> bytes:
        """A bundle over any bytes, valid in everything but that: what an attacker with an identity could make."""
        signer = self.signer(**claims)
        inner, rekor = signer._signer, signer._context._rekor
        signature = inner._private_key.sign(_pae(payload_type, payload), ec.ECDSA(hashes.SHA256()))
        envelope = Envelope(
            InnerEnvelope(
                payload=base64.b64encode(payload),
                payload_type=payload_type,
                signatures=[Signature(sig=base64.b64encode(signature))],
            )
        )
        certificate = inner._signing_cert()
        entry = rekor._build_dsse_request(envelope=envelope, certificate=certificate)
        return inner._finalize_sign(certificate, envelope, entry).to_json().encode()

    def signer(self, **claims: Any) -> SigstoreSigner:
        """The signer whom ``claims`` name, as the pipeline's own code takes one."""
        who = json.dumps(claims, sort_keys=True)
        if who not in self._signers:
            self._signers[who] = SigstoreSigner(
                self.instance.client_trust_config(),
                self.trusted_root,
                lambda: self.instance.token(**claims),
                instance="local",
            )
        return self._signers[who]


@contextlib.contextmanager
def world(folder: Path, rekor_version: RekorVersion = 1) -> Iterator[World]:
    """A running instance with its state in ``folder``, which is made (mode 0700) or used again.

    Its keys are an hour old, so that a moment taken when the tests were collected lies within their life.
    """
    prepare_folder(folder)
    load_or_create(folder, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    with LocalSigstore(folder, rekor_version) as instance:
        yield World(instance)


@pytest.fixture(scope="session")
def rekor_v1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sigstore-v1") / "sigstore", 1) as running:
        yield running


@pytest.fixture(scope="session")
def rekor_v2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sigstore-v2") / "sigstore", 2) as running:
        yield running
