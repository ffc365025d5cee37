"""What a verifier has seen before, so that something newer cannot be taken away unnoticed.

``<state>/memory.json``; it only grows, and what cannot be read stops the gate.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import Field

from pipeline.files import locked, write_atomic
from pipeline.gate.evidence import Memory
from pipeline.gate.judgement import Judgement
from pipeline.model.context import Sha256Hex
from pipeline.model.digests import Digest
from pipeline.model.documents import Document, canonical_json, parse
from pipeline.model.errors import CannotEvaluate
from pipeline.store.interface import Readable
from pipeline.store.layout import OciLayout


class Head(Document):
    """The last entry seen of an environment's ledger: its number, the digest of its line, and by what policy."""

    sequence: int = Field(ge=1)
    digest: Sha256Hex
    policy: str = ""
    """SHA-256 of the policy, in hexadecimal; empty where none verified it whole."""


class Seen(Document):
    """``sequences``: store, image digest, who signed, to the highest evidence list. ``heads``: ledger to its head.
    ``revoked``: environment, image digest, to the reason. ``lists``: as ``sequences``, of images in registries, as
    ledgers say it: what a promotion was decided with is there for whoever reads the ledger, on any machine.

    Each store has lists of its own: an image that is attested in a second one starts there with its first.
    """

    sequences: dict[str, dict[Sha256Hex, dict[str, int]]] = Field(default_factory=dict)
    heads: dict[str, Head] = Field(default_factory=dict)
    revoked: dict[str, dict[Sha256Hex, str]] = Field(default_factory=dict)
    lists: dict[Sha256Hex, dict[str, int]] = Field(default_factory=dict)


def recall(state: Path, store: Readable, image: Digest) -> Memory:
    """What this verifier has seen of an image in a store; raises CannotEvaluate (``memory.unreadable``)."""
    seen = _read(state)
    memory = Memory(
        sequences=seen.sequences.get(store.address, {}).get(image.hex, {}),
        revoked={name: images[image.hex] for name, images in seen.revoked.items() if image.hex in images},
    )
    return memory if isinstance(store, OciLayout) else memory.joined(seen.lists.get(image.hex, {}))


def remember(state: Path, store: Readable, judgement: Judgement) -> None:
    """Keep the highest accepted evidence lists."""
    with locked(state / "locks" / "memory.lock"):
        seen = _read(state)
        here = seen.sequences.get(store.address, {})
        before = here.get(judgement.image.hex, {})
        after = {**before, **{by: max(n, before.get(by, 0)) for by, n in judgement.sequences.items()}}
        if after != before:
            sequences = {**seen.sequences, store.address: {**here, judgement.image.hex: after}}
            _write(state, seen.model_copy(update={"sequences": sequences}))


def forget(state: Path, store: Readable, images: Collection[Digest]) -> None:
    """Images that this clone itself removed from its own ``store``: attested again, they begin with a first list."""
    gone = {image.hex for image in images}
    with locked(state / "locks" / "memory.lock"):
        seen = _read(state)
        left = {image: lists for image, lists in seen.sequences.get(store.address, {}).items() if image not in gone}
        _write(state, seen.model_copy(update={"sequences": {**seen.sequences, store.address: left}}))


def recall_head(state: Path, address: str, environment: str) -> Head | None:
    """The last head seen of an environment's ledger at ``address``; raises CannotEvaluate (``memory.unreadable``)."""
    return _read(state).heads.get(_ledger(address, environment))


def remember_ledger(
    state: Path,
    address: str,
    environment: str,
    head: Head | None,
    *,
    revoked: Mapping[str, str],
    lists: Mapping[str, Mapping[str, int]],
) -> None:
    """Keep a head that the chain was verified up to, the images (to the reasons) that it revokes, and their lists."""
    with locked(state / "locks" / "memory.lock"):
        seen = _read(state)
        heads = {**seen.heads, **({_ledger(address, environment): head} if head else {})}
        known = {**seen.revoked.get(environment, {}), **revoked}
        listed = {
            image: dict(Memory(sequences=seen.lists.get(image, {})).joined(one).sequences)
            for image, one in lists.items()
        }
        after = seen.model_copy(
            update={
                "heads": heads,
                "revoked": {**seen.revoked, **({environment: known} if known else {})},
                "lists": {**seen.lists, **listed},
            }
        )
        if after != seen:
            _write(state, after)


def _ledger(address: str, environment: str) -> str:
    return f"{address} {environment}".lstrip()


def _read(state: Path) -> Seen:
    try:
        return parse(Seen, (state / "memory.json").read_bytes(), what="memory of the gate")
    except FileNotFoundError:
        return Seen()
    except (OSError, CannotEvaluate) as error:
        raise CannotEvaluate(
            "memory.unreadable",
            f"{state.name}/memory.json: not readable (got {type(error).__name__}, expected what the gate wrote)",
            fix="restore it from a copy; without it nobody notices that evidence or promotions were taken away",
        ) from error


def _write(state: Path, seen: Seen) -> None:
    write_atomic(state / "memory.json", canonical_json(seen.model_dump(mode="json")), mode=0o600)
