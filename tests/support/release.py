"""A known-good release as evidence: every kind that a policy may ask for, to be changed one field at a time.

predicates = release.predicates()                      # {name: predicate}, name is kind or kind@platform
predicates["tests"]["result"] = "FAILED"
evidence = release.pieces(predicates)                  # verified pieces, as the gate's judge takes them, unsigned
statements = release.statements(predicates, image)     # bytes to sign for real
"""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.gate.evidence import Evidence, ImageFacts, read_piece
from pipeline.gate.identity import Identity, Verified
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, SHAPES, Kind
from pipeline.model.statement import make_statement, parse_statement
from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_KNOWN_AGE = {"wheels": 1, "age_unknown": 0, "youngest_upload": "2026-10-01T00:00:00Z"}
SIGNED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
PLATFORM = "linux/amd64"
IMAGE = ImageFacts(digest=Digest("1" * 64), platforms={PLATFORM: Digest("1" * 64)})
LOCAL = Identity(issuer=LOCAL_ISSUER, san=LOCAL_IDENTITY)
COMMIT = "a" * 40
ATTEST = ".github/workflows/attest.yml"
WORKFLOWS = {"reproduction": ".github/workflows/reproduce.yml"}


def context(**source: Any) -> dict[str, Any]:
    return {
        "source": {
            "uri": "git+https://github.com/acme/app",
            "commit": COMMIT,
            "tree": "b" * 40,
            "dirty": False,
            "committed": 1_790_000_000,
            **source,
        },
        "locks": {"requirements.txt": "c" * 64},
        "tool": {"name": "tool", "version": "1.0"},
        "python": "3.11.7",
    }


def _result(name: str, **measures: Any) -> dict[str, Any]:
    return {
        "result": "PASSED",
        "configuration": [{"name": name, "digest": {"sha256": "d" * 64}}],
        "passedTests": ["one"],
        "warnedTests": [],
        "failedTests": [],
        "gatehouse_measures": measures,
        "gatehouse_context": context(),
    }


def finding(severity: str = "high", published: str | None = "2026-11-19T00:00:00Z", **changes: Any) -> dict[str, Any]:
    """One entry of ``scanner.result``."""
    annotations = {
        "package": "tornado",
        "version": "6.0",
        "purl": "pkg:pypi/tornado@6.0",
        "severity": severity,
        "aliases": [],
        "fixed_in": ["6.1"],
        "direct": True,
        "withdrawn": False,
        **({"published": published} if published else {}),
        **changes,
    }
    return {
        "id": "GHSA-0000",
        "severity": [{"method": "gatehouse", "score": severity}],
        "annotations": [annotations],
    }


def component(name: str = "tornado", version: str = "6.5", **changes: Any) -> dict[str, Any]:
    """One component of the SBOM."""
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        **changes,
    }


def predicates() -> dict[str, dict[str, Any]]:
    """Fresh copies: a test may change what it gets."""
    good: dict[str, dict[str, Any]] = {
        "signature": {},
        "provenance": {
            "buildDefinition": {
                "buildType": "https://gatehouse.dev/build-types/image/v1",
                "externalParameters": {"builder": "composer", "platforms": [PLATFORM]},
                "internalParameters": {},
                "resolvedDependencies": [{"uri": "pkg:pypi/tornado@6.5", "digest": {"sha256": "e" * 64}}],
            },
            "runDetails": {"builder": {"id": "https://gatehouse.dev/builders/composer/github"}},
            "gatehouse_context": context(),
        },
        "tests": _result("pytest", tests=12, failures=0, errors=0, skipped=0, coverage_percent=97.5),
        "sast": _result("bandit", files=10, findings_high=0, findings_medium=0, findings_low=0),
        "workflows": _result("workflows"),
        "dependencies": _result("dependencies", **_KNOWN_AGE),
        "vulnerabilities": {
            "scanner": {
                "uri": "pkg:pypi/pip-audit",
                "version": "2.10.1",
                "db": {"uri": "https://osv.dev"},
                "result": [],
            },
            "metadata": {"scanStartedOn": "2026-11-20T09:59:00Z", "scanFinishedOn": "2026-11-20T10:00:00Z"},
            "gatehouse_coverage": {
                "locked": ["pkg:pypi/tornado@6.5"],
                "audited": ["pkg:pypi/tornado@6.5"],
                "unaudited": {},
                "canary": True,
                "feeds": [{"name": "osv", "answered": True, "age_seconds": 0, "note": ""}],
            },
            "gatehouse_context": context(),
        },
        f"sbom@{PLATFORM}": {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "components": [component()],
            "metadata": {"properties": [{"name": "gatehouse:context", "value": canonical_json(context()).decode()}]},
            "dependencies": [],
        },
        f"hardening@{PLATFORM}": {
            "attributes": [
                {"attribute": name}
                for name in (
                    "ELF_CLOSURE",
                    "NON_ROOT_USER",
                    "NO_DANGLING_LINKS",
                    "NO_PACKAGE_MANAGER",
                    "NO_SECRETS",
                    "NO_SETUID_FILES",
                    "NO_SHELL",
                    "NO_WORLD_WRITABLE_FILES",
                    "PACKAGES_UNALTERED",
                )
            ],
            "producer": {"uri": "https://gatehouse.dev/hardening"},
            "gatehouse_context": context(),
        },
        f"smoke@{PLATFORM}": _result("smoke", tests=1, failures=0, requests=3, hardened=True, engine="docker"),
        "reproduction": _result("reproduction"),
    }
    return copy.deepcopy(good)


def scanned_at(found: Mapping[str, dict[str, Any]], time: datetime) -> dict[str, dict[str, Any]]:
    """The same with an audit of ``time``: what is signed for real is signed today."""
    stamp = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    scan = {"metadata": {"scanStartedOn": stamp, "scanFinishedOn": stamp}}
    return {name: one | scan if name == "vulnerabilities" else one for name, one in found.items()}


def kind_of(name: str) -> Kind:
    return Kind(name.partition("@")[0])


def statement(name: str, predicate: dict[str, Any], image: ImageFacts = IMAGE) -> bytes:
    subjects = [("noticeboard", image.digest)]
    manifest = image.platforms.get(name.partition("@")[2])
    if manifest is not None and manifest != image.digest:
        subjects.append((f"noticeboard {PLATFORM}", manifest))
    return make_statement(subjects, SHAPES[kind_of(name)].predicate_type, predicate)


def piece(
    name: str,
    predicate: dict[str, Any],
    *,
    image: ImageFacts = IMAGE,
    identity: Identity = LOCAL,
    root: str = "local",
    at: datetime = SIGNED,
    about: ImageFacts | None = None,
) -> Evidence:
    """One piece as if it had been signed and verified; ``about`` is the image that the statement speaks of."""
    content = statement(name, predicate, about or image)
    verified = Verified(
        statement=parse_statement(content),
        identity=identity,
        verified_at=at,
        root=root,
        bundle_digest=hashlib.sha256(content + f"{identity} {at}".encode()).hexdigest(),
    )
    return read_piece(verified, image)


def evidence_list(
    pieces: Mapping[str, str],
    *,
    sequence: int = 1,
    previous: str | None = None,
    absent: Mapping[str, str] | None = None,
    source: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The predicate of a list; ``pieces`` maps names to bundle digests, ``absent`` names to ``skipped`` or so.

    ``source`` is its context, by default that of the good release.
    """

    def entry(name: str, digest: str | None, status: str) -> dict[str, Any]:
        annotations = {"kind": str(kind_of(name)), "status": status}
        platform = name.partition("@")[2]
        return {
            "name": name,
            "annotations": {**annotations, **({"platform": platform} if platform else {})},
            **({"digest": {"sha256": digest}, "mediaType": BUNDLE_MEDIA_TYPE} if digest else {}),
        }

    return {
        "attester": {"id": LOCAL_IDENTITY},
        "references": [
            *(entry(name, digest, "present") for name, digest in pieces.items()),
            *(entry(name, None, status) for name, status in (absent or {}).items()),
        ],
        "gatehouse_sequence": sequence,
        **({"gatehouse_previous": previous} if previous else {}),
        "gatehouse_issued": "2026-11-20T10:00:00Z",
        "gatehouse_context": source or context(),
    }


def pieces(
    found: Mapping[str, dict[str, Any]] | None = None, *, listed: bool = True, **signed: Any
) -> dict[str, Evidence]:
    """Verified evidence by name, with the list of it; ``signed`` goes to every ``piece``."""
    found = found or predicates()
    made = {name: piece(name, predicate, **signed) for name, predicate in found.items()}
    if listed:
        made["evidence-list"] = piece("evidence-list", _list_of(found, made), **signed)
    return made


def _list_of(found: Mapping[str, dict[str, Any]], made: Mapping[str, Evidence]) -> dict[str, Any]:
    digests = {name: one.digest for name, one in made.items()}
    return evidence_list(digests, source=found["provenance"]["gatehouse_context"])


def hosted(found: Mapping[str, dict[str, Any]] | None = None, **changes: str) -> dict[str, Evidence]:
    """As ``pieces``, signed by the workflows of acme/app; ``changes`` go to each of their identities."""
    found = found or predicates()
    made = {
        name: piece(name, predicate, root="public", identity=github(WORKFLOWS.get(name, ATTEST), **changes))
        for name, predicate in found.items()
    }
    listed = _list_of(found, made)
    return made | {"evidence-list": piece("evidence-list", listed, root="public", identity=github(**changes))}


def github(path: str = ATTEST, /, **changes: str) -> Identity:
    """The identity of a workflow of acme/app, as its certificate states it."""
    uri = f"https://github.com/acme/app/{path}@refs/heads/main"
    identity = Identity(
        issuer="https://token.actions.githubusercontent.com",
        san=uri,
        workflow=uri,
        workflow_digest="f" * 40,
        runner="github-hosted",
        repository="https://github.com/acme/app",
        commit=COMMIT,
        ref="refs/heads/main",
        trigger="push",
    )
    return replace(identity, **changes)
