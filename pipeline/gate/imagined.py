"""Evidence that is not there, as it would be: what a policy's tests and ``unblock`` judge.

Nothing is signed here. A piece says who would have signed it, and the judge takes it at its word, as it takes the word
of the verification for real ones.
"""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts, Piece, read_piece
from pipeline.gate.identity import Identity, Verified
from pipeline.gate.judgement import rfc3339
from pipeline.gate.policy import Policy
from pipeline.gate.signers import GithubSigner
from pipeline.gate.standing import usable
from pipeline.model.context import CONTEXT_PROPERTY
from pipeline.model.documents import canonical_json
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, SHAPES, Kind
from pipeline.model.statement import make_statement, parse_statement
from pipeline.signing.identities import GITHUB, GITHUB_ISSUER

NAME = "release"


def place_context(kind: Kind, predicate: dict[str, Any], context: Mapping[str, Any]) -> None:
    """Write the source, locks and tool where a predicate of this kind names them."""
    if kind == Kind.SBOM:
        stated = {"name": CONTEXT_PROPERTY, "value": canonical_json(context).decode()}
        predicate["metadata"] = {**predicate.get("metadata", {}), "properties": [stated]}
    elif kind != Kind.SIGNATURE:
        predicate["gatehouse_context"] = copy.deepcopy(dict(context))


def allowed_signer(kind: Kind, policy: Policy, environment: Environment, commit: str) -> tuple[str, Identity] | None:
    """The root and the identity of the first signer that the environment allows for a kind; None where it has none."""
    signer = next(iter(usable(policy, environment, kind)), None)
    if signer is None:
        return None
    if not isinstance(signer, GithubSigner):
        return signer.root, Identity(issuer=signer.issuer, san=signer.identity)
    workflow = f"{GITHUB}{signer.repository or policy.repository}/{signer.workflow}@{signer.ref}"
    return signer.root, Identity(
        issuer=GITHUB_ISSUER,
        san=workflow,
        workflow=workflow,
        workflow_digest=signer.digests[0] if signer.digests else commit,
        runner=signer.runner,
        repository=f"{GITHUB}{policy.repository}",
        commit=commit,
        ref=signer.ref,
        trigger=signer.triggers[0],
    )


def imagined_piece(
    kind: Kind,
    platform: str | None,
    predicate: dict[str, Any],
    image: ImageFacts,
    signer: tuple[str, Identity],
    at: datetime,
) -> Evidence:
    """A piece of evidence on ``image``, or the flaw that it would be."""
    subjects = [(NAME, image.digest)]
    manifest = image.platforms.get(platform or "")
    if manifest is not None and manifest != image.digest:
        subjects.append((f"{NAME} {platform}", manifest))
    content = make_statement(subjects, SHAPES[kind].predicate_type, predicate)
    root, identity = signer
    verified = Verified(
        statement=parse_statement(content),
        identity=identity,
        verified_at=at,
        root=root,
        bundle_digest=hashlib.sha256(content + f"{identity} {root} {at}".encode()).hexdigest(),
    )
    return read_piece(verified, image)


def imagined_list(
    pieces: Iterable[Piece], context: Mapping[str, Any], at: datetime, *, sequence: int = 1, previous: str | None = None
) -> dict[str, Any]:
    """The predicate of an evidence list that names ``pieces``."""
    return {
        "attester": {"id": NAME},
        "references": [
            {
                "name": piece.name,
                "digest": {"sha256": piece.digest},
                "mediaType": BUNDLE_MEDIA_TYPE,
                "annotations": {
                    "kind": str(piece.kind),
                    "status": "present",
                    **({"platform": piece.platform} if piece.platform else {}),
                },
            }
            for piece in pieces
        ],
        "gatehouse_sequence": sequence,
        **({"gatehouse_previous": previous} if previous else {}),
        "gatehouse_issued": rfc3339(at),
        "gatehouse_context": copy.deepcopy(dict(context)),
    }
