"""The ``verify`` session: judge the image for every environment, and say what each would do today.

The verdicts in ``dist/verdicts`` are previews: neither signed nor attached. Promotion judges again.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.judgement import Judgement
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall, remember
from pipeline.gate.openvex import openvex
from pipeline.gate.policy import load_policy
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.model.outcome import Artifact, Outcome, Problem, Status
from pipeline.steps.job import Job
from pipeline.store.opening import open_store

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

POLICIES = "policies"


def run(job: Job) -> Outcome:
    """Judge what ``job.options`` name, else the image of the last image step.

    PASSED and FAILED are the first environment's verdict. Raises Misuse (``verify.arguments``), and CannotEvaluate
    where evidence could not be evaluated.
    """
    if len(job.options) > 1:
        raise Misuse(
            "verify.arguments",
            f"verify: too many arguments (got {len(job.options)}, expected an image at most)",
            fix="type `scripts/nox -s verify -- sha256:...`, once for each image",
        )
    roots = load_roots(job.state, job.root / POLICIES)
    judgements = judge_everywhere(job, job.options[0] if job.options else built_image(job), roots)
    artifacts = [_write(job, judgement) for judgement in judgements]
    artifacts += [artifact for judgement in judgements if (artifact := _write_vex(job, judgement))]
    first = judgements[0]
    for finding in first.refusals:
        if finding.unreadable:
            raise CannotEvaluate(finding.code, finding.message, fix=finding.fix)
    return Outcome(
        status=Status.PASSED if first.passed else Status.FAILED,
        finding="; ".join(map(_line, judgements)),
        problems=[*(finding.problem() for finding in first.refusals), *_ending(roots, job.now)],
        artifacts=artifacts,
        data={"digest": str(first.image), "accepted": [one.environment for one in judgements if one.passed]},
    )


def _ending(roots: "Mapping[str, TrustedRoot]", now: datetime) -> Iterator[Problem]:
    """What in a trust root ends within 30 days: no refusal yet, and nothing to be surprised by."""
    from pipeline.signing.trust import expiring  # noqa: PLC0415 - imports sigstore

    for name, root in roots.items():
        for part in expiring(root, now):
            yield Problem(
                code="trust.expiring",
                message=f"trust root {name}: {part.kind} {part.name} ends soon (got {part.end:%Y-%m-%d}, "
                "expected more than 30 days from now)",
                fix="fetch the current trusted root: `scripts/nox -s trust`",
            )


def judge_everywhere(job: Job, reference: str, roots: "Mapping[str, TrustedRoot]") -> list[Judgement]:
    """One judgement an environment, in the order of promotion, over the same evidence."""
    policy = load_policy(job.root / POLICIES)
    store = open_store(job.settings.store.registry, job.state, docker_config=job.docker_config)
    _, image = read_image(store, reference)
    evidence = gather(store, image, roots)
    memory = recall(job.state, store, image.digest)
    judgements = [judge(image, evidence, policy, here.name, job.now, memory) for here in policy.environments]
    for judgement in judgements:
        remember(job.state, store, judgement)
    return judgements


def built_image(job: Job) -> str:
    """The digest that the image step recorded for this source; raises CannotEvaluate (``image.unknown``)."""
    record = job.read_record("image")
    digest = record.outcome.data.get("digest") if record else None
    if not isinstance(digest, str):
        raise CannotEvaluate(
            "image.unknown",
            "image: none was built from this source (got no record of the image step, expected its digest)",
            fix="build and attest it first: `scripts/pipeline`; or name it: `scripts/nox -s verify -- sha256:...`",
        )
    return digest


def _line(judgement: Judgement) -> str:
    if not judgement.passed:
        return f"{judgement.environment} refuses ({len(judgement.refusals)})"
    warned = f" with {len(judgement.warnings)} warnings" if judgement.warnings else ""
    return f"{judgement.environment} accepts{warned}"


def _write_vex(job: Job, judgement: Judgement) -> Artifact | None:
    """What the policy excuses of the image's vulnerabilities there, for scanners; None where it excuses none."""
    policy, name = load_policy(job.root / POLICIES), job.settings.app.name
    author = policy.repository or name
    said = openvex(policy.exceptions, judgement.environment, judgement.image, name, author, job.now)
    path = job.dist / "vex" / f"{judgement.environment}.openvex.json"
    if said is None:
        path.unlink(missing_ok=True)
        return None
    return job.write_artifact(path, json.dumps(said, indent=2, ensure_ascii=False).encode() + b"\n")


def _write(job: Job, judgement: Judgement) -> Artifact:
    content = json.dumps(judgement.to_json(), indent=2, ensure_ascii=False).encode() + b"\n"
    return job.write_artifact(job.dist / "verdicts" / f"{judgement.environment}.json", content)
