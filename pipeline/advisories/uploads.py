"""What the package index says of single files: when each was uploaded, whether it was taken back or attested.

Source: PyPA simple repository API as JSON (PEP 691), ``upload-time`` (PEP 700), ``yanked`` (PEP 592), ``provenance``
(PEP 740).
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from pipeline.advisories.fetching import NotFound, fetch_json
from pipeline.advisories.interface import NoAnswer
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate

WORKERS = 8
SECONDS = 20
JSON = "application/vnd.pypi.simple.v1+json"


class _Foreign(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class _File(_Foreign):
    filename: str
    hashes: dict[str, str]
    uploaded: str | None = Field(default=None, alias="upload-time")
    yanked: bool | str = False
    provenance: str | None = None


class _Project(_Foreign):
    files: list[_File]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file, by its SHA-256. ``time`` is None where the index does not say when it came."""

    sha256: str
    time: datetime | None
    yanked: bool
    attested: bool
    """The index offers a PEP 740 provenance for it. Nothing here verifies that."""


def read_uploads(base: str, names: Iterable[str], *, seconds: float = SECONDS) -> dict[str, dict[str, Upload] | str]:
    """Name to its files by SHA-256, or to the reason why the index could not say. ``base`` has no ``/simple``."""
    names = sorted(set(names))
    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(names, pool.map(lambda name: _ask(base, name, seconds), names), strict=True))


def _ask(base: str, name: str, seconds: float) -> dict[str, Upload] | str:
    try:
        project = validate(_Project, fetch_json(f"{base}/simple/{name}/", timeout=seconds, accept=JSON), what="index")
        return {file.hashes["sha256"]: _upload(file) for file in project.files if "sha256" in file.hashes}
    except NotFound:
        return "the index does not know it"
    except NoAnswer as reason:
        return f"the index did not answer: {reason}"
    except (CannotEvaluate, ValueError):
        return "the index has no JSON of the simple repository API"


def _upload(file: _File) -> Upload:
    return Upload(
        sha256=file.hashes["sha256"],
        time=None if file.uploaded is None else _time(file.uploaded),
        # An empty reason is a reason: the file was taken back all the same.
        yanked=file.yanked is not False,
        attested=file.provenance is not None,
    )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its offset")
    return time.astimezone(UTC)


def files_of(uploads: Mapping[str, Mapping[str, Upload] | str]) -> dict[str, Upload]:
    """Every file that was told of, by SHA-256."""
    return {sha: upload for files in uploads.values() if not isinstance(files, str) for sha, upload in files.items()}
