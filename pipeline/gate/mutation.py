"""Whether the tests of a policy would notice: each rule and limit is loosened or deleted, and a case has to turn red.

A mutant that the policy's own checks refuse to load is noticed too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.gate.asking import views
from pipeline.gate.evidence import Piece
from pipeline.gate.mutants import Mutant
from pipeline.gate.policy import Policy
from pipeline.gate.rules import Item, Rule, View, compile_rule
from pipeline.gate.trials import Trial
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How many mutants there were, and the names of those that no case noticed."""

    count: int
    survivors: tuple[str, ...]

    @property
    def percent(self) -> float:
        return 100.0 * (self.count - len(self.survivors)) / self.count if self.count else 0.0


def score(found: Iterable[Mutant], trials: Sequence[Trial], policy: Policy) -> Score:
    """Judge the trials by each mutant of ``policy`` until one turns red."""
    seen = [_Seen.of(trial, policy) for trial in trials]
    count, survivors = 0, []
    for mutant in found:
        count += 1
        if not _noticed(mutant, seen):
            survivors.append(mutant.name)
    return Score(count=count, survivors=tuple(survivors))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """A trial, and what rules see of its evidence: kept, as a thousand mutants ask for it."""

    trial: Trial
    views: tuple[tuple[Kind, View], ...]

    @classmethod
    def of(cls, trial: Trial, policy: Policy) -> "_Seen":
        pieces = [one for one in trial.evidence if isinstance(one, Piece)]
        seen = views(pieces, policy.environment(trial.environment), trial.now)
        return cls(trial=trial, views=tuple((piece.kind, view) for piece, view in seen))

    def answers(self, rule: Rule) -> list[tuple[bool, list[Item]]]:
        """What a rule says of each piece that it is asked about: all that a verdict takes from it but words."""
        compiled = compile_rule(rule)
        asked = [view for kind, view in self.views if rule.applies(kind, self.trial.environment)]
        return [
            (compiled.refusal(view) is None, [replace(item, got="") for item in compiled.items(view)]) for view in asked
        ]


def _noticed(mutant: Mutant, seen: Sequence[_Seen]) -> bool:
    try:
        policy = mutant.policy()
    except CannotEvaluate:
        return True
    here = [one for one in seen if mutant.where in (None, one.trial.environment)]
    likely = sorted(here, key=lambda one: -len(mutant.about & one.trial.about))
    return any(
        one.trial.problems(one.trial.judge(policy))
        for one in likely
        if mutant.rules is None or _differ(one, mutant.rules)
    )


def _differ(one: _Seen, rules: tuple[Rule, Rule | None]) -> bool:
    """Whether the changed rule says anything else of a trial: if not, no verdict is another."""
    before, after = rules
    return one.answers(before) != (one.answers(after) if after else [])
