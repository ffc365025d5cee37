"""``step NAME``: one step of the pipeline, with its record; the sessions call this."""

import argparse
import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.edge import (
    Subcommands,
    docker_config,
    forge,
    hosted,
    load_settings,
    requester,
    root_folder,
    say,
    unexpected,
    use_system_certificates,
)
from pipeline.model.errors import CannotEvaluate, GatehouseError

if TYPE_CHECKING:
    from pipeline.model.outcome import Outcome, Problem
    from pipeline.steps.job import Job


_STEPS = ("lock", "lint", "types", "tests", "sast", "workflows", "audit", "sbom", "image", "smoke", "source", "attest")
#: Name of a step to the module whose ``run`` does it.
STEPS = {
    **{name: f"pipeline.steps.{name}" for name in _STEPS},
    "verify": "pipeline.gate.step",
    "promote": "pipeline.promotion.step",
    "reproduce": "pipeline.reproduction.step",
}


def register(commands: "Subcommands") -> None:
    step = commands.add_parser("step", help="run one step (the sessions call this)")
    step.add_argument("name", choices=STEPS)
    step.add_argument("--environment", action="append", default=[], type=environment, metavar="NAME=PYTHON")
    step.add_argument("--registry", default="", metavar="HOST/REPO")
    step.add_argument("--ci", action="store_true")
    step.set_defaults(run=_step)


def environment(text: str) -> tuple[str, Path]:
    """``NAME=PYTHON`` of a locked environment."""
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"not NAME=PYTHON: {text!r}")
    return name, Path(path)


def make_job(arguments: argparse.Namespace) -> "Job":
    """Everything a step is given: settings, source, environments, options."""
    from pipeline.source import read_source
    from pipeline.steps.job import Job

    root = root_folder()
    loaded = load_settings(arguments.registry)
    return Job(
        root=root,
        settings=loaded,
        source=read_source(root),
        tools=dict(arguments.environment),
        options=arguments.options,
        ci=arguments.ci,
        docker_config=docker_config(),
        forge=forge(),
        hosted=hosted(),
        requester=requester(),
        say=say,
    )


def _step(arguments: argparse.Namespace) -> int:
    from pipeline.model.outcome import Status
    from pipeline.processes import end_with_parent

    end_with_parent()  # nobody is left to take its result
    use_system_certificates()
    outcome, code = record(make_job(arguments), arguments.name)
    print(f"{arguments.name}: {outcome.status.value}: {outcome.finding}", flush=True)
    for problem in outcome.problems:
        say(f"{problem.code}: {problem.message}\n  fix: {problem.fix}")
    if outcome.status is Status.FAILED:
        return 1
    return code


def record(job: "Job", name: str) -> "tuple[Outcome, int]":
    """Run the step and leave its record; the exit code is of what stopped it, 0 for a step that came to its end."""
    from pipeline import __version__
    from pipeline.model.outcome import StepRecord

    started = time.time()
    outcome, code = _outcome(job, name)
    written = StepRecord(
        step=name,
        context=job.context("gatehouse", __version__),
        seconds=round(time.time() - started, 2),
        started=int(started),
        outcome=outcome,
    )
    job.write_record(written)
    return outcome, code


def _outcome(job: "Job", name: str) -> "tuple[Outcome, int]":
    """Run the step's own code; whatever stops it becomes a record that cannot be taken for a pass."""
    from pipeline.model.outcome import Outcome, Status
    from pipeline.source import read_source

    try:
        outcome: Outcome = importlib.import_module(STEPS[name]).run(job)
        # `lock -- update` and `lock -- base` write what is locked: that change is their result.
        if not (name == "lock" and job.options) and read_source(job.root) != job.source:
            raise CannotEvaluate(
                "source.changed",
                f"{name}: the source changed while the step ran (got another tree, expected {job.source.tree[:12]})",
                fix="let the run end before editing, then run it again",
            )
    except GatehouseError as error:
        status = Status.FAILED if error.exit_code == 1 else Status.CRASHED
        return Outcome(status=status, finding=error.message, problems=[_problem(error)]), error.exit_code
    except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a pass, nor show a traceback
        defect = unexpected(job.state, name, error)
        return Outcome(status=Status.CRASHED, finding=defect.message, problems=[_problem(defect)]), defect.exit_code
    return outcome, 0


def _problem(error: GatehouseError) -> "Problem":
    from pipeline.model.outcome import Problem

    return Problem(code=error.code, message=error.message, fix=error.fix)
