"""The command line: parses, calls, prints, exits. No rules live here, and imports wait until a command needs them."""

import argparse
import importlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.model.errors import CannotEvaluate, GatehouseError

if TYPE_CHECKING:
    from pipeline.model.outcome import Outcome, Problem
    from pipeline.settings import Settings
    from pipeline.steps.job import Job

STEPS = {
    **{
        name: f"pipeline.steps.{name}"
        for name in (
            "lock",
            "lint",
            "types",
            "tests",
            "sast",
            "workflows",
            "audit",
            "sbom",
            "image",
            "smoke",
            "attest",
        )
    },
    "verify": "pipeline.gate.step",
    "promote": "pipeline.promotion.step",
}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not an RFC 3339 time: {text!r}") from None
    if parsed.tzinfo is None:
        raise argparse.ArgumentTypeError(f"a time without its offset says nothing: {text!r} (add Z)")
    return parsed.astimezone(UTC)


def _environment(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"not NAME=PYTHON: {text!r}")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline", description="Evidence, gate and promotion of one image.", epilog=_EXIT_CODES
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    step = commands.add_parser("step", help="run one step (the sessions call this)")
    step.add_argument("name", choices=STEPS)
    step.add_argument("--environment", action="append", default=[], type=_environment, metavar="NAME=PYTHON")
    step.add_argument("--registry", default="", metavar="HOST/REPO")
    step.add_argument("--ci", action="store_true")
    step.set_defaults(run=_step)

    verify = commands.add_parser("verify", help="judge an image from its evidence, today or at a given time")
    verify.add_argument("image", help="sha256:... or a tag in the store")
    verify.add_argument("--environment", default="development")
    verify.add_argument("--at", type=_time, default=None, metavar="TIME", help="RFC 3339; default: now")
    verify.add_argument("--registry", default="", metavar="HOST/REPO", help="default: pipeline.toml's store")
    verify.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    verify.add_argument("--format", choices=("text", "json"), default="text")
    verify.set_defaults(run=_verify)

    policy = commands.add_parser("policy", help="check the policy files")
    policy.add_argument("action", choices=("check",))
    policy.add_argument("--policy", type=Path, default=None, metavar="FOLDER", help="default: policies/")
    policy.set_defaults(run=_policy)

    checked = commands.add_parser("settings", help="check pipeline.toml")
    checked.add_argument("action", choices=("check",))
    checked.add_argument("--registry", default="", metavar="HOST/REPO")
    checked.set_defaults(run=_settings)

    report = commands.add_parser("report", help="write dist/report.html and print the result of the last run")
    report.add_argument("--format", choices=("text", "json"), default="text")
    report.set_defaults(run=_report)

    trust = commands.add_parser("trust", help="check or refresh the vendored Sigstore trust root")
    trust.add_argument("action", choices=("check", "refresh"))
    trust.set_defaults(run=_trust)
    return parser


_EXIT_CODES = "exit codes: 0 allowed, 1 refused, 2 arguments or pipeline.toml, 3 could not evaluate"


def _root() -> Path:
    return Path(__file__).resolve().parent.parent


def _use_system_certificates() -> None:
    """Proxies with a root certificate of their own are in the system's store, not in certifi's list."""
    import truststore

    truststore.inject_into_ssl()


def _docker_config() -> Path:
    """Where Docker keeps the credentials of registries."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _load_settings(registry: str) -> "Settings":
    from pipeline import settings

    loaded = settings.load(_root())
    return settings.with_registry(loaded, registry) if registry else loaded


def make_job(arguments: argparse.Namespace) -> "Job":
    """Everything a step is given: settings, source, environments, options."""
    from pipeline.source import read_source
    from pipeline.steps.job import Job

    root = _root()
    loaded = _load_settings(arguments.registry)
    return Job(
        root=root,
        settings=loaded,
        source=read_source(root),
        tools=dict(arguments.environment),
        options=arguments.options,
        ci=arguments.ci,
        docker_config=_docker_config(),
        say=_say,
    )


def _step(arguments: argparse.Namespace) -> int:
    from pipeline.model.outcome import Status, StepRecord
    from pipeline.processes import end_with_parent

    end_with_parent()  # nobody is left to take its result
    _use_system_certificates()
    started = time.time()
    job = make_job(arguments)
    outcome, code = _outcome(job, arguments.name)
    record = StepRecord(
        step=arguments.name,
        context=job.context("gatehouse", _version()),
        seconds=round(time.time() - started, 2),
        started=int(started),
        outcome=outcome,
    )
    job.write_record(record)
    print(f"{arguments.name}: {outcome.status.value}: {outcome.finding}", flush=True)
    for problem in outcome.problems:
        _say(f"{problem.code}: {problem.message}\n  fix: {problem.fix}")
    if outcome.status is Status.FAILED:
        return 1
    return code


def _version() -> str:
    from pipeline import __version__

    return __version__


def _outcome(job: "Job", name: str) -> "tuple[Outcome, int]":
    """Run the step's own code; whatever stops it becomes a record that cannot be taken for a pass."""
    from pipeline.model.outcome import Outcome, Status
    from pipeline.source import read_source

    try:
        outcome: Outcome = importlib.import_module(STEPS[name]).run(job)
        if read_source(job.root) != job.source:
            raise CannotEvaluate(
                "source.changed",
                f"{name}: the source changed while the step ran (got another tree, expected {job.source.tree[:12]})",
                fix="let the run end before editing, then run it again",
            )
    except GatehouseError as error:
        status = Status.FAILED if error.exit_code == 1 else Status.CRASHED
        return Outcome(status=status, finding=error.message, problems=[_problem(error)]), error.exit_code
    except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a pass, nor show a traceback
        defect = _unexpected(job.state, name, error)
        return Outcome(status=Status.CRASHED, finding=defect.message, problems=[_problem(defect)]), defect.exit_code
    return outcome, 0


def _problem(error: GatehouseError) -> "Problem":
    from pipeline.model.outcome import Problem

    return Problem(code=error.code, message=error.message, fix=error.fix)


def _unexpected(state: Path, name: str, error: BaseException) -> CannotEvaluate:
    """A defect: the traceback goes to a file of the state folder, one line to the user."""
    from pipeline.files import write_atomic

    log = state / "logs" / f"{name}.log"
    write_atomic(log, "".join(traceback.format_exception(error)).encode("utf-8", "replace"), mode=0o600)
    return CannotEvaluate(
        "internal.defect",
        f"{name}: stopped by a defect of the pipeline (got {type(error).__name__}, expected none)",
        fix=f"report it with the file {log.relative_to(state.parent)}",
    )


def _verify(arguments: argparse.Namespace) -> int:
    from pipeline.gate.verify_command import print_judgement, verify_image
    from pipeline.store.opening import open_store

    _use_system_certificates()
    root = _root()
    state = root / ".gatehouse"
    loaded = _load_settings(arguments.registry)
    judgement = verify_image(
        open_store(loaded.store.registry, state, docker_config=_docker_config()),
        arguments.image,
        arguments.environment,
        arguments.policy or root / "policies",
        arguments.at or datetime.now(UTC),
        state,
    )
    print_judgement(judgement, sys.stdout, style=arguments.format)
    return judgement.exit_code


def _policy(arguments: argparse.Namespace) -> int:
    from pipeline.gate.verify_command import check_policies

    print(check_policies(arguments.policy or _root() / "policies"))
    return 0


def _settings(arguments: argparse.Namespace) -> int:
    _load_settings(arguments.registry)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pipeline.report.command import write_reports

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    write_reports(
        _root(),
        sys.stdout,
        style=arguments.format,
        no_color=bool(os.environ.get("NO_COLOR")),
        summary=Path(summary) if summary else None,
    )
    return 0


def _trust(arguments: argparse.Namespace) -> int:
    from pipeline.signing import refresh, trust, vendored

    folder = _root() / "policies" / "trust"
    now = datetime.now(UTC)
    if arguments.action == "refresh":
        _use_system_certificates()
        refreshed = refresh.refresh_public(folder, today=now.date())
        print(f"trust: {', '.join(refreshed.changed) or 'nothing'} changed")
    public = vendored.load_public(folder, now)
    for line in trust.warnings(trust.load_trusted_root(public.trusted_root, what="public Sigstore", now=now), now):
        _say(f"warning: {line}")
    print(f"trust: public Sigstore root of {vendored.read_vendored(folder).taken}, unchanged since and current")
    return 0


def main(argv: Sequence[str]) -> int:
    # What stands behind `--` is the step's own; argparse would take its dashes for ours.
    before, after = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    arguments = _parser().parse_args(before, argparse.Namespace(options=tuple(after)))
    try:
        code = arguments.run(arguments)
        return int(code)
    except GatehouseError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _say("interrupted: nothing is half-written; run the command again to go on")
        return 130
    except Exception as error:  # noqa: BLE001
        _say(str(_unexpected(_root() / ".gatehouse", arguments.command, error)))
        return 3
