"""What the image step left, for the steps that look at the image."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.image.archive import Archive
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status, StepRecord
from pipeline.steps.job import Job


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """``platforms`` maps each to its manifest's digest; ``base`` is a foreign base's purl, empty for the locked one."""

    path: Path
    archive: Archive
    platforms: dict[str, str]
    base: str


def read_image(job: Job, *, step: str) -> BuiltImage:
    """The image of this source tree, held against the archive that is there now.

    Raises CannotEvaluate (``<step>.image``).
    """
    record = job.read_record("image")
    if record is None or record.outcome.status not in {Status.PASSED, Status.WARNED}:
        raise CannotEvaluate(
            f"{step}.image",
            f"image: not made (got {record.outcome.status if record else 'no record'}, expected one of this tree)",
            fix=f"run `scripts/pipeline image {step}`",
        )
    data = record.outcome.data
    path = job.root / data["archive"]
    archive = Archive(path)
    if archive.digest != data["digest"]:
        raise CannotEvaluate(
            f"{step}.image",
            f"{data['archive']}: another image than the one recorded (got {archive.digest}, expected {data['digest']})",
            fix=f"run `scripts/pipeline image {step}`; nothing else should write below dist/",
        )
    return BuiltImage(path=path, archive=archive, platforms=dict(data["platforms"]), base=_foreign_base(record))


def _foreign_base(record: StepRecord) -> str:
    """The one image among what the provenance says went in."""
    for evidence in record.outcome.evidence:
        if evidence.kind is Kind.PROVENANCE:
            went_in = evidence.predicate["buildDefinition"]["resolvedDependencies"]
            return next((str(one["uri"]) for one in went_in if str(one.get("uri")).startswith("pkg:oci/")), "")
    return ""
