"""Making a grant: what a person signs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.files import write_atomic
from pipeline.gate.judgement import rfc3339
from pipeline.model.digests import Digest
from pipeline.model.errors import Misuse
from pipeline.model.predicates import GrantPredicate
from pipeline.promotion.grants import Action, grant_statement
from pipeline.promotion.recording import Gate
from pipeline.signing.signer import Signer
from pipeline.store.referrers import attach


def make_grant(
    gate: Gate,
    signer: Signer,
    action: Action,
    environments: Sequence[str],
    image: Digest,
    *,
    requester: str,
    reason: str,
    hours: int,
) -> bytes:
    """The signed bundle. Whether it counts is found out when it is used: by the policy of then.

    Raises Misuse (``grant.arguments``) for what could never count, and CannotEvaluate (``signing.*``).
    """
    for environment in environments:
        gate.policy.environment(environment)
    longest = gate.policy.succession.grant_days * 24
    if not 1 <= hours <= longest:
        raise _arguments("--hours", str(hours), f"1 to {longest}, by `[promotion] grant_days` of the policy")
    if not reason.strip() or len(reason) > 1000 or not reason.isprintable():
        raise _arguments("--reason", f"{len(reason)} characters", "1 to 1000 printable ones on one line")
    if not requester.strip():
        raise _arguments("--requester", "nobody", "who may use it")
    predicate = GrantPredicate(
        action=action,
        environments=list(environments),
        image=image.hex,
        requester=requester,
        reason=reason,
        expires=rfc3339(_end(gate.now, hours)),
    )
    return signer.sign(grant_statement(gate.name, predicate))


def _end(now: datetime, hours: int) -> datetime:
    return now + timedelta(hours=hours)


def attach_grant(gate: Gate, image: Digest, bundle: bytes) -> str:
    """Attach the grant to the image, and say where it is."""
    attach(gate.store, gate.store.resolve(str(image)), bundle, gate.now)
    return f"attached to the image in {gate.store.address}"


def write_grant(path: Path, bundle: bytes) -> str:
    """Write the grant into a file, and say where it is."""
    write_atomic(path, bundle + b"\n")
    return f"written to {path}"


def _arguments(option: str, got: str, expected: str) -> Misuse:
    return Misuse(
        "grant.arguments",
        f"{option}: not usable (got {got}, expected {expected})",
        fix="see `scripts/gatehouse grant --help`",
    )
