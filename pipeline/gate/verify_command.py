"""``python -m pipeline verify``, as functions of their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.gate.evidence import Evidence, ImageFacts, Memory
from pipeline.gate.exported import Offline
from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall, remember
from pipeline.gate.policy import Policy, load_policy
from pipeline.model.errors import Misuse
from pipeline.store.interface import Readable

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot


@dataclass(frozen=True, kw_only=True)
class Release:
    """An image with its evidence, read once: what may be judged for any environment at any time."""

    image: ImageFacts
    evidence: tuple[Evidence, ...]
    policy: Policy
    memory: Memory
    roots: "Mapping[str, TrustedRoot]" = field(default_factory=dict)
    """What the evidence was verified against."""

    def judged(self, environment: str, at: datetime) -> Judgement:
        """Raises Misuse (``verify.time``) and CannotEvaluate (``policy.environment``)."""
        return judge(self.image, self.evidence, self.policy, environment, checked_time(at), self.memory)


def checked_time(at: datetime) -> datetime:
    """A time with room before and after it: so many hours from it has to be a time as well."""
    if not 1971 <= at.year <= 2999:
        raise Misuse(
            "verify.time",
            f"--at: not a time to judge at (got {rfc3339(at)}, expected the years 1971 to 2999)",
            fix="give the time that you mean: --at 2026-12-31T00:00:00Z",
        )
    return at


def read_release(
    store: Readable, reference: str, policies: Path, state: Path, roots: "Mapping[str, TrustedRoot] | None" = None
) -> Release:
    """What ``reference`` is in ``store`` now; ``roots`` are by default those of the clone and of the policy.

    Raises CannotEvaluate and Refused where policy, trust roots or store cannot be read.
    """
    policy = load_policy(policies)
    _, image = read_image(store, reference)
    roots = load_roots(state, policies) if roots is None else roots
    return Release(
        image=image,
        evidence=gather(store, image, roots),
        policy=policy,
        memory=recall(state, store, image.digest),
        roots=roots,
    )


def verify_release(
    store: Readable, reference: str, environment: str, policies: Path, at: datetime, state: Path
) -> tuple[Release, Judgement]:
    """Judge what ``reference`` is in ``store``, with the policy folder given, as of ``at``; and remember its lists.

    Raises Misuse (``verify.time``), and CannotEvaluate and Refused as ``read_release``; else the Judgement says all.
    """
    load_policy(policies).environment(environment)
    checked_time(at)
    release = read_release(store, reference, policies, state)
    judgement = release.judged(environment, at)
    remember(state, store, judgement)
    return release, judgement


def verify_image(
    store: Readable, reference: str, environment: str, policies: Path, at: datetime, state: Path
) -> Judgement:
    """``verify_release`` for who asks for the verdict alone."""
    return verify_release(store, reference, environment, policies, at, state)[1]


def verify_offline(
    offline: Offline, reference: str, environment: str, at: datetime, state: Path
) -> tuple[Release, Judgement]:
    """Judge the image in an export by what the verifier brought; every part of it has to be there and undamaged.

    Raises Misuse (``verify.reference``, ``verify.time``), Refused and CannotEvaluate as ``verify_release``.
    """
    if not reference.startswith("sha256:"):
        raise Misuse(
            "verify.reference",
            f"verify --offline: not a digest (got {reference[:90]!r}, expected sha256:...)",
            fix="ask for the digest by another way than the file: a tag in it is the word of whoever wrote it",
        )
    image, _ = read_image(offline.store, reference)
    offline.store.check_whole(image)
    release = read_release(offline.store, reference, offline.policies, state, offline.roots)
    judgement = release.judged(environment, at)
    remember(state, offline.store, judgement)
    return release, judgement
