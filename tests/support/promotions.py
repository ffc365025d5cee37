"""An environment that has run two releases, as a clone's state folder, and what it takes to promote more.

``laboratory`` is unordered and comes first, ``development`` is ordered; both trust the local instance. ``rita`` and
``tom`` may grant in development; the developer signs everything else.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.gate.environments import Environment, Succession
from pipeline.gate.gathering import load_roots
from pipeline.gate.policy import Policy
from pipeline.gate.signers import PersonSigner
from pipeline.model.digests import Digest
from pipeline.model.kinds import Kind
from pipeline.promotion.granting import make_grant
from pipeline.promotion.ledger import Ledger, read_ledger
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.promoting import VERSION_LABEL, Promotion, promote
from pipeline.promotion.recording import Gate
from pipeline.signing.identities import LOCAL_IDENTITY
from pipeline.store.interface import Descriptor
from pipeline.store.layout import OciLayout
from tests.support import release
from tests.support.signing import World
from tests.support.stored import CountingSigner, Descended, Stored

ISSUER = "https://accounts.example.org"
HERE = "development"


def person(name: str, *logins: str) -> PersonSigner:
    return PersonSigner(type="person", root="local", issuer=ISSUER, identity=f"{name}@example.org", logins=logins)


def claims(name: str) -> dict[str, str]:
    """What the token of a person says."""
    return {"email": f"{name}@example.org", "iss": ISSUER}


def two_steps(policy: Policy, **succession: Any) -> Policy:
    """The shipped policy's development, ordered, behind an unordered laboratory."""
    first = policy.environments[0]
    kinds = {**first.signers.kinds, Kind.GRANT: ("rita", "tom")}
    here = first.model_copy(update={"signers": first.signers.model_copy(update={"kinds": kinds})})
    return replace(
        policy,
        signers={**policy.signers, "rita": person("rita", "Rita-L"), "tom": person("tom")},
        environments=(here.model_copy(update={"name": "laboratory"}), here, *policy.environments[1:]),
        succession=Succession(unordered=("laboratory",), **succession),
    )


@dataclass
class Ran:
    """Releases by version in one store, all promoted to the laboratory; which ran in development, the ledger says."""

    folder: Path
    world: World
    policies: Path
    policy: Policy
    images: dict[str, str]
    """Version to digest."""

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def store(self) -> OciLayout:
        return OciLayout(self.state / "store")

    @property
    def target(self) -> OciLayout:
        """A repository of development's own."""
        return OciLayout(self.folder / "target")

    @property
    def here(self) -> Environment:
        return self.policy.environment(HERE)

    def digest(self, version: str) -> Digest:
        return Digest.parse(self.images[version])

    def descriptor(self, version: str) -> Descriptor:
        return self.store.resolve(self.images[version])

    def gate(self, **changes: Any) -> Gate:
        signer = CountingSigner(self.world)
        gate = Gate(
            store=self.store,
            state=self.state,
            policy=self.policy,
            roots=load_roots(self.state, self.policies),
            signer=lambda: signer,
            name="noticeboard",
            now=datetime.now(UTC),
            ledgers=LocalLedger(self.state),
            repository=lambda _: self.store,
            history=Descended(),
        )
        return replace(gate, **changes)

    def promote(self, version: str, environment: str = HERE, **changes: Any) -> Promotion:
        return promote(self.gate(**changes), self.images[version], environment)

    def release(self, version: str, predicates: dict[str, Any] | None = None) -> str:
        """Another image, attested and promoted to the laboratory; its digest."""
        made = Stored.make(
            self.folder,
            self.world,
            self.policies.parent,
            state=self.state,
            content=version.encode(),
            labels={VERSION_LABEL: version},
        )
        made.attest(predicates or release.predicates())
        self.images[version] = str(made.image.digest)
        self.promote(version, "laboratory")
        return self.images[version]

    def ledger(self, environment: str = HERE) -> Ledger:
        gate = self.gate()
        return read_ledger(gate.ledgers, environment, gate.policy, gate.roots)

    def ran(self, environment: str = HERE) -> list[str]:
        """The versions that ran, oldest first."""
        return [one.version for one in self.ledger(environment).promotions]

    def tag(self, environment: str = HERE) -> str:
        return str(self.store.resolve(environment).digest)

    def files(self) -> dict[str, bytes]:
        """The ledger's folder, to be compared."""
        folder = self.state / "ledger"
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def grant(self, action: Any = "rollback", version: str = "1.0", by: str = "rita", **changes: Any) -> bytes:
        """The bundle of a grant; ``changes`` replace what is granted to whom."""
        asked = {"requester": LOCAL_IDENTITY, "reason": "1.1 loses messages", "hours": 24, **changes}
        environments = asked.pop("environments", (HERE,))
        signer = self.world.signer(**claims(by))
        return make_grant(self.gate(), signer, action, environments, self.digest(version), **asked)


def run_two(folder: Path, world: World, root: Path, policy: Policy) -> Ran:
    """1.0 ran in development, and 1.1 does; 1.2 and 1.3 wait. ``target`` holds what 1.1 took with it elsewhere."""
    ran = Ran(folder, world, root / "policies", two_steps(policy), {})
    for version in ("1.0", "1.1", "1.2", "1.3"):
        ran.release(version)
    for version in ("1.0", "1.1"):
        ran.promote(version)
    ran.promote("1.1", repository=lambda _: ran.target)
    return ran


def copied(ran: Ran, folder: Path) -> Ran:
    """The same in a folder of the test's own."""
    shutil.copytree(ran.folder, folder / "ran")
    return replace(ran, folder=folder / "ran", images=dict(ran.images))


def entries(ledger: Ledger) -> Iterator[tuple[str, int]]:
    for entry in ledger.entries:
        yield type(entry.predicate).__name__, entry.predicate.sequence
