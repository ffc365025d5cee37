"""The smallest set of changes that turns a refusal, and the proof of it: the judge's verdict on the release after them.

Smallest is the fewest things that somebody has to do. An exception is one of them, so both the smallest set and, where
that one has exceptions, the smallest without are told: to mend is not the same as to excuse.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pipeline.gate import cases
from pipeline.gate.asking import views
from pipeline.gate.evidence import Flaw, Piece
from pipeline.gate.judgement import Finding, Judgement
from pipeline.gate.signers import GithubSigner
from pipeline.gate.standing import usable
from pipeline.gate.unblock_world import Change, after, exception_for, repository_of
from pipeline.gate.verify_command import Release
from pipeline.model.kinds import LISTED, Kind
from pipeline.steps.collected import MADE_BY

#: More than the kinds that there are: a set that is larger says nothing that the refusals do not say.
MOST = 16
#: How often the judge may be asked; a second or so.
_PATIENCE = 4000
#: Families in which a risk can be accepted one by one.
_EXCUSABLE = ("vulnerabilities", "licences")
#: Kind of evidence to the session that makes it; what makes the signature is `attest` itself.
_SESSIONS = {**MADE_BY, Kind.REPRODUCTION: "reproduce"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """Changes in the order in which to make them, and the verdict once they are made: PASSED."""

    changes: tuple[Change, ...]
    judgement: Judgement
    needed: bool
    """Whether without any one of them the verdict is FAILED: asked of the judge, not assumed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unblocked:
    """What was found. Without ways nothing known here helps; ``stuck`` are refusals that no change speaks of."""

    environment: str
    today: Judgement
    ways: tuple[Way, ...]
    stuck: tuple[Finding, ...]


def unblock(release: Release, environment: str, good: cases.Release, now: datetime) -> Unblocked:
    """The smallest ways from today's verdict to PASSED. Pure.

    ``good`` is the known-good release of the policy's tests: evidence that is not there is imagined as it has it.
    """
    today = release.judged(environment, now)
    if today.passed:
        return Unblocked(environment=environment, today=today, ways=(), stuck=())
    search = _Search(release, environment, good, now)
    first = search.smallest()
    found = [first] if first else []
    if first and any(change.act == "except" for change in first):
        without = search.smallest(exceptions=False)
        found += [without] if without else []
    return Unblocked(
        environment=environment,
        today=today,
        ways=tuple(search.way(changes) for changes in found),
        stuck=() if found else tuple(search.stuck(today)),
    )


class _Search:
    """Sets of changes by size: to clear a refusal one of the changes that speak of it has to be made."""

    def __init__(self, release: Release, environment: str, good: cases.Release, now: datetime) -> None:
        self._release, self._environment, self._good, self._now = release, environment, good, now
        self._judged: dict[frozenset[Change], tuple[Release, Judgement]] = {}
        self._asked = 0

    def smallest(self, *, exceptions: bool = True) -> frozenset[Change] | None:
        for size in range(1, MOST + 1):
            seen = set[frozenset[Change]]()
            found = self._within(frozenset(), size, seen, exceptions=exceptions)
            if found is not None:
                return self._needed(found)
            if self._asked > _PATIENCE:
                return None
        return None

    def _needed(self, found: frozenset[Change]) -> frozenset[Change]:
        """Without what another change of the set does as well: making evidence lists it, too."""
        for change in sorted(found, key=lambda one: one.id):
            if self._after(found - {change})[1].passed:
                return self._needed(found - {change})
        return found

    def _within(
        self, chosen: frozenset[Change], more: int, seen: set[frozenset[Change]], *, exceptions: bool
    ) -> frozenset[Change] | None:
        """``chosen`` and at most ``more`` further changes that turn the verdict."""
        if chosen in seen or self._asked > _PATIENCE:
            return None
        seen.add(chosen)
        world, judgement = self._after(chosen)
        if judgement.passed:
            return chosen
        options = [
            [one for one in self.changes(finding, world) if one not in chosen and (exceptions or one.act != "except")]
            for finding in judgement.refusals
        ]
        if more < _at_least(options):
            return None
        # The refusal with the fewest ways out: each set that turns the verdict has one of its changes.
        for change in min(options, key=len):
            found = self._within(chosen | {change}, more - 1, seen, exceptions=exceptions)
            if found is not None:
                return found
        return None

    def _after(self, chosen: frozenset[Change]) -> tuple[Release, Judgement]:
        if chosen not in self._judged:
            self._asked += 1
            world = after(self._release, self._environment, chosen, self._good, self._now) if chosen else self._release
            self._judged[chosen] = (world, world.judged(self._environment, self._now))
        return self._judged[chosen]

    def way(self, changes: frozenset[Change]) -> Way:
        order = ("repository", "except", "remove", "update", "mend", "build", "make", "attest")
        without = (self._after(changes - {change})[1] for change in changes)
        return Way(
            changes=tuple(sorted(changes, key=lambda change: (order.index(change.act), change.about))),
            judgement=self._after(changes)[1],
            needed=not any(judgement.passed for judgement in without),
        )

    def stuck(self, today: Judgement) -> Iterator[Finding]:
        for finding in today.refusals:
            if not any(True for _ in self.changes(finding, self._release)):
                yield finding

    def changes(self, finding: Finding, world: Release) -> Iterator[Change]:
        """What may clear a refusal, in the order of preference. Whether it does is the judge's to say."""
        code, kind = finding.code, finding.kind
        family = code.partition(".")[0]
        if code == "signer.unset":
            text = f'set repository = "{self._repository}" in policies/environments.toml, on the protected branch'
            yield Change(act="repository", text=text)
        elif code == "evidence.missing":
            yield from self._make(kind)
            yield self._build(world)
        elif family in ("list", "evidence", "signer", "signers", "image"):
            if family in ("evidence", "list"):
                yield Change(act="attest", text="attest again: `scripts/nox -s attest` lists everything that is there")
                yield from self._make(kind)
            yield self._build(world)
        elif family in ("bundle", "document", "subject"):
            yield from self._remove(code)
            yield self._build(world)
        elif code.startswith(("exception.", "policy.")):
            return
        else:
            yield from self._of_a_rule(finding, world)

    def _of_a_rule(self, finding: Finding, world: Release) -> Iterator[Change]:
        refused = list(self._items(finding, world))
        if finding.kind == Kind.VULNERABILITIES and not refused:
            # The newest audit counts, so that another one is all that it takes.
            yield Change(
                act="make", about=str(finding.kind), text=f"attest an audit without {finding.code}: {finding.fix}"
            )
            return
        for name, package, fixed in refused:
            if finding.code.startswith(_EXCUSABLE):
                exception = exception_for(finding.code, name, self._environment, self._now)
                yield Change(
                    act="except",
                    about=f"{finding.code} {name}",
                    text=f"grant an exception for {name} of {finding.code} in policies/exceptions.toml, on the "
                    "protected branch: with owner, reason, ticket, and an end",
                    exception=exception,
                )
            if package:
                to = f"to {' or '.join(fixed)}" if fixed else "to a version that is not affected, or replace it"
                yield Change(
                    act="update", about=package, text=f"update {package} {to}: `scripts/nox -s lock -- update`"
                )
            break  # one item after the other: each has to be dealt with
        if finding.kind is not None and finding.kind != Kind.VULNERABILITIES:
            yield Change(act="mend", about=str(finding.kind), text=f"mend {finding.kind}: {finding.fix}")
        yield self._build(world)

    def _items(self, finding: Finding, world: Release) -> Iterator[tuple[str, str, list[str]]]:
        """What exactly a rule refuses: the name of each item, and the package that it is in, where it names one."""
        here = world.policy.environment(self._environment)
        compiled = next((one for one in world.policy.rules if one.rule.id == finding.code), None)
        pieces = [one for one in world.evidence if isinstance(one, Piece) and one.kind == finding.kind]
        for piece, seen in views(pieces, here, self._now):
            refusal = compiled.refusal(seen) if compiled else None
            excused = [one for one in world.policy.exceptions if one.code == finding.code]
            for item in refusal.items if refusal else ():
                if not any(one.names(item) for one in excused):
                    yield from ((name, *_package(piece, item.names)) for name in sorted(item.names)[:1])

    def _make(self, kind: Kind | None) -> Iterator[Change]:
        if kind not in LISTED or kind not in self._good.predicates:
            return
        sessions = " ".join(filter(None, [_SESSIONS.get(kind), "attest"]))
        text = f"make {kind} evidence that passes, signed by who may sign it here: `scripts/nox -s {sessions}`"
        yield Change(act="make", about=str(kind), text=text)

    def _build(self, world: Release) -> Change:
        here = world.policy.environment(self._environment)
        signers = usable(world.policy, here, Kind.PROVENANCE)
        hosted = next((one for one in signers if isinstance(one, GithubSigner)), None)
        if any(not isinstance(one, GithubSigner) for one in signers) or hosted is None:
            text = "build and attest an image of a newer commit: `scripts/pipeline`"
        else:
            repository = hosted.repository or self._release.policy.repository or self._repository
            text = f"let {hosted.workflow} of {repository} on {hosted.ref} build and attest an image of a newer commit"
        # The same commit gives the same digest again, with all that hangs on it.
        return Change(act="build", text=text)

    @property
    def _repository(self) -> str:
        return repository_of(self._release) or "owner/name"

    def _remove(self, code: str) -> Iterator[Change]:
        for flaw in self._release.evidence:
            if isinstance(flaw, Flaw) and flaw.error.code == code:
                text = f"remove the referrer with bundle sha256:{flaw.digest} from the image: it proves nothing"
                yield Change(act="remove", about=flaw.digest, text=text)


def _package(piece: Piece, names: frozenset[str]) -> tuple[str, list[str]]:
    """The package that an advisory is about and the versions that mend it, as the audit says."""
    for found in piece.plain.get("scanner", {}).get("result", []):
        one = found["annotations"][0]
        if {found["id"], *one["aliases"]} & names:
            return str(one["package"]), [str(version) for version in one["fixed_in"]]
    return "", []


def _at_least(options: list[list[Change]]) -> int:
    """How many changes are needed for certain: refusals that have none in common, found one after the other."""
    taken, count = set[Change](), 0
    for some in sorted(options, key=len):
        if not taken & set(some):
            taken.update(some)
            count += 1
    return count
