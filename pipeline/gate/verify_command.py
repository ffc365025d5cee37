"""``python -m pipeline verify`` and ``policy check``, as functions of their arguments."""

import json
from datetime import datetime
from pathlib import Path
from typing import Literal, TextIO

from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall, remember
from pipeline.gate.policy import load_policy
from pipeline.model.errors import Misuse
from pipeline.store.interface import Store


def verify_image(
    store: Store, reference: str, environment: str, policies: Path, at: datetime, state: Path
) -> Judgement:
    """Judge what ``reference`` is in ``store``, with the policy folder given, as of ``at``.

    Raises Misuse (``verify.time``), and CannotEvaluate and Refused where policy, trust roots or store cannot be read;
    else the Judgement says all.
    """
    if not 1971 <= at.year <= 2999:  # what is so many hours before or after has to be a time as well
        raise Misuse(
            "verify.time",
            f"--at: not a time to judge at (got {rfc3339(at)}, expected the years 1971 to 2999)",
            fix="give the time that you mean: --at 2026-12-31T00:00:00Z",
        )
    policy = load_policy(policies)
    policy.environment(environment)
    _, image = read_image(store, reference)
    evidence = gather(store, image, load_roots(state, policies))
    judgement = judge(image, evidence, policy, environment, at, recall(state, store, image.digest))
    remember(state, store, judgement)
    return judgement


def print_judgement(judgement: Judgement, stream: TextIO, *, style: Literal["text", "json"]) -> None:
    """The verdict for people, or as ``gatehouse-verdict/1``."""
    if style == "json":
        stream.write(json.dumps(judgement.to_json(), indent=2, ensure_ascii=False) + "\n")
        return
    when = rfc3339(judgement.time)
    levels = ", ".join(judgement.levels)
    stream.write(f"{judgement.image}\n{judgement.environment}: {judgement.result} as of {when}, {levels}\n")
    for name, findings in (("refused", judgement.refusals), ("warning", judgement.warnings)):
        stream.writelines(f"  {name}: {one.code}: {one.message}\n    fix: {one.fix}\n" for one in findings)
    stream.write(f"evidence: {len(judgement.inputs)} bundles; policy sha256:{judgement.policy}\n")


def check_policies(folder: Path) -> str:
    """One line about a policy that holds together; raises CannotEvaluate (``policy.*``)."""
    policy = load_policy(folder)
    names = ", ".join(environment.name for environment in policy.environments)
    return f"policy: {len(policy.rules)} rules for {names}; sha256:{policy.digest}"
