"""Step ``smoke``: the image starts, answers, withstands nonsense and ends when told to.

On a container engine it runs hardened, and that is evidence. Without one its entrypoint runs in unprivileged user
namespaces: a warning, never evidence. What the service can do is declared in pipeline.toml, nothing of it known here.
"""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import processes
from pipeline.files import locked
from pipeline.image.archive import unpack_rootfs
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, Status
from pipeline.model.predicates import Descriptor, TestResult, dump
from pipeline.runtime.containers import HARDENING, LOG_BYTES, run_hardened
from pipeline.runtime.engines import Engine, find_engine
from pipeline.runtime.exchanges import Exchange
from pipeline.runtime.launch import read_launch
from pipeline.runtime.probes import Check
from pipeline.runtime.sandbox import run_in_namespaces, workplace
from pipeline.steps.built_image import BuiltImage, read_image
from pipeline.steps.job import Job

MACHINES = {"x86_64": "linux/amd64", "amd64": "linux/amd64", "aarch64": "linux/arm64", "arm64": "linux/arm64"}
LOG_LINES = 5


def run(job: Job) -> Outcome:
    """The Outcome; evidence (Kind.SMOKE) where an engine ran it. Raises CannotEvaluate (``smoke.*``)."""
    return smoke(job, processes.engine_addresses())


def smoke(job: Job, environment: Mapping[str, str]) -> Outcome:
    """``run``, with where to look for an engine."""
    image = read_image(job, step="smoke")
    search = find_engine(environment)
    with locked(job.state / "locks" / "smoke"), processes.unwinding():
        if search.engine is not None:
            return _on_engine(job, image, search.engine)
        job.say(f"no container engine ({'; '.join(search.reasons)}): trying user namespaces")
        return _in_namespaces(job, image)


def _on_engine(job: Job, image: BuiltImage, engine: Engine) -> Outcome:
    if engine.platform not in image.platforms:
        return _no_platform(image, engine.platform)
    config = image.archive.manifest(engine.platform)["config"]["digest"]
    app = job.settings.app
    job.say(f"running the image on {engine.name} {engine.version}")
    done = run_hardened(
        engine,
        image.path,
        frozenset({config, image.platforms[engine.platform], image.archive.digest}),
        port=app.port,
        health=app.health,
        exchanges=_exchanges(job),
    )
    log = _keep_log(job, done.log)
    unseen = sorted(set(image.platforms) - {engine.platform})
    failed = [check for check in done.checks if not check.passed]
    missing = f"; not run: {', '.join(unseen)}" if unseen else ""
    missing += "" if job.settings.smoke else "; pipeline.toml declares no [[smoke]] request of the service's own"
    if failed:
        status, finding = Status.FAILED, f"{_list(failed)} on {engine.name}"
    else:
        finding = f"{len(done.checks)} checks passed, hardened, on {engine.name} {engine.version}{missing}"
        status = Status.WARNED if missing else Status.PASSED
    return Outcome(
        status=status,
        finding=finding,
        evidence=[
            Evidence(kind=Kind.SMOKE, platform=engine.platform, predicate=_predicate(job, engine, done.checks, log))
        ],
        problems=_problems(failed, done.log),
        artifacts=[log],
        data={"hardened": _hardened(done.checks), "engine": engine.name, "unseen": unseen},
    )


def _exchanges(job: Job) -> list[Exchange]:
    return [Exchange(**declared.model_dump()) for declared in job.settings.smoke]


def _predicate(job: Job, engine: Engine, checks: Sequence[Check], log: Artifact) -> dict[str, Any]:
    app = job.settings.app
    asked = [exchange.model_dump() for exchange in job.settings.smoke]
    options = HARDENING | {"port": app.port, "health": app.health, "exchanges": asked}
    failed = [check.name for check in checks if not check.passed]
    return dump(
        TestResult(
            gatehouse_context=job.context(engine.name, engine.version),
            result="FAILED" if failed else "PASSED",
            configuration=[Descriptor(name="smoke", digest={"sha256": Digest.of(canonical_json(options)).hex})],
            passedTests=[check.name for check in checks if check.passed],
            failedTests=failed,
            gatehouse_measures={
                "tests": len(checks),
                "failures": len(failed),
                "hardened": _hardened(checks),
                "engine": engine.name,
                "requests": len(asked),
                "log_sha256": log.sha256,
            },
        )
    )


def _hardened(checks: Sequence[Check]) -> bool:
    return any(check.name == "runs-hardened" and check.passed for check in checks)


def _in_namespaces(job: Job, image: BuiltImage) -> Outcome:
    here = MACHINES.get(platform.machine(), platform.machine())
    if here not in image.platforms:
        return _no_platform(image, here)
    app = job.settings.app
    with workplace(job.state / "smoke") as folder:
        rootfs, written = folder / "rootfs", folder / "log"
        rootfs.mkdir()
        rootfs.chmod(0o755)
        unpack_rootfs(image.path, here, rootfs)
        launch = read_launch(image.archive.config(here))
        report = run_in_namespaces(
            rootfs, launch, port=app.port, health=app.health, exchanges=_exchanges(job), log=written
        )
        output = _end_of(written)
    data = {"hardened": False}
    if report.impossible:
        finding = f"not run: no container engine, and no user namespace ({report.impossible})"
        return Outcome(status=Status.SKIPPED, finding=finding, data=data)
    log = _keep_log(job, output)
    started = Check("starts", passed=not report.broken, detail=report.broken or "as expected")
    failed = [check for check in (started, *report.checks) if not check.passed]
    if failed:
        return Outcome(
            status=Status.FAILED,
            finding=f"{_list(failed)} in a user namespace",
            problems=_problems(failed, output),
            artifacts=[log],
            data=data,
        )
    finding = f"unhardened: user namespace, no engine; {len(report.checks)} checks passed, which are no evidence"
    return Outcome(status=Status.WARNED, finding=finding, artifacts=[log], data=data)


def _end_of(log: Path) -> bytes:
    if not log.exists():
        return b""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        return file.read(LOG_BYTES)


def _no_platform(image: BuiltImage, here: str) -> Outcome:
    finding = f"not run: the image is for {', '.join(sorted(image.platforms))}, this machine is {here}"
    return Outcome(status=Status.SKIPPED, finding=finding, data={"hardened": False})


def _list(failed: Sequence[Check]) -> str:
    return f"failed: {', '.join(check.name for check in failed)}"


def _problems(failed: Sequence[Check], log: bytes) -> list[Problem]:
    last = printable(log).splitlines()[-LOG_LINES:]
    said = " | ".join(last)[-1000:] or "nothing"
    return [
        Problem(
            code=f"smoke.{check.name.partition(' ')[0]}",
            message=f"running image: {check.name} does not hold (got {check.detail}, expected a pass); log: {said}",
            fix="read dist/reports/smoke.log, mend the service and run `scripts/pipeline image smoke`",
        )
        for check in failed
    ]


def printable(log: bytes) -> str:
    """Foreign output made safe for a terminal and an editor: control characters are written out, lines kept."""
    text = log.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _keep_log(job: Job, log: bytes) -> Artifact:
    return job.write_artifact(job.dist / "reports" / "smoke.log", printable(log).encode())
