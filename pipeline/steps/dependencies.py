"""What is known of the service's dependencies beside their vulnerabilities; made with ``audit``, as both ask the index.

1. Each direct dependency is on the allow-list of ``policies/dependencies.toml``: a misspelt name is on none.
2. Each wheel that goes into the image has a RECORD that closes.
3. The index has not taken any of them back, and says when each was uploaded: a fresh upload may be an attack that
   nobody has seen yet, and how old is old enough is policy's.
4. For how many the index offers a PEP 740 provenance. It is counted, not verified.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.advisories.uploads import Upload, files_of, read_uploads
from pipeline.debian import base_lock
from pipeline.files import sha256_file
from pipeline.hash_locks import read_lock
from pipeline.image.wheel_files import read_wheel
from pipeline.image.wheels import LOCK, Wheel, fetch_wheels, for_image
from pipeline.indexes import index_base, pip_environment
from pipeline.model.errors import Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.outcome import Evidence, Problem
from pipeline.model.predicates import Descriptor, TestResult, dump
from pipeline.steps.allowed import FILE, load_allowed, normalised
from pipeline.steps.job import Job
from pipeline.steps.sbom_contents import direct_requirements

_NAME = SHAPES[Kind.DEPENDENCIES].configuration


def look(job: Job) -> tuple[Evidence, list[Problem]]:
    """The evidence, and what a person should look at.

    Raises Refused (``lock.*``, ``sbom.direct``) and CannotEvaluate (``dependencies.allowed``, ``base.*``, ``index.*``,
    ``wheels.*``).
    """
    wheels = _wheels(job)
    uploads = read_uploads(index_base(job.python("checks")), {wheel.name for wheel in wheels})
    problems = [*_strangers(job), *_open_records(wheels), *_taken_back(wheels, files_of(uploads))]
    unknown = list(_unknown(wheels, uploads))
    predicate = _predicate(job, wheels, files_of(uploads), problems, unknown)
    return Evidence(kind=Kind.DEPENDENCIES, predicate=dump(predicate)), [*problems, *unknown]


def _wheels(job: Job) -> dict[Wheel, Path]:
    """Every wheel of every platform's image, with the file that was checked against the lock."""
    locked, base = list(read_lock(job.root, LOCK).values()), base_lock.require(job.root, job.settings)
    found: dict[Wheel, Path] = {}
    for platform in job.settings.image.platforms:
        architecture = "arm64" if platform == "linux/arm64" else "amd64"
        found |= fetch_wheels(
            for_image(locked, architecture=architecture, python=base.python()),
            architecture=architecture,
            python=base.python(),
            cache=job.state / "cache" / "wheels",
            pip=job.python("checks"),
            pip_environment=pip_environment(),
            say=job.say,
        )
    return dict(sorted(found.items(), key=lambda item: item[0].filename))


def _strangers(job: Job) -> Iterator[Problem]:
    allowed = load_allowed(job.root)
    for name in sorted({normalised(requirement.name) for requirement in direct_requirements(job.root)}):
        if name not in allowed:
            yield Problem(
                code="dependencies.not-allowed",
                message=f"{name}: not an allowed dependency (got a name of no entry, expected it in {FILE})",
                fix=f"look whether the name is the one you mean, then add it to {FILE} with owner and reason",
            )


def _open_records(wheels: Mapping[Wheel, Path]) -> Iterator[Problem]:
    for path in wheels.values():
        try:
            read_wheel(path)
        except Refused as refusal:
            yield Problem(code=refusal.code, message=refusal.message, fix=refusal.fix)


def _taken_back(wheels: Mapping[Wheel, Path], files: Mapping[str, Upload]) -> Iterator[Problem]:
    for wheel in wheels:
        if wheel.sha256 in files and files[wheel.sha256].yanked:
            yield Problem(
                code="dependencies.yanked",
                message=f"{wheel.filename}: taken back by its maintainers (got a yanked file, expected another)",
                fix="take another release: `scripts/nox -s lock -- update`",
            )


def _unknown(wheels: Mapping[Wheel, Path], uploads: Mapping[str, Mapping[str, Upload] | str]) -> Iterator[Problem]:
    for wheel in wheels:
        files = uploads[wheel.name]
        if isinstance(files, str):
            reason = files
        elif wheel.sha256 not in files:
            reason = "the index no longer has this file"
        elif files[wheel.sha256].time is None:
            reason = "the index does not say when it was uploaded"
        else:
            continue
        yield Problem(
            code="dependencies.upload-time",
            message=f"{wheel.filename}: age unknown (got {reason}, expected the time of its upload)",
            fix="use an index that serves the simple repository API as JSON with upload times (PEP 691, PEP 700)",
        )


def _predicate(
    job: Job, wheels: Mapping[Wheel, Path], files: Mapping[str, Upload], failed: list[Problem], unknown: list[Problem]
) -> TestResult:
    uploads = [files[wheel.sha256] for wheel in wheels if wheel.sha256 in files]
    times = [upload.time for upload in uploads if upload.time is not None]
    names = sorted({str(requirement.name) for requirement in direct_requirements(job.root)})
    return TestResult(
        gatehouse_context=job.context("gatehouse", "1"),
        result="FAILED" if failed else ("WARNED" if unknown else "PASSED"),
        configuration=[Descriptor(name=_NAME, digest={"sha256": sha256_file(job.root / FILE)})],
        passedTests=[wheel.filename for wheel in wheels] if not failed else [],
        warnedTests=[problem.message for problem in unknown],
        failedTests=[problem.message for problem in failed],
        gatehouse_measures={
            "direct": len(names),
            "wheels": len(wheels),
            "age_unknown": len(unknown),
            "attested": sum(upload.attested for upload in uploads),
            **({"youngest_upload": _rfc3339(max(times))} if times else {}),
        },
    )


def _rfc3339(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
