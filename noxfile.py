"""Orchestration only: which sessions there are and their order. Steps are in pipeline/steps, environments in
pipeline/running/environments.py; `scripts/pipeline` runs the main job.
"""

import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from pipeline.processes import end_on_signals, end_with_parent  # noqa: E402 - the root must be on the path first
from pipeline.running import environments, request, sessions  # noqa: E402

end_on_signals()  # here, so that nox tells its sessions, and each of them its step
if request.current().run:
    end_with_parent()  # started by the main job, which may be killed

# Nox hands what is behind `--` to every required session as well. Whoever names an image or an environment speaks of
# what is there already, and needs none of them: it is judged again in any case.
NAMED = "--" in sys.argv

nox.options.default_venv_backend = "none"  # environments are made from hash-locked files, not by nox
nox.options.sessions = ["promote"]  # and so everything that it requires


def _step(session: nox.Session, name: str) -> None:
    code = sessions.run_session(ROOT, name, session.posargs, request.current(), session.log)
    if code != 0:
        session.error(f"{name}: exit code {code}")


def _python(session: nox.Session, environment: str, *arguments: str) -> None:
    python = environments.ensure(ROOT, environment, session.log).python
    session.run(str(python), *arguments, external=True, interrupt_timeout=10, terminate_timeout=10)


def _gatehouse(session: nox.Session, *arguments: str) -> None:
    _python(session, "pipeline", "-I", str(ROOT / "pipeline" / "__main__.py"), *arguments)


@nox.session(allow_parallel=True)
def lock(session: nox.Session) -> None:
    """Check that every lock is hashed and fresh; `-- update` writes them, `-- base` the Debian base's."""
    _step(session, "lock")


@nox.session(allow_parallel=True)
def lint(session: nox.Session) -> None:
    """Ruff and hadolint."""
    _step(session, "lint")


@nox.session(allow_parallel=True)
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    _step(session, "types")


@nox.session(allow_parallel=True)
def tests(session: nox.Session) -> None:
    """The service's tests with branch coverage."""
    _step(session, "tests")


@nox.session(allow_parallel=True)
def sast(session: nox.Session) -> None:
    """Bandit, with nothing ignored but what policies/sast.toml accepts."""
    _step(session, "sast")


@nox.session(allow_parallel=True)
def workflows(session: nox.Session) -> None:
    """zizmor, the workflow schema and checks of our own over .github/workflows."""
    _step(session, "workflows")


@nox.session(allow_parallel=True)
def audit(session: nox.Session) -> None:
    """Known vulnerabilities in what is locked (pip-audit)."""
    _step(session, "audit")


@nox.session(allow_parallel=True, requires=["image"])
def sbom(session: nox.Session) -> None:
    """CycloneDX SBOM of the image: wheels and Debian packages."""
    _step(session, "sbom")


@nox.session(allow_parallel=True, requires=["lock"])
def image(session: nox.Session) -> None:
    """Compose the image, reproducibly."""
    _step(session, "image")


@nox.session(allow_parallel=True, requires=["image"])
def smoke(session: nox.Session) -> None:
    """Run the image, hardened on an engine where one answers."""
    _step(session, "smoke")


@nox.session(allow_parallel=True)
def source(session: nox.Session) -> None:
    """What the forge says of the commit: change, reviews, tag, rules of the branch (in CI, with a token)."""
    _step(session, "source")


@nox.session(requires=["lint", "types", "tests", "sast", "workflows", "audit", "sbom", "image", "smoke", "source"])
def attest(session: nox.Session) -> None:
    """Sign every result and attach it to the image digest."""
    _step(session, "attest")


@nox.session(requires=[] if NAMED else ["attest"])
def verify(session: nox.Session) -> None:
    """Judge the image for every environment from its evidence; `-- sha256:...` one that is attested already."""
    _step(session, "verify")


@nox.session(requires=[] if NAMED else ["verify"])
def promote(session: nox.Session) -> None:
    """Promote to development; `-- ENVIRONMENT [sha256:...]` what is attested already."""
    _step(session, "promote")


@nox.session
def reproduce(session: nox.Session) -> None:
    """Build the image again, or `-- [HOST/REPO@]sha256:...`, compare, and sign what came out."""
    try:
        _step(session, "reproduce")
    finally:
        if (ROOT / environments.STATE / "run.json").exists():
            _gatehouse(session, "report")


@nox.session
def rollback(session: nox.Session) -> None:
    """Go back to an image that ran before: `-- ENVIRONMENT --to sha256:...`; docs/rollback.md is the plan."""
    _gatehouse(session, "rollback", *(session.posargs or ["--help"]))


@nox.session
def trust(session: nox.Session) -> None:
    """Fetch the public Sigstore trust root anew; `-- check` only looks at the vendored one."""
    _gatehouse(session, "trust", *(session.posargs or ["refresh"]))


@nox.session
def forecast(session: nox.Session) -> None:
    """Say when today's evidence stops passing: `-- --format ics` for a calendar, `-- --help` for what else."""
    _gatehouse(session, "forecast", *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Write dist/report.html for the last run."""
    _gatehouse(session, "report", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated tables of the documents; a test fails where they are stale."""
    _python(session, "pipeline", "-m", "pipeline.report.documents", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure main job, image and gate, each beside its alternative in one run; prints, never judges."""
    for benchmark in sorted((ROOT / "benchmarks").glob("*.py")):
        if not session.posargs or benchmark.stem in session.posargs:
            _python(session, "test", str(benchmark))


@nox.session
def full(session: nox.Session) -> None:
    """The whole suite with long fuzzing and repetition."""
    _python(session, "test", "-m", "pytest", "-m", "full or not full", "--hypothesis-profile=full", *session.posargs)
