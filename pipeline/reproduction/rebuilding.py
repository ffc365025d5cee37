"""The second build: a clean checkout of the commit, an emptied environment, empty caches, another process."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.image.archive import Archive
from pipeline.indexes import pip_environment
from pipeline.model.documents import parse, validate
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Outcome, Status, StepRecord
from pipeline.model.predicates import Provenance
from pipeline.processes import call, engine_addresses, scrubbed
from pipeline.reproduction.checkout import check_out
from pipeline.reproduction.target import Target
from pipeline.runtime.engines import find_engine
from pipeline.steps.job import Job

BuilderName = Literal["composer", "engine"]
_PROGRAM = Path(__file__).resolve().parents[1] / "__main__.py"
#: What an environment has to say however empty it is: where programs are, and the way to the network.
_KEPT = (
    *("PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)
#: Another time zone, 5:45 h ahead, and another locale than the first build had.
_UNUSUAL = {"TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "C"}
#: The refusal that speaks of the builder and not of the image: an engine can do it.
_NEEDS_ENGINE = "dockerfile.needs-engine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """The second image and what its builder says of it."""

    archive: Archive
    provenance: Provenance


def choose_builders(first: str, platforms: Mapping[str, Any], environment: Mapping[str, str]) -> list[BuilderName]:
    """Whom to ask, in this order: another builder than the ``first`` where there is one, else the same again.

    An engine counts where it is there and runs every platform of the image itself. ``environment`` is
    ``processes.engine_addresses()``.
    """
    if first == "engine":
        return ["composer", "engine"]
    engine = find_engine(environment).engine
    return ["engine"] if engine is not None and set(platforms) == {engine.platform} else ["composer"]


def build_again(job: Job, target: Target, folder: Path, *, environment: Mapping[str, str]) -> Rebuilt:
    """Build what ``target``'s provenance names below ``folder``, with the first builder that can.

    Raises CannotEvaluate (``reproduction.*``).
    """
    source = target.provenance.context.source
    first = str(target.provenance.build_definition.external_parameters.get("builder"))
    builders = choose_builders(first, target.facts.platforms, environment)
    if builders == ["composer"] and (missing := find_engine(environment).reasons):
        job.say(f"no container engine, so the same builder builds again: {'; '.join(missing)}")
    for name in builders:
        place = folder / name
        job.say(f"checking out {source.commit[:12]} and building it again with the {name}")
        check_out(job.root, source, place / "clone")
        outcome = _build(job, place, name)
        problem = outcome.problems[0] if outcome.problems else None
        if outcome.status in (Status.PASSED, Status.WARNED):
            return _read(place / "clone", outcome)
        if name == builders[-1] or problem is None or problem.code != _NEEDS_ENGINE:
            break
    got, fix = (f"{problem.code}: {problem.message}", problem.fix) if problem else (outcome.finding, "run it again")
    raise CannotEvaluate(
        "reproduction.build",
        f"second build with the {name}: not finished (got {got}, expected an image)",
        fix=fix,
    )


def _build(job: Job, place: Path, builder: BuilderName) -> Outcome:
    words = [sys.executable, "-I", str(_PROGRAM), "rebuild", str(place / "clone"), "--builder", builder]
    words += [word for name, python in job.tools.items() for word in ("--environment", f"{name}={python}")]
    words += ["--docker-config", str(job.docker_config)] if job.docker_config else []
    call(words, cwd=place, env=_environment(place, builder))
    try:
        content = (place / "clone" / ".gatehouse" / "steps" / "image.json").read_bytes()
    except OSError as error:
        raise CannotEvaluate(
            "reproduction.build",
            f"second build with the {builder}: ended without a result (got {error.strerror}, expected its record)",
            fix="run the command again; where it happens again, look whether memory or disk runs out",
        ) from error
    return parse(StepRecord, content, what="record of the second build").outcome


def _environment(place: Path, builder: BuilderName) -> dict[str, str]:
    """Nothing of this one's but ``_KEPT``, the package index and, where one builds, the engine's address."""
    folders = {"HOME": place / "home", "TMPDIR": place / "tmp", "XDG_CACHE_HOME": place / "home" / ".cache"}
    for path in folders.values():
        path.mkdir(parents=True)
    return {
        **{name: value for name, value in scrubbed().items() if name in _KEPT},
        **(engine_addresses() if builder == "engine" else {}),
        **pip_environment(),
        **{name: str(path) for name, path in folders.items()},
        **_UNUSUAL,
    }


def _read(clone: Path, outcome: Outcome) -> Rebuilt:
    (found,) = (one for one in outcome.evidence if one.kind is Kind.PROVENANCE)
    return Rebuilt(
        archive=Archive(clone / outcome.data["archive"]),
        provenance=validate(Provenance, found.predicate, what="provenance of the second build"),
    )
