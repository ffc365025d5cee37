"""The command behind ``scripts/pipeline``: the sessions in their order, then the report and the verdict."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from pipeline.files import locked, write_atomic
from pipeline.git import take_snapshot
from pipeline.model.errors import Misuse
from pipeline.processes import call
from pipeline.running import reuse
from pipeline.running.environments import STATE, ensure, locate
from pipeline.running.request import Request, current
from pipeline.running.sessions import CLOSING, TOOLS, SessionResult, result_path, run_session

MAIN = tuple(TOOLS)
CHECKS = tuple(name for name in MAIN if name not in CLOSING)

_EPILOG = """sessions of the main job, in order:
  {sessions}
exit codes: 0 allowed, 1 refused, 2 arguments or pipeline.toml, 3 could not evaluate"""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What was typed; raises Misuse (``arguments.*``), and ends the process after ``--help``."""
    parser = argparse.ArgumentParser(
        prog="scripts/pipeline",
        description="Run the main job: every check, the image, its signed evidence, and the verdict per environment.",
        epilog=_EPILOG.format(sessions=" ".join(MAIN)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sessions", nargs="*", metavar="SESSION", help="run these instead of all")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the result is printed on stdout"
    )
    parser.add_argument("--fresh", action="store_true", help="reuse no earlier result (CI=true does the same)")
    parser.add_argument("--explain-reuse", action="store_true", help="say what would be reused and why, and end")
    parser.add_argument("--registry", default="", metavar="HOST/REPO", help="push image and evidence to this registry")
    parser.add_argument("-j", "--jobs", default="auto", metavar="N", help="sessions side by side (default: one a core)")
    parsed = parser.parse_args(argv)
    unknown = [name for name in parsed.sessions if name not in MAIN]
    if unknown:
        raise Misuse(
            "arguments.session",
            f"session {unknown[0]!r}: unknown (got {unknown[0]!r}, expected one of {', '.join(MAIN)})",
            fix="see `scripts/pipeline --help`; sessions outside the main job are run with `scripts/nox -s NAME`",
        )
    if parsed.jobs != "auto" and not (parsed.jobs.isdigit() and int(parsed.jobs) > 0):
        raise Misuse(
            "arguments.jobs",
            f"--jobs: not a number of sessions (got {parsed.jobs!r}, expected a positive number or auto)",
            fix="give a number, or leave it out",
        )
    return parsed


def explain_reuse(root: Path, names: Sequence[str]) -> None:
    """Print, per step, whether its last result stands for today's tree, and why."""
    snapshot = take_snapshot(root)
    fresh = current().fresh
    for name in names:
        decision = reuse.decide(root / STATE, name, snapshot)
        verb = "reuse" if decision.reuse and not fresh else "run"
        why = "CI=true runs everything" if fresh else decision.why
        print(f"{name:10} {verb:6} {why}")


def _nox(root: Path, names: Sequence[str], jobs: str, request: Request) -> None:
    """Run sessions by nox; how each one ended is in its own file, so nox's exit code decides nothing."""
    nox = [str(locate(root, "bootstrap").python), "-I", "-m", "nox", "--noxfile", str(root / "noxfile.py")]
    command = [*nox, "--no-dependencies", "--session", *names]
    if jobs != "1" and len(names) > 1:
        command += ["--parallel", jobs]
    environment = {**os.environ, **request.as_variable()}
    call(command, cwd=root, env=environment, stdout=sys.stderr)


def _collect(root: Path, names: Sequence[str], run: str) -> list[SessionResult]:
    """What each session of this run left; one that left nothing was not run."""
    results = []
    for name in names:
        try:
            result = SessionResult(**json.loads(result_path(root, name).read_bytes()))
        except (OSError, ValueError, TypeError):
            result = SessionResult("", name, "not run", 0.0, 3)
        results.append(result if result.run == run else SessionResult(run, name, "not run", 0.0, 3))
    return results


def _prepare(root: Path, names: Sequence[str]) -> None:
    """Make the environments of all sessions side by side: the network is what takes the time."""
    needed = {"pipeline", *(tool for name in names for tool in TOOLS[name])} - {"bootstrap"}
    with ThreadPoolExecutor(len(needed)) as pool:
        list(pool.map(lambda name: ensure(root, name, _say), sorted(needed)))


def _stale(root: Path, names: Sequence[str], request: Request) -> list[str]:
    """Those whose last result does not stand."""
    snapshot = take_snapshot(root)
    return [name for name in names if request.fresh or not reuse.decide(root / STATE, name, snapshot).reuse]


def _check_settings(root: Path, request: Request) -> int:
    """Say what is wrong with pipeline.toml and the registry given once, and not in every session."""
    command = [str(locate(root, "pipeline").python), "-I", str(root / "pipeline" / "__main__.py"), "settings", "check"]
    return call([*command, "--registry", request.registry], cwd=root, env=os.environ)


def _run_checks(root: Path, names: Sequence[str], stale: Sequence[str], jobs: str, request: Request) -> None:
    """The independent sessions. Those whose result stands are over in milliseconds, so they get no process."""
    for name in names:
        if name not in stale:
            run_session(root, name, (), request, _say)
    left = [name for name in names if name in stale]
    if left:
        _nox(root, left, jobs, request)


#: Below the state folder, where files are written under another name first.
_WRITTEN = ("store", "steps", "sessions", "reuse", "ledger", "sigstore")
_ABANDONED_AFTER = 3600


def _sweep(root: Path) -> None:
    """Remove what a killed run left unfinished: an hour is longer than any write takes."""
    folders = [root / "dist", *(root / STATE / name for name in _WRITTEN)]
    for file in (file for folder in folders for file in folder.rglob(".*")):
        with contextlib.suppress(OSError):
            if file.is_file() and file.stat().st_mtime < time.time() - _ABANDONED_AFTER:
                file.unlink()


def _waiting() -> None:
    _say("another run of the main job in this clone goes on: waiting for its end")


def main(root: Path, argv: Sequence[str]) -> int:
    """Run the job; returns the exit code of the README's table. Raises GatehouseError where it cannot start."""
    arguments = parse_arguments(argv)
    names = [name for name in MAIN if name in (arguments.sessions or MAIN)]
    if arguments.explain_reuse:
        explain_reuse(root, names)
        return 0
    ambient = current()
    request = Request(
        run=f"{time.time_ns():x}-{os.getpid()}",
        fresh=arguments.fresh or ambient.fresh,
        registry=arguments.registry,
        ci=ambient.ci,
    )
    started = time.time()
    with locked(root / STATE / "locks" / "pipeline.lock", waiting=_waiting):
        _sweep(root)
        _prepare(root, names)
        stale = _stale(root, names, request)
        # What is reused has passed with this very pipeline.toml, which is an input of every check.
        if (len(stale) == len(names) or request.registry) and (code := _check_settings(root, request)) != 0:
            return code
        _run_checks(root, [name for name in names if name in CHECKS], stale, arguments.jobs, request)
        closing = [name for name in names if name in CLOSING]
        if closing:
            _nox(root, closing, "1", request)
        results = _collect(root, names, request.run)
        record = {
            "run": request.run,
            "started": int(started),
            "seconds": round(time.time() - started, 2),
            "sessions": [asdict(result) for result in results],
        }
        write_atomic(root / STATE / "run.json", json.dumps(record).encode())
        report_code = _report(root, arguments.format)
    return _exit_code(results) or report_code


def _report(root: Path, style: str) -> int:
    python = ensure(root, "pipeline", _say).python
    command = [str(python), "-I", str(root / "pipeline" / "__main__.py"), "report", "--format", style]
    return 0 if call(command, cwd=root, env=os.environ) == 0 else 3


def _exit_code(results: Sequence[SessionResult]) -> int:
    """The worst that a session says: a refusal, or what could not start, brings about others that did not run."""
    codes = {result.exit_code for result in results}
    return next((code for code in (1, 2) if code in codes), max(codes, default=3))
