"""Step records with evidence of every kind, as the steps of one source tree leave them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.model.context import CONTEXT_PROPERTY, Context, Source
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json, validate
from pipeline.model.kinds import SHAPES, TEST_RESULT, Kind
from pipeline.model.outcome import Evidence, Outcome, Status, StepRecord
from pipeline.model.predicates import MODELS, dump
from pipeline.settings import Settings
from pipeline.steps.job import Job
from tests.support.images import write_archive

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
SOURCE = Source(uri="git+file:local", commit="a" * 40, tree="b" * 40, dirty=False, committed=1_763_000_000)
SETTINGS = Settings.model_validate(
    {
        "app": {
            "name": "noticeboard",
            "version": "0.1.0",
            "directory": "sample_app",
            "tests": "tests/sample_app",
            "port": 8888,
            "health": "/healthz",
        },
        "image": {"platforms": ["linux/amd64"]},
    }
)


def make_job(root: Path, *, now: datetime = NOW, source: Source = SOURCE, registry: str = "") -> Job:
    """A job below ``root`` that signs today: the local instance's certificates are real."""
    store = SETTINGS.store.model_copy(update={"registry": registry})
    settings = SETTINGS.model_copy(update={"store": store})
    return Job(root=root, settings=settings, source=source, now=now)


def predicate(kind: Kind, context: Context, **changes: Any) -> dict[str, Any]:
    """A small predicate that fits the kind's model; ``changes`` replace top-level fields."""
    stated = context.model_dump(mode="json")
    shape = SHAPES[kind]
    body: dict[str, Any]
    if shape.predicate_type == TEST_RESULT:
        body = {"result": "PASSED", "configuration": [{"name": shape.configuration}], "passedTests": ["all"]}
    elif kind is Kind.PROVENANCE:
        body = {
            "buildDefinition": {
                "buildType": "https://gatehouse.dev/build/v1",
                "externalParameters": {},
                "resolvedDependencies": [],
            },
            "runDetails": {"builder": {"id": "https://gatehouse.dev/builder/composer"}},
        }
    elif kind is Kind.HARDENING:
        body = {"attributes": [{"attribute": "NON_ROOT_USER"}], "producer": {"name": "gatehouse"}}
    elif kind is Kind.VULNERABILITIES:
        body = vulnerabilities(NOW)
    else:
        context_property = {"name": CONTEXT_PROPERTY, "value": canonical_json(stated).decode()}
        return {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "components": [],
            "metadata": {"properties": [context_property]},
            "dependencies": [],
        }
    return dump(validate(MODELS[kind], {**body, "gatehouse_context": stated, **changes}, what=str(kind)))


def vulnerabilities(scanned: datetime, *, age: int = 0, ids: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without its context. ``scanned`` is when, ``age`` the feed's in seconds, ``ids`` what was found."""
    found = {
        "package": "tornado",
        "version": "6.5",
        "purl": "pkg:pypi/tornado@6.5",
        "severity": "high",
        "aliases": [],
        "fixed_in": [],
        "direct": True,
    }
    return {
        "scanner": {
            "uri": "pkg:pypi/pip-audit",
            "version": "2.10.1",
            "db": {"uri": "https://feed.example", "lastUpdate": f"{scanned:%Y-%m-%dT%H:%M:%SZ}"},
            "result": [{"id": id_, "severity": [], "annotations": [found]} for id_ in ids],
        },
        "metadata": {
            "scanStartedOn": f"{scanned:%Y-%m-%dT%H:%M:%SZ}",
            "scanFinishedOn": f"{scanned:%Y-%m-%dT%H:%M:%SZ}",
        },
        "gatehouse_coverage": {
            "locked": [],
            "audited": [],
            "unaudited": {},
            "canary": True,
            "feeds": [{"name": "feed", "answered": True, "age_seconds": age, "note": ""}],
        },
    }


def write_record(job: Job, step: str, *evidence: Evidence, status: Status = Status.PASSED, **outcome: Any) -> None:
    """``outcome`` adds to the Outcome (``finding``, ``data``); ``context=None`` stands for a record without one."""
    context = outcome.pop("context", job.context("gatehouse", "1"))
    finding = outcome.pop("finding", f"{step} was fine")
    done = Outcome(status=status, finding=finding, evidence=list(evidence), **outcome)
    job.write_record(StepRecord(step=step, context=context, seconds=1, started=0, outcome=done))


def piece(job: Job, kind: Kind, **changes: Any) -> Evidence:
    return Evidence(kind=kind, predicate=predicate(kind, job.context("gatehouse", "1"), **changes))


def write_image(job: Job, *architectures: str, content: bytes = b"print('hello')\n") -> Digest:
    """The archive and the record of the image step, with provenance and hardening; the image's digest."""
    architectures = architectures or ("amd64",)
    written = write_archive(job.dist / "image.tar", content=content, platforms=architectures)
    context = job.context("gatehouse", "1")
    hardening = [
        Evidence(kind=Kind.HARDENING, platform=f"linux/{name}", predicate=predicate(Kind.HARDENING, context))
        for name in architectures
    ]
    write_record(
        job,
        "image",
        Evidence(kind=Kind.PROVENANCE, predicate=predicate(Kind.PROVENANCE, context)),
        *hardening,
        data={
            "digest": str(written.image),
            "archive": "dist/image.tar",
            "platforms": {f"linux/{name}": str(digest) for name, digest in written.platforms.items()},
        },
    )
    return written.image


def write_records(job: Job, *architectures: str) -> Digest:
    """Every step passed on this tree; only the smoke test found no engine. The image's digest."""
    image = write_image(job, *architectures)
    for step, kind in (("tests", Kind.TESTS), ("sast", Kind.SAST), ("workflows", Kind.WORKFLOWS)):
        write_record(job, step, piece(job, kind))
    write_record(job, "audit", piece(job, Kind.VULNERABILITIES, **vulnerabilities(job.now)))
    context = job.context("gatehouse", "1")
    sboms = [
        Evidence(kind=Kind.SBOM, platform=f"linux/{name}", predicate=predicate(Kind.SBOM, context))
        for name in architectures or ("amd64",)
    ]
    write_record(job, "sbom", *sboms)
    write_record(job, "smoke", status=Status.WARNED, finding="unhardened: no container engine answered")
    return image
