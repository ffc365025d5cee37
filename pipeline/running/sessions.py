"""One session: make its environments, reuse its last result where that still holds, else run its step."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.files import locked, write_atomic
from pipeline.git import take_snapshot
from pipeline.model.errors import CannotEvaluate, GatehouseError
from pipeline.processes import call
from pipeline.running import reuse
from pipeline.running.environments import STATE, ensure
from pipeline.running.request import Request

#: Step to the environments that it uses beside ``pipeline``, which runs it.
TOOLS = {
    "lock": ("bootstrap", "checks"),
    "lint": ("checks",),
    "types": ("test", "checks"),
    "tests": ("test",),
    "sast": ("checks",),
    "workflows": ("checks",),
    "audit": ("checks",),
    "sbom": ("checks", "bootstrap"),
    "image": ("bootstrap", "checks"),
    "smoke": (),
    "source": (),
    "attest": (),
    "verify": (),
    "promote": (),
}
#: The same of steps that run on demand, outside the main job.
ON_DEMAND = {"reproduce": ("bootstrap", "checks")}
#: Steps of the main job that judge and sign what the others left: they run after them, whatever those found.
CLOSING = ("attest", "verify", "promote")


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How one session of a run ended; ``result`` is a step's status, ``reused``, or ``not run``."""

    run: str
    name: str
    result: str
    seconds: float
    exit_code: int
    why: str = ""


def result_path(root: Path, name: str) -> Path:
    return root / STATE / "sessions" / f"{name}.json"


def run_session(root: Path, step: str, options: Sequence[str], request: Request, say: Callable[[str], None]) -> int:
    """Run or reuse ``step`` and note how it ended; returns the exit code (0, 1, 2 or 3).

    A lock per step keeps two runs of one clone from writing the same record at once.
    """
    started = time.monotonic()
    lock = root / STATE / "locks" / f"step-{step}.lock"
    with locked(lock, waiting=lambda: say(f"{step}: runs in this clone already: waiting for its end")):
        try:
            result, code, why = _run_or_reuse(root, step, tuple(options), request, say)
        except GatehouseError as error:
            say(str(error))
            result, code, why = "crashed", error.exit_code, error.message
    ended = SessionResult(request.run, step, result, round(time.monotonic() - started, 2), code, why)
    write_atomic(result_path(root, step), json.dumps(asdict(ended)).encode())
    return code


def _run_or_reuse(
    root: Path, step: str, options: tuple[str, ...], request: Request, say: Callable[[str], None]
) -> tuple[str, int, str]:
    state = root / STATE
    snapshot = take_snapshot(root)
    decision = (
        reuse.Decision(reuse=False, why="--fresh or CI=true")
        if request.fresh
        else reuse.decide(state, step, snapshot, options)
    )
    if decision.reuse:
        reuse.carry_over(state, step, snapshot)
        finding = json.loads((state / "steps" / f"{step}.json").read_bytes())["outcome"]["finding"]
        say(f"{step}: reused ({decision.why}): {finding}")
        return "reused", 0, decision.why
    code = _run_step(root, step, options, request, say)
    status = _recorded_status(state, step, snapshot.tree)
    if code == 0 and status in ("passed", "warned"):
        reuse.remember(state, step, snapshot)
    return (status if code == 0 or status != "passed" else "crashed"), code, decision.why


def _run_step(root: Path, step: str, options: tuple[str, ...], request: Request, say: Callable[[str], None]) -> int:
    python = ensure(root, "pipeline", say).python
    command = [str(python), "-I", str(root / "pipeline" / "__main__.py"), "step", step]
    for name in ("pipeline", *(TOOLS | ON_DEMAND).get(step, ())):
        command += ["--environment", f"{name}={ensure(root, name, say).python}"]
    if request.registry:
        command += ["--registry", request.registry]
    if request.ci:
        command.append("--ci")
    # The whole environment goes on: attest needs the ambient identity, smoke the engine. -I shuts out PYTHON*.
    code = call([*command, *(["--", *options] if options else [])], cwd=root, env=os.environ)
    if code not in (0, 1, 2, 3):
        raise CannotEvaluate(
            "step.killed",
            f"{step}: ended without a result (got {f'signal {-code}' if code < 0 else f'exit code {code}'}, "
            "expected exit code 0, 1, 2 or 3)",
            fix="run the command again; where it happens again, look whether memory runs out (`dmesg`)",
        )
    return code


def _recorded_status(state: Path, step: str, tree: str) -> str:
    """The status in the record that the step has just written; no record, or one of another tree, is a crash."""
    try:
        record = json.loads((state / "steps" / f"{step}.json").read_bytes())
        return str(record["outcome"]["status"]) if record["context"]["source"]["tree"] == tree else "crashed"
    except (OSError, ValueError, KeyError, TypeError):
        return "crashed"
