"""The ``image`` step: build, look at what came out, and only then put it where others find it."""

import os
import time
from functools import partial
from pathlib import Path

from pipeline.debian import base_lock
from pipeline.image.archive import Archive
from pipeline.image.caches import prune
from pipeline.image.composer import Composed, compose
from pipeline.image.engine_build import build_with_engine
from pipeline.image.hardening import Examination, examine, hardening_predicate
from pipeline.image.lower_layers import Workshop
from pipeline.image.provenance import build_provenance
from pipeline.image.soundness import Flaw
from pipeline.indexes import pip_environment
from pipeline.model.errors import Misuse
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Outcome, Problem, Status
from pipeline.processes import engine_addresses, program_folders, unwinding
from pipeline.runtime.engines import find_buildx, find_engine
from pipeline.steps.foreign_images import pull
from pipeline.steps.job import Job
from pipeline.steps.secret_search import secret_search

TOOL = ("gatehouse-image", "1")
MAX_PROBLEMS = 20
_FIXES = {
    "image.altered-package": "leave what a package brought as it is, else the SBOM names what is not there: "
    "lock a mended release, or a wheel of your own",
    "image.dangling-link": "copy the file that the link points to, or leave the link out",
    "image.missing-library": "add the package with that library to requirements/base.in, or leave out what needs it",
    "image.package-manager": "leave it out of requirements.in and of the application: an image is replaced, not mended",
    "image.root-user": "end the Dockerfile with `USER 65532:65532`",
    "image.secret": "take it out of the tree and revoke it: whoever can pull the image can read it; "
    "where it is no secret, say so in policies/secrets.toml",
    "image.setuid": "leave the file out, or take its set-user bit away",
    "image.shell": "leave it out: a service needs no shell, an intruder does",
    "image.world-writable": "take the write permission for others away (`chmod o-w`)",
}


def run(job: Job) -> Outcome:
    """Build ``dist/image.tar``; FAILED, and no archive, where its own layers show a flaw.

    Raises what the builder raises, and Misuse (``image.no-engine``).
    """
    archive = job.dist / "image.tar"
    fresh = archive.with_name("image.tar.new")
    archive.unlink(missing_ok=True)
    try:
        composed = _build(job, fresh)
        opened = Archive(fresh)
        job.say("reading the finished layers")
        search = secret_search(job)
        examined = {platform: examine(opened, platform, search) for platform in sorted(opened.platforms)}
        problems = [_problem(platform, flaw) for platform, seen in examined.items() for flaw in seen.flaws]
        if problems:
            return _refused(problems)
        os.replace(fresh, archive)
    finally:
        fresh.unlink(missing_ok=True)
    prune(job.state / "cache", now=time.time())  # not the job's time: files carry the machine's
    return _built(job, composed, examined, archive)


def _build(job: Job, archive: Path) -> Composed:
    shop = _workshop(job)
    if job.settings.image.builder == "composer":
        return compose(shop, job.settings, job.source, archive)
    search = find_engine(engine_addresses())
    if search.engine is None:
        raise Misuse(
            "image.no-engine",
            f"container engine: none to build with (got {'; '.join(search.reasons)}, expected Docker or podman)",
            fix="start one, set DOCKER_HOST to its socket, or write the Dockerfile without RUN and set "
            '`[image] builder = "composer"`',
        )
    buildx = find_buildx(program_folders())
    with unwinding():
        return build_with_engine(shop, job.settings, job.source, archive, search.engine, buildx=buildx)


def _workshop(job: Job) -> Workshop:
    return Workshop(
        root=job.root,
        cache=job.state / "cache",
        pip=job.python("checks"),
        pip_environment=pip_environment(),
        say=job.say,
        pull=partial(pull, job),
    )


def _problem(platform: str, flaw: Flaw) -> Problem:
    return Problem(
        code=flaw.code,
        message=f"{platform}: /{flaw.path.lstrip('/')}: not allowed in an image (got {flaw.detail}, expected none)",
        fix=_FIXES[flaw.code],
    )


def _refused(problems: list[Problem]) -> Outcome:
    finding = f"image refused: {len(problems)} flaws, the first {problems[0].message}"
    return Outcome(status=Status.FAILED, finding=finding, problems=problems[:MAX_PROBLEMS])


def _built(job: Job, composed: Composed, examined: dict[str, Examination], archive: Path) -> Outcome:
    context = job.context(*TOOL)
    written = composed.written
    provenance = build_provenance(
        context,
        job.settings,
        composed,
        suite="" if composed.base else base_lock.load(job.root).suite,
        hosted=job.hosted,
    )
    hardening = [
        Evidence(
            kind=Kind.HARDENING,
            platform=platform,
            predicate=hardening_predicate(
                context, seen, target=job.settings.app.name, digest=written.platforms[platform]
            ),
        )
        for platform, seen in examined.items()
    ]
    size = sum(int(seen.measures["compressed_bytes"]) for seen in examined.values())
    return Outcome(
        status=Status.PASSED,
        finding=f"{written.digest} for {', '.join(written.platforms)}, {size / 1e6:.1f} MB compressed",
        evidence=[Evidence(kind=Kind.PROVENANCE, predicate=provenance), *hardening],
        artifacts=[job.artifact(archive)],
        data={
            "digest": written.digest,
            "media_type": written.media_type,
            "size": written.size,
            "platforms": written.platforms,
            "archive": archive.relative_to(job.root).as_posix(),
            "packages": {name: [p.model_dump() for p in items] for name, items in composed.packages.items()},
            "wheels": {name: [w.model_dump() for w in items] for name, items in composed.wheels.items()},
            "measures": {platform: seen.measures for platform, seen in examined.items()},
        },
    )
