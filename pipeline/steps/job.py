"""What a step is given, and the record it leaves."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline.files import sha256_file, write_atomic
from pipeline.model.context import Context, Source, Tool
from pipeline.model.documents import canonical_json, parse
from pipeline.model.errors import CannotEvaluate
from pipeline.model.outcome import Artifact, StepRecord
from pipeline.settings import Settings
from pipeline.steps.forge import Forge

#: The locks whose digests stand in every predicate.
LOCKS = (
    "requirements.txt",
    "requirements/base.lock.json",
    "requirements/bootstrap.txt",
    "requirements/checks.txt",
    "requirements/pipeline.txt",
    "requirements/test.txt",
)


def _nothing(_: str) -> None:
    """Harmless default for progress."""


def lock_digests(root: Path) -> dict[str, str]:
    """Path below ``root`` to SHA-256 of each lock that is there."""
    return {name: sha256_file(root / name) for name in LOCKS if (root / name).is_file()}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run over one source tree; steps get this and nothing from the environment."""

    root: Path
    settings: Settings
    source: Source
    tools: Mapping[str, Path] = field(default_factory=dict)
    """Name of a locked environment (``checks``, ``test``, ``pipeline``) to its Python."""
    options: Sequence[str] = ()
    """What the user typed behind ``--``."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    ci: bool = False
    docker_config: Path | None = None
    """The folder of Docker's ``config.json``, where a registry's credentials are; None: anonymous."""
    forge: Forge | None = None
    """Where the repository is, in a job of GitHub Actions that was given its token; None elsewhere."""
    requester: str = ""
    """Who asked for the run, where the CI system says so: the address of a GitHub profile."""
    hosted: bool = False
    """A job of GitHub Actions, by its own word: the provenance names another builder than a local one."""
    say: Callable[[str], None] = _nothing
    """Takes one line of progress."""

    @property
    def state(self) -> Path:
        """The clone's private folder: environments, caches, keys, local store, ledger. Ignored by git."""
        return self.root / ".gatehouse"

    @property
    def dist(self) -> Path:
        """What the run leaves for people and for CI. Ignored by git."""
        return self.root / "dist"

    def context(self, tool: str, version: str) -> Context:
        return Context(
            source=self.source,
            locks=lock_digests(self.root),
            tool=Tool(name=tool, version=version),
            python=platform.python_version(),
        )

    def python(self, environment: str) -> Path:
        """The interpreter of a locked environment; raises CannotEvaluate (``tool.missing``)."""
        try:
            return self.tools[environment]
        except KeyError as error:
            raise CannotEvaluate(
                "tool.missing",
                f"environment {environment}: not made (got {sorted(self.tools)}, expected {environment})",
                fix="run the step through `scripts/pipeline` or `nox`, which make the locked environments",
            ) from error

    def write_artifact(self, path: Path, content: bytes) -> Artifact:
        """Write a file below ``dist`` whole, and name it for the record."""
        write_atomic(path, content)
        return self.artifact(path)

    def artifact(self, path: Path) -> Artifact:
        return Artifact(path=path.relative_to(self.root).as_posix(), sha256=sha256_file(path))

    def record_path(self, step: str) -> Path:
        return self.state / "steps" / f"{step}.json"

    def write_record(self, record: StepRecord) -> None:
        write_atomic(self.record_path(record.step), canonical_json(record.model_dump(mode="json")))

    def read_record(self, step: str) -> StepRecord | None:
        """The record of the last run of ``step``, None where there is none or it is of another source tree."""
        try:
            content = self.record_path(step).read_bytes()
        except FileNotFoundError:
            return None
        record = parse(StepRecord, content, what=f"record of step {step}")
        return record if record.context is None or record.context.source == self.source else None
