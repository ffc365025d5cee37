"""A changed policy held against releases that are there: which verdicts would have been others, and why.

Each release is judged by both policies as of the moment at which the last of its evidence was signed: judged today,
old evidence would be too old for either, and nothing would be learnt.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.gate.evidence import Evidence, ImageFacts, Memory, Piece
from pipeline.gate.gathering import gather, load_roots, read_image, root_files
from pipeline.gate.judgement import Finding, Judgement
from pipeline.gate.judging import judge
from pipeline.gate.policy import Policy, load_policy
from pipeline.gate.standing import READ
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError
from pipeline.store.interface import Readable

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

#: Tags under which registries and cosign keep what refers to an image.
_REFERRERS = re.compile(r"sha256-[0-9a-f]{64}.*")


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A policy with the roots that it trusts. ``trusts`` tells roots apart by their bytes."""

    policy: Policy
    roots: "dict[str, TrustedRoot]"
    trusts: frozenset[tuple[str, Digest]]

    @classmethod
    def of(cls, policies: Path, state: Path) -> "Judge":
        """Raises CannotEvaluate (``policy.*``, ``trust.*``)."""
        files = root_files(policies, state)
        return cls(
            policy=load_policy(policies),
            roots=load_roots(state, policies),
            trusts=frozenset((name, Digest.of(path.read_bytes())) for name, path in files.items()),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A verdict that the changed policy turns. ``reasons`` are what refuses now, or what no longer does."""

    image: Digest
    tags: tuple[str, ...]
    environment: str
    at: datetime
    before: Judgement
    after: Judgement

    @property
    def reasons(self) -> tuple[Finding, ...]:
        more, less = (self.before, self.after) if self.after.passed else (self.after, self.before)
        known = {(one.code, one.kind, one.message) for one in less.refusals}
        return tuple(one for one in more.refusals if (one.code, one.kind, one.message) not in known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """A release that could not be judged."""

    reference: str
    error: GatehouseError


@dataclass(kw_only=True)
class Backtest:
    """What came of it. ``accepted`` counts, by environment, what each policy accepts."""

    before: str
    after: str
    """SHA-256 of each policy."""
    releases: int = 0
    judged: int = 0
    """Verdicts by each policy: a release has one for each environment."""
    accepted: dict[str, tuple[int, int]] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    other_reasons: int = 0
    """Verdicts that stay FAILED, and refuse for other codes."""
    codes: Counter[str] = field(default_factory=Counter)
    """Codes that turned a verdict, with how many."""


def backtest(
    store: Readable, references: Sequence[str], before: Judge, after: Judge, environments: Sequence[str] = ()
) -> Backtest:
    """Replay ``references``, or every tagged image of ``store``; one release is in memory at a time.

    ``environments``: those that both policies have, where none is named. Raises CannotEvaluate
    (``policy.environment``, ``backtest.empty``) and what the store raises for its list of tags.
    """
    names = list(environments) or _common(before.policy, after.policy)
    for name in names:
        before.policy.environment(name)
        after.policy.environment(name)
    found = Backtest(before=before.policy.digest, after=after.policy.digest)
    found.accepted = dict.fromkeys(names, (0, 0))
    for reference, tags in _releases(store, references, found.unread):
        try:
            pairs = list(_replayed(store, reference, before, after, names))
        except GatehouseError as error:
            found.unread.append(Unread(reference=reference, error=error))
            continue
        found.releases += 1
        for one, other in pairs:
            _count(found, one, other, tags)
    if not found.releases and not found.unread:
        raise CannotEvaluate(
            "backtest.empty",
            f"backtest: no release (got no tagged image in {store.address}, expected at least one)",
            fix="name the images: `scripts/gatehouse backtest sha256:...`, or the registry that has them: --registry",
        )
    return found


def _common(before: Policy, after: Policy) -> list[str]:
    known = {environment.name for environment in after.environments}
    return [environment.name for environment in before.environments if environment.name in known]


def _releases(
    store: Readable, references: Sequence[str], unread: list[Unread]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each digest once, with the tags that lead to it."""
    tags = [one for one in references or store.tags() if not _REFERRERS.fullmatch(one)]
    by_digest: dict[str, list[str]] = {}
    for tag in tags:
        try:
            by_digest.setdefault(str(store.resolve(tag).digest), []).append(tag)
        except GatehouseError as error:
            unread.append(Unread(reference=tag, error=error))
    for digest, named in by_digest.items():
        yield digest, tuple(name for name in named if name != digest)


def _replayed(
    store: Readable, reference: str, before: Judge, after: Judge, environments: Iterable[str]
) -> Iterator[tuple[Judgement, Judgement]]:
    _, image = read_image(store, reference)
    old = gather(store, image, before.roots)
    new = old if before.trusts == after.trusts else gather(store, image, after.roots)
    at = _last_signed([*old, *new], image)
    for name in environments:
        yield (
            judge(image, old, before.policy, name, at, Memory()),
            judge(image, new, after.policy, name, at, Memory()),
        )


def _last_signed(evidence: Iterable[Evidence], image: ImageFacts) -> datetime:
    """A second after the last piece that is read was signed."""
    times = [one.verified.verified_at for one in evidence if isinstance(one, Piece) and one.kind in READ]
    if not times:
        raise CannotEvaluate(
            "backtest.unsigned",
            f"{image.digest}: no time to judge at (got no evidence that verifies, expected some)",
            fix="leave this image out, or restore its evidence",
        )
    return max(times) + timedelta(seconds=1)


def _count(found: Backtest, before: Judgement, after: Judgement, tags: tuple[str, ...]) -> None:
    found.judged += 1
    one, other = found.accepted[before.environment]
    found.accepted[before.environment] = (one + before.passed, other + after.passed)
    if before.passed != after.passed:
        flip = Flip(
            image=before.image,
            tags=tags,
            environment=before.environment,
            at=before.time,
            before=before,
            after=after,
        )
        found.flips.append(flip)
        found.codes.update({reason.code for reason in flip.reasons})
    elif {finding.code for finding in before.refusals} != {finding.code for finding in after.refusals}:
        found.other_reasons += 1
