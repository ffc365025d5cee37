"""A finished run on disk, as the runner, the steps and the gate leave it; each test changes what it is about."""

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier

from pipeline.model.digests import Digest
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.statement import make_statement
from pipeline.report.reading import read_run
from pipeline.report.run import Run
from tests.support.evidence import SETTINGS

IMAGE = Digest.of(b"the image")
STARTED = 1_790_000_000
TIME = "2026-09-21T14:13:40Z"
ENVIRONMENTS = (b"development", b"staging", b"production")
SIGNER = "pipeline@gatehouse.localhost"
ISSUER = "http://127.0.0.1:45678/oidc"

CONTEXT: dict[str, Any] = {
    "source": {
        "uri": "git+https://git.example/team/noticeboard",
        "commit": "3f1c9b7e5a2d4c6b8a0e1f2d3c4b5a6978877665",
        "tree": "9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b",
        "dirty": False,
        "committed": STARTED - 3600,
    },
    "locks": {"requirements.txt": "1" * 64},
    "tool": {"name": "gatehouse", "version": "0.1.0"},
    "python": "3.11.7",
}

SBOM = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"properties": []},
    "dependencies": [],
    "components": [
        {
            "type": "library",
            "name": "tornado",
            "version": "6.5.2",
            "purl": "pkg:pypi/tornado@6.5.2",
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        },
        {
            "type": "library",
            "name": "libc6",
            "version": "2.41-12",
            "purl": "pkg:deb/debian/libc6@2.41-12?arch=amd64",
            "licenses": [{"license": {"id": "LGPL-2.1-or-later"}}, {"license": {"id": "GPL-2.0-only"}}],
        },
        {
            "type": "library",
            "name": "zlib1g",
            "version": "1:1.3.dfsg+really1.3.1-1+b1",
            "purl": "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64",
            "licenses": [{"license": {"id": "Zlib"}}],
        },
    ],
}

HARDENING = {
    "gatehouse_context": CONTEXT,
    "attributes": [{"attribute": name} for name in ("NON_ROOT_USER", "NO_SHELL", "NO_SETUID_FILES", "NO_SECRETS")],
    "producer": {"name": "gatehouse"},
}

VULNERABILITIES = {
    "gatehouse_context": CONTEXT,
    "scanner": {
        "uri": "pkg:pypi/pip-audit@2.10.1",
        "version": "2.10.1",
        "db": {"uri": "osv", "lastUpdate": TIME},
        "result": [
            {
                "id": "PYSEC-2026-77",
                "severity": [{"method": "gatehouse", "score": "high"}],
                "annotations": [
                    {
                        "package": "tornado",
                        "version": "6.5.2",
                        "purl": "pkg:pypi/tornado@6.5.2",
                        "severity": "high",
                        "published": "2026-09-01T00:00:00Z",
                        "aliases": ["CVE-2026-11111"],
                        "fixed_in": ["6.5.3"],
                        "direct": True,
                    }
                ],
            }
        ],
    },
    "metadata": {"scanStartedOn": TIME, "scanFinishedOn": TIME},
    "gatehouse_coverage": {
        "locked": ["pkg:pypi/tornado@6.5.2", "pkg:pypi/pyjwt@2.10.1"],
        "audited": ["pkg:pypi/tornado@6.5.2"],
        "unaudited": {"pkg:pypi/pyjwt@2.10.1": "not the latest release, and the index has no per-release data"},
        "canary": True,
        "feeds": [{"name": "index project JSON", "answered": True, "age_seconds": 0, "note": ""}],
    },
}

REFUSALS = [
    {
        "code": "signers.untrusted",
        "message": "provenance: signer is not trusted (got pipeline@gatehouse.localhost from the local instance, "
        "expected the build workflow on main)",
        "fix": "let the release workflow attest: a local instance is trusted for development alone",
        "kind": "provenance",
    },
    {
        "code": "evidence.missing",
        "message": "smoke: required evidence is missing (got skipped: no container engine answered, expected present)",
        "fix": "run `scripts/pipeline smoke` where an engine answers",
        "kind": "smoke",
    },
]


def verdict(environment: str, **changes: Any) -> dict[str, Any]:
    passed = environment == "development"
    return {
        "environment": environment,
        "result": "PASSED" if passed else "FAILED",
        "image": str(IMAGE),
        "policy": "2" * 64,
        "refusals": [] if passed else REFUSALS,
        "warnings": [],
        "levels": ["SLSA_BUILD_LEVEL_1"] if passed else [],
        "time": TIME,
        **changes,
    }


def outcome(status: str, finding: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "finding": finding, **more}


OUTCOMES: dict[str, dict[str, Any]] = {
    "lock": outcome("passed", "5 locks are current, 118 distributions, each with hashes"),
    "lint": outcome("passed", "ruff and hadolint: nothing found in 143 files"),
    "types": outcome("passed", "mypy strict: nothing found in 143 files"),
    "tests": outcome("passed", "41 tests, 100.0 % of branches covered"),
    "sast": outcome("passed", "Bandit: nothing found in 1,204 lines, nothing accepted"),
    "workflows": outcome("passed", "3 workflows: nothing found"),
    "audit": outcome(
        "warned",
        "1 of 2 packages asked about, 1 known vulnerability",
        evidence=[{"kind": "vulnerabilities", "predicate": VULNERABILITIES}],
        problems=[
            {
                "code": "vulnerabilities.unaudited",
                "message": "pyjwt 2.10.1: not audited (got no per-release data, expected an advisory feed)",
                "fix": "use an index with advisory data, or update pyjwt to its latest release",
            }
        ],
    ),
    "sbom": outcome(
        "passed",
        "3 components, each with licence and hash",
        evidence=[{"kind": "sbom", "predicate": SBOM, "platform": "linux/amd64"}],
        artifacts=[{"path": "dist/sbom.linux-amd64.cdx.json", "sha256": "3" * 64}],
    ),
    "image": outcome(
        "passed",
        f"{IMAGE.short}, 30.2 MB, 8 hardening attributes",
        evidence=[{"kind": "hardening", "predicate": HARDENING, "platform": "linux/amd64"}],
        artifacts=[{"path": "dist/image.tar", "sha256": "4" * 64}],
        data={
            "digest": str(IMAGE),
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "size": 720,
            "measures": {"linux/amd64": {"compressed_bytes": 18_612_382, "size_bytes": 51_125_787}},
            "platforms": {"linux/amd64": str(IMAGE)},
            "archive": "dist/image.tar",
        },
    ),
    "smoke": outcome("skipped", "no container engine answered; ran unhardened: ready in 0.4 s, stopped cleanly"),
    "attest": outcome("passed", "10 statements signed and attached, list 1"),
    "verify": outcome("warned", "development PASSED, staging FAILED, production FAILED"),
    "promote": outcome("passed", "development runs 0.1.0, entry 1 of its ledger"),
}
RESULTS = {name: item["status"] for name, item in OUTCOMES.items()} | {"lint": "reused"}


def certificate(identity: str = SIGNER, issuer: str = ISSUER) -> bytes:
    """A self-signed leaf with the two extensions that the table reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime(2026, 9, 21, tzinfo=dt.UTC)
    encoded = issuer.encode()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(minutes=10))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
        .add_extension(
            x509.UnrecognizedExtension(
                ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), b"\x0c" + bytes([len(encoded)]) + encoded
            ),
            critical=False,
        )
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def bundle(kind: Kind, predicate: dict[str, Any], *, certificate_der: bytes) -> bytes:
    statement = make_statement([("noticeboard", IMAGE)], SHAPES[kind].predicate_type, predicate)
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": base64.b64encode(certificate_der).decode()}},
            "dsseEnvelope": {
                "payload": base64.b64encode(statement).decode(),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": "AA=="}],
            },
        }
    ).encode()


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def write_run(root: Path) -> None:
    """The whole run; a test then overwrites or removes what it is about."""
    write(root / ".gatehouse/run.json", run_list(RESULTS))
    for name, item in OUTCOMES.items():
        record = {"step": name, "context": CONTEXT, "seconds": 1.0, "started": STARTED + 1, "outcome": item}
        write(root / f".gatehouse/steps/{name}.json", record)
        for artifact in item.get("artifacts", []):
            write(root / artifact["path"], b"content")
    write(root / ".gatehouse/steps/reproduce.json", reproduction(difference()))
    der = certificate()
    sbom = bundle(Kind.SBOM, SBOM, certificate_der=der)
    write(root / "dist/bundles/sbom.json", sbom)
    tests = {"result": "PASSED", "configuration": [{"name": "pytest"}]}
    write(root / "dist/bundles/tests.json", bundle(Kind.TESTS, tests, certificate_der=der))
    seen = [{"digest": str(Digest.of(sbom)), "kind": "sbom", "signer": SIGNER, "time": TIME, "platform": None}]
    write(root / "policies/environments.toml", b"".join(b'[[environment]]\nname = "%s"\n' % e for e in ENVIRONMENTS))
    for environment in ENVIRONMENTS:
        write(root / f"dist/verdicts/{environment.decode()}.json", verdict(environment.decode(), evidence=seen))


def run_list(results: Mapping[str, str]) -> dict[str, Any]:
    """Session name to result, as the runner writes it."""
    sessions = [
        {
            "run": "18a-1",
            "name": name,
            "result": result,
            "seconds": 0.4 + 1.3 * place,
            "exit_code": 0,
            "why": "not one of its 143 input files changed" if result == "reused" else "",
        }
        for place, (name, result) in enumerate(results.items())
    ]
    return {"run": "18a-1", "started": STARTED, "seconds": 41.2, "sessions": sessions}


def reproduction(*differences: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """What the reproduce session leaves, which is none of the main job's."""
    data = {
        "digest": str(IMAGE),
        "first": "composer",
        "second": "engine docker 28.1",
        "compared": "files",
        "same_digest": False,
        "paths": 2028,
        "shared": ["lock", "wheels", "base", "machine"],
        "count": len(differences),
        "differences": list(differences),
        **changes,
    }
    item = outcome("failed" if differences else "passed", "built again", data=data)
    return {"step": "reproduce", "context": CONTEXT, "seconds": 9.0, "started": STARTED + 99, "outcome": item}


def difference(place: str = "linux/amd64 /app/main.py", what: str = "mode") -> dict[str, str]:
    return {"place": place, "what": what, "got": "0600", "expected": "0644"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_run(tmp_path)
    return tmp_path


@pytest.fixture
def reread(root: Path) -> Callable[[], Run]:
    """Reads the run again, after the test has changed its files."""
    return lambda: read_run(root, SETTINGS)


@pytest.fixture
def run(reread: Callable[[], Run]) -> Run:
    return reread()
