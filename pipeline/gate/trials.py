"""Cases of policy tests as evidence that can be judged.

Nothing is signed here: whether a signature holds is no question of policy, and a case may say who signed.
"""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.gate.cases import FOLDER, Case, Change, Release, broken, load_cases, load_release
from pipeline.gate.environments import Environment
from pipeline.gate.evidence import Evidence, ImageFacts, Memory, read_piece
from pipeline.gate.exceptions import PolicyException
from pipeline.gate.identity import Identity, Verified
from pipeline.gate.imagined import NAME, allowed_signer, place_context
from pipeline.gate.judgement import Judgement
from pipeline.gate.judging import judge
from pipeline.gate.policy import Policy
from pipeline.model.digests import Digest
from pipeline.model.kinds import BUNDLE_MEDIA_TYPE, SHAPES, Kind
from pipeline.model.statement import make_statement, parse_statement

PLATFORM = "linux/amd64"
IMAGE = ImageFacts(digest=Digest("1" * 64), platforms={PLATFORM: Digest("1" * 64)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A case in one environment, its evidence read once: it may be judged by many policies."""

    case: Case
    environment: str
    evidence: tuple[Evidence, ...]
    now: datetime
    repository: str
    """The good release's, which stands in for the policy's own."""

    @property
    def name(self) -> str:
        return f"{self.case.name} ({self.environment})"

    @property
    def about(self) -> frozenset[str]:
        """What it is likely to show a mistake in: codes, and kinds of evidence that it changes."""
        case = self.case
        hints = {
            "evidence.missing": bool(case.without),
            "evidence.expired": any(change.age_hours is not None for change in case.change),
            "signer.untrusted": any(change.signer is not None for change in case.change),
            "exception.budget": bool(case.exception),
        }
        kinds = (str(change.evidence) for change in case.change)
        return frozenset((*case.codes, *case.warnings, *kinds, *(code for code, there in hints.items() if there)))

    def judge(self, policy: Policy) -> Judgement:
        own = replace(policy, repository=self.repository, exceptions=_exceptions(self.case))
        return judge(IMAGE, self.evidence, own, self.environment, self.now, Memory())

    def problems(self, judgement: Judgement) -> list[str]:
        """How the verdict differs from what the case expects."""
        case, found = self.case, [*judgement.refusals, *judgement.warnings]
        refused, warned = ({one.code for one in part} for part in (judgement.refusals, judgement.warnings))
        compared = (
            ("verdict", judgement.result, case.verdict),
            ("codes", _said(refused), _said(case.codes)),
            ("warnings", _said(warned), _said(case.warnings)),
        )
        said = [f"{name} (got {got}, expected {expected})" for name, got, expected in compared if got != expected]
        if case.message is not None and case.message not in [one.message for one in found]:
            spoken = " | ".join(one.message for one in found) or "nothing"
            said.append(f"message (got {spoken[:600]}, expected {case.message})")
        return said


def _exceptions(case: Case) -> tuple[PolicyException, ...]:
    return tuple(
        one if number == 1 else one.model_copy(update={"id": f"{one.id}-{number}"})
        for one in case.exception
        for number in range(1, one.times + 1)
    )


def _said(codes: Iterable[str]) -> str:
    return ", ".join(sorted(codes)) or "none"


def load_trials(folder: Path, policy: Policy) -> list[Trial]:
    """Every case of ``folder/tests`` in each of its environments; raises CannotEvaluate (``policy.case``)."""
    release = load_release(folder)
    known = {environment.name: environment for environment in policy.environments}
    trials = []
    for case in load_cases(folder):
        for name in case.environments:
            if name not in known:
                raise broken(FOLDER, f"{case.name}: no environment {name}")
            trials.append(_trial(case, release, policy, known[name]))
    return trials


def _trial(case: Case, release: Release, policy: Policy, environment: Environment) -> Trial:
    policy = replace(policy, repository=release.repository)
    now = _time(release.now)
    context = release.context.model_dump(mode="json")
    context["source"] |= case.source
    made = {
        kind: _piece(kind, predicate, context, case, release, policy, environment)
        for kind, predicate in release.predicates.items()
        if kind not in case.without
    }
    listed = _list_of(made, release)
    pieces = (*made.values(), _piece(Kind.EVIDENCE_LIST, listed, context, case, release, policy, environment))
    return Trial(case=case, environment=environment.name, evidence=pieces, now=now, repository=release.repository)


def _piece(
    kind: Kind,
    predicate: Mapping[str, Any],
    context: Mapping[str, Any],
    case: Case,
    release: Release,
    policy: Policy,
    environment: Environment,
) -> Evidence:
    changed = copy.deepcopy(dict(predicate))
    place_context(kind, changed, context)
    signed, root, identity = _time(release.signed), *_signer(kind, policy, environment, context)
    for change in case.change:
        if change.evidence == kind:
            if change.at is not None:
                _change(changed, change, case)
            if change.age_hours is not None:
                signed = _time(release.now) - timedelta(hours=change.age_hours)
            fields: dict[str, str] = {str(name): value for name, value in (change.signer or {}).items()}
            root = fields.pop("root", root)
            identity = replace(identity, **fields)
    content = make_statement([(NAME, IMAGE.digest)], SHAPES[kind].predicate_type, changed)
    return _read_piece(content, identity, root, signed)


@lru_cache(maxsize=4096)
def _read_piece(content: bytes, identity: Identity, root: str, signed: datetime) -> Evidence:
    """Cached, since most cases change one piece of many."""
    digest = hashlib.sha256(content + f"{identity} {root} {signed}".encode()).hexdigest()
    statement = parse_statement(content)
    return read_piece(
        Verified(statement=statement, identity=identity, verified_at=signed, root=root, bundle_digest=digest), IMAGE
    )


def _signer(kind: Kind, policy: Policy, environment: Environment, context: Mapping[str, Any]) -> tuple[str, Identity]:
    found = allowed_signer(kind, policy, environment, context["source"]["commit"])
    if found is None:
        raise broken(FOLDER, f"nobody may sign {kind} in {environment.name}")
    return found


def _change(predicate: dict[str, Any], change: Change, case: Case) -> None:
    *parents, last = [int(step) if step.isdecimal() else step for step in (change.at or "").split(".")]
    place: Any = predicate
    try:
        for step in parents:
            place = place[step]
        if change.remove:
            del place[last]
        else:
            place[last] = change.to
    except (KeyError, IndexError, TypeError):
        raise broken(FOLDER, f"{case.name}: no {change.at} in {change.evidence}") from None


def _list_of(made: Mapping[Kind, Evidence], release: Release) -> dict[str, Any]:
    def annotations(kind: Kind) -> dict[str, Any]:
        platform = {"platform": PLATFORM} if SHAPES[kind].per_platform else {}
        return {"kind": str(kind), "status": "present", **platform}

    return {
        "attester": {"id": NAME},
        "references": [
            {
                "name": str(kind),
                "digest": {"sha256": one.digest},
                "mediaType": BUNDLE_MEDIA_TYPE,
                "annotations": annotations(kind),
            }
            for kind, one in made.items()
        ],
        "gatehouse_sequence": 1,
        "gatehouse_issued": release.signed,
    }


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def asked(trial: Trial, policy: Policy) -> Iterator[str]:
    """The rules that the case's evidence is asked about."""
    kinds = {one.kind for one in trial.evidence}
    for compiled in policy.rules:
        if any(kind is not None and compiled.rule.applies(kind, trial.environment) for kind in kinds):
            yield compiled.rule.id
