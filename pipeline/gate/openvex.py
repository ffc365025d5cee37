"""The policy's exceptions on vulnerabilities as OpenVEX 0.2.0, for whoever reads scanners' findings about an image.

A statement says that the image is not affected, where the exception has a justification, else that it is and what its
owner does about it. It is an export: the gate reads the policy and never this.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipeline.gate.exceptions import PolicyException, of_environment
from pipeline.gate.judgement import rfc3339
from pipeline.gate.verdict import image_purl
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json

CONTEXT = "https://openvex.dev/ns/v0.2.0"
_ID = "https://gatehouse.dev/vex/"


def openvex(
    exceptions: Sequence[PolicyException], environment: str, image: Digest, name: str, author: str, now: datetime
) -> dict[str, Any] | None:
    """The document about one image in one environment: the exceptions in force there that name a vulnerability.

    None where there is none: a document without a statement is no OpenVEX. ``name`` is the image's, ``author`` who
    answers for the policy. The same arguments give the same document.
    """
    statements = [
        _statement(one, image, name)
        for one in of_environment(exceptions, environment)
        if one.finding is not None and one.code.startswith("vulnerabilities.")
        if one.in_force(now) and one.speaks_of(image)
    ]
    if not statements:
        return None
    body = {"author": author, "role": f"policy of {environment}", "timestamp": rfc3339(now), "version": 1}
    content = canonical_json([body, str(image), statements])
    return {
        "@context": CONTEXT,
        "@id": _ID + hashlib.sha256(content).hexdigest(),
        **body,
        "statements": statements,
    }


def _statement(one: PolicyException, image: Digest, name: str) -> dict[str, Any]:
    product: dict[str, Any] = {
        "@id": image_purl(name, image),
        "hashes": {"sha-256": image.hex},
    }
    if one.component is not None:
        product["subcomponents"] = [{"@id": one.component}]
    said = {"status_notes": f"{one.id}, {one.ticket}, by {one.owner}: {one.reason}", "timestamp": rfc3339(one.starts)}
    if one.justification is not None:
        said |= {"status": "not_affected", "justification": one.justification}
    else:
        until = f"accepted until the end of {one.expires}, then a fix or a new decision"
        said |= {"status": "affected", "action_statement": until}
    return {"vulnerability": {"name": one.finding}, "products": [product], **said}
