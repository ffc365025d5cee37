"""``policy test``: each case gets its verdict, each rule has a passing and a refusing one, each mutant is noticed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.gate.mutants import mutants
from pipeline.gate.mutation import Score, score
from pipeline.gate.policy import Policy, load_policy, read_files
from pipeline.gate.trials import Trial, asked, load_trials
from pipeline.model.errors import Refused


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """What the tests of a policy found. ``problems`` are sentences; none: the policy does what its cases say."""

    rules: int
    cases: int
    judgements: int
    problems: tuple[str, ...]
    mutation: Score | None = None

    def lines(self) -> Iterator[str]:
        yield from self.problems
        wrong = f"{len(self.problems)} problems" if self.problems else "all as expected"
        yield f"policy: {self.cases} cases, {self.judgements} judgements, {self.rules} rules: {wrong}"
        if self.mutation is not None:
            yield from (f"survived: {name}" for name in self.mutation.survivors)
            noticed = self.mutation.count - len(self.mutation.survivors)
            percent = f"{self.mutation.percent:.1f} %"
            yield f"mutation: {noticed} of {self.mutation.count} mutants turned a case red, {percent}"

    def check(self) -> None:
        """Raises Refused (``policy.case-failed``, ``policy.mutant``)."""
        if self.problems:
            more = f" and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            raise Refused(
                "policy.case-failed",
                f"policy: not as its cases say (got {self.problems[0][:400]}{more}, expected no problem)",
                fix="mend the policy, or the case in policies/tests where the policy was changed on purpose",
            )
        if self.mutation is not None and (self.mutation.survivors or not self.mutation.count):
            raise Refused(
                "policy.mutant",
                f"policy: a looser one passes its cases (got {self.mutation.percent:.1f} % of {self.mutation.count} "
                "mutants noticed, expected 100 %)",
                fix="add a case to policies/tests that tells the policy from the mutant named above",
            )


def check_cases(folder: Path, *, mutate: bool = False) -> Tested:
    """Judge every case of ``folder/tests``; with ``mutate`` by every mutant too (some 1,000 of them, 15 seconds).

    Raises CannotEvaluate (``policy.*``, ``document.*``).
    """
    policy = load_policy(folder)
    trials = load_trials(folder, policy)
    problems = (*_wrong(trials, policy), *_uncovered(trials, policy))
    # Where a case is red as it is, it tells nothing from nothing.
    mutation = score(mutants(read_files(folder)[0], policy), trials, policy) if mutate and not problems else None
    return Tested(
        rules=len(policy.rules),
        cases=len({trial.case.name for trial in trials}),
        judgements=len(trials),
        problems=problems,
        mutation=mutation,
    )


def _wrong(trials: Sequence[Trial], policy: Policy) -> Iterator[str]:
    for trial in trials:
        yield from (f"case {trial.name}: {said}" for said in trial.problems(trial.judge(policy)))


def _uncovered(trials: Sequence[Trial], policy: Policy) -> Iterator[str]:
    """Rules that no case sees pass, or that no case sees refuse."""
    refused = {code for trial in trials for code in trial.case.codes}
    passed = {
        code
        for trial in trials
        for code in asked(trial, policy)
        if code not in (*trial.case.codes, *trial.case.warnings)
    }
    for compiled in policy.rules:
        code = compiled.rule.id
        if code not in refused:
            yield f"rule {code}: no case that it refuses"
        if code not in passed:
            yield f"rule {code}: no case that it lets pass"
