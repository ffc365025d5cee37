"""A release in a store, signed for real on a local Sigstore instance: what gathering and promotion work on.

stored = Stored.make(tmp_path, world, root)       # store, state folder with the local trusted root, an image
stored.attest(release.predicates())               # signs and attaches evidence and its list, as `attest` does
promote(stored.gate(policy), str(stored.image.digest), "development")
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pipeline.gate.gathering import load_roots, read_image
from pipeline.gate.policy import Policy
from pipeline.model.digests import Digest
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.promoting import VERSION_LABEL
from pipeline.promotion.recording import Gate
from pipeline.signing.identities import LOCAL_IDENTITY, LOCAL_ISSUER
from pipeline.store.interface import Descriptor
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach
from pipeline.store.transfer import push_archive
from tests.support import release
from tests.support.images import write_archive
from tests.support.signing import World


@dataclass
class CountingSigner:
    """The local developer's signer, or with ``claims`` somebody else's; counts what it signed."""

    world: World
    claims: Mapping[str, str] = field(default_factory=dict)
    signed: int = 0
    identity: str = LOCAL_IDENTITY
    issuer: str = LOCAL_ISSUER
    instance: Literal["ambient", "local"] = "local"

    @property
    def trusted_root(self) -> bytes:
        return self.world.trusted_root

    def sign(self, statement: bytes) -> bytes:
        self.signed += 1
        return self.world.sign(statement, **self.claims)


class Descended:
    """A history in which every commit comes after every other."""

    def descends(self, commit: str, ancestor: str) -> bool:
        return True


@dataclass
class Stored:
    store: OciLayout
    state: Path
    policies: Path
    image: Descriptor
    signer: CountingSigner

    @classmethod
    def make(cls, folder: Path, world: World, root: Path, *, state: Path | None = None, **archive: Any) -> "Stored":
        """``archive`` goes to ``write_archive``; the image is labelled 1.0 unless ``labels`` says otherwise.

        ``state`` is the state folder, by default one below ``folder``.
        """
        state = state or folder / "state"
        write_archive(folder / "image.tar", **{"labels": {VERSION_LABEL: "1.0"}, **archive})
        store = OciLayout(state / "store")
        (state / "sigstore").mkdir(parents=True, exist_ok=True)
        (state / "sigstore" / "trusted_root.json").write_bytes(world.trusted_root)
        image = push_archive(folder / "image.tar", store, "v1")
        return cls(store, state, root / "policies", image, CountingSigner(world))

    def attest(self, predicates: Mapping[str, dict[str, Any]], **claims: str) -> dict[str, bytes]:
        """Sign and attach; the bundles by name, the list with them."""
        _, facts = read_image(self.store, str(self.image.digest))
        world = self.signer.world
        predicates = release.scanned_at(predicates, datetime.now(UTC))
        bundles = {name: world.sign(release.statement(name, one, facts), **claims) for name, one in predicates.items()}
        listed = release.evidence_list({name: Digest.of(bundle).hex for name, bundle in bundles.items()})
        bundles["evidence-list"] = world.sign(release.statement("evidence-list", listed, facts), **claims)
        for bundle in bundles.values():
            self.attach(bundle)
        return bundles

    def attach(self, bundle: bytes) -> Descriptor:
        return attach(self.store, self.image, bundle, datetime.now(UTC))

    def gate(self, policy: Policy, now: datetime | None = None, **changes: Any) -> Gate:
        """Decides with this store, the state folder's ledger and a history in which everything descends."""
        gate = Gate(
            store=self.store,
            state=self.state,
            policy=policy,
            roots=load_roots(self.state, self.policies),
            signer=lambda: self.signer,
            name="noticeboard",
            now=now or datetime.now(UTC),
            ledgers=LocalLedger(self.state),
            repository=lambda _: self.store,
            history=Descended(),
        )
        return replace(gate, **changes)
