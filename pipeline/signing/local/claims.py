"""Claims of an identity token -> what a Fulcio certificate says (sigstore/fulcio, ``docs/oid-info.md``)."""

from collections.abc import Mapping
from typing import Any

from cryptography import x509

from pipeline.signing.identities import GITHUB
from pipeline.signing.local.der import utf8

ARC = "1.3.6.1.4.1.57264.1"
ISSUER_V1, ISSUER_V2 = 1, 8
RUN_INVOCATION = 21

#: GitHub's claims: the number below ARC of the first edition (raw bytes), of the second (UTF8String), and a prefix.
_GITHUB_CLAIMS = (
    ("event_name", 2, 20, ""),
    ("sha", 3, 13, ""),
    ("workflow", 4, None, ""),
    ("repository", 5, 12, GITHUB),
    ("ref", 6, 14, ""),
    ("job_workflow_ref", None, 9, GITHUB),
    ("job_workflow_sha", None, 10, ""),
    ("runner_environment", None, 11, ""),
    ("repository_id", None, 15, ""),
    ("repository_owner", None, 16, GITHUB),
    ("repository_owner_id", None, 17, ""),
    ("workflow_ref", None, 18, GITHUB),
    ("workflow_sha", None, 19, ""),
    ("repository_visibility", None, 22, ""),
)


def is_github(claims: Mapping[str, Any]) -> bool:
    return "job_workflow_ref" in claims


def alternative_name(claims: Mapping[str, Any]) -> x509.GeneralName:
    """Who signs: the called workflow, an e-mail address, or the subject."""
    if is_github(claims):
        return x509.UniformResourceIdentifier(GITHUB + str(claims["job_workflow_ref"]))
    if "email" in claims:
        return x509.RFC822Name(str(claims["email"]))
    return x509.UniformResourceIdentifier(str(claims["sub"]))


def extensions(claims: Mapping[str, Any]) -> list[tuple[int, bytes]]:
    """(number below ARC, value) pairs. Numbers up to 7 hold raw text, later ones DER."""
    issuer = str(claims["iss"])
    found = [(ISSUER_V1, issuer.encode()), (ISSUER_V2, utf8(issuer))]
    if not is_github(claims):
        return found
    for claim, first, second, prefix in _GITHUB_CLAIMS:
        if claim not in claims:
            continue
        value = str(claims[claim])
        if first:
            found.append((first, value.encode()))
        if second:
            found.append((second, utf8(prefix + value)))
    if {"repository", "run_id", "run_attempt"} <= claims.keys():
        run = f"{GITHUB}{claims['repository']}/actions/runs/{claims['run_id']}/attempts/{claims['run_attempt']}"
        found.append((RUN_INVOCATION, utf8(run)))
    return found
