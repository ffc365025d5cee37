"""The image from its locks, its Dockerfile and its source: the same bytes on every machine, without an engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.debian.packages import Package
from pipeline.git import take_snapshot
from pipeline.hash_locks import read_lock
from pipeline.image.archive import PlatformImage, Written, write_archive
from pipeline.image.context import IGNORE, copied, ignore, own_folders, read_context
from pipeline.image.dockerfile import NAME, Recipe, read
from pipeline.image.foreign_base import Reference, read_reference
from pipeline.image.foundation import LOCKED, Foundation, lay
from pipeline.image.layer import Entry, Packed, pack
from pipeline.image.lower_layers import Workshop
from pipeline.image.wheels import LOCK, Wheel
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished archive, and what went into it, per platform; ``base`` is None where it is the locked one.

    ``versions`` are those of what built it, by name, for the provenance.
    """

    written: Written
    recipe: Recipe
    packages: dict[str, list[Package]]
    wheels: dict[str, list[Wheel]]
    base: Reference | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every builder starts from: the Dockerfile's reading, and the context less what is ignored."""

    recipe: Recipe
    context: dict[str, Entry]
    files: dict[str, Entry]
    """Dockerfile and .dockerignore, which an engine reads itself."""

    @property
    def app(self) -> dict[str, Entry]:
        """The entries that COPY and WORKDIR bring."""
        return copied(self.context, self.recipe.copies, self.recipe.made)

    @property
    def own_folders(self) -> frozenset[str]:
        """Those of the application that COPY lines bring with what is in them."""
        return own_folders(self.context, self.recipe.copies)


def compose(shop: Workshop, settings: Settings, source: Source, archive: Path) -> Composed:
    """Build ``archive`` for every platform of the settings.

    Raises Refused, Misuse and CannotEvaluate with the codes of the parts: ``base.*``, ``lock.*``, ``wheel*.*``,
    ``dockerfile.*``, ``context.*``, ``download.*``, ``source.changed``, ``files.*``.
    """
    plan = read_plan(shop.root, settings, source)
    app = plan.app
    locked = list(read_lock(shop.root, LOCK).values())
    foundations = [
        lay(shop, settings, plan.recipe.base, platform, locked) for platform in sorted(settings.image.platforms)
    ]
    tops = [pack(foundation.carrying(app, plan.own_folders), time=source.committed) for foundation in foundations]
    return finish(shop, settings, source, plan.recipe, list(zip(foundations, tops, strict=True)), archive)


def finish(
    shop: Workshop,
    settings: Settings,
    source: Source,
    recipe: Recipe,
    built: Sequence[tuple[Foundation, Packed]],
    archive: Path,
) -> Composed:
    """Write the archive of foundations and the application's layer on each; raises CannotEvaluate (``files.*``)."""
    images = [
        PlatformImage(
            foundation.platform,
            image_config(foundation, top, recipe, settings=settings, source=source),
            [*foundation.layers, top],
        )
        for foundation, top in built
    ]
    shop.say("writing the archive")
    return Composed(
        written=write_archive(archive, images, name=settings.app.name, tag=settings.app.version),
        recipe=recipe,
        packages={foundation.platform: list(foundation.packages) for foundation, _ in built},
        wheels={foundation.platform: list(foundation.wheels) for foundation, _ in built},
        base=built[0][0].base,
    )


def read_plan(root: Path, settings: Settings, source: Source, *, engine: bool = False) -> Plan:
    """Dockerfile and context of ``source``; ``engine`` allows RUN.

    Raises CannotEvaluate (``source.changed``), Refused and Misuse (``dockerfile.*``, ``context.*``,
    ``image.root-user``).
    """
    snapshot = take_snapshot(root)
    if snapshot.tree != source.tree:
        raise CannotEvaluate(
            "source.changed",
            f"work tree: changed since the run began (got tree {snapshot.tree[:12]}, expected {source.tree[:12]})",
            fix="run the pipeline again, and let the work tree rest while it runs",
        )
    context = read_context(root, settings.app.directory, snapshot)
    if NAME not in context:
        raise Refused(
            "dockerfile.missing",
            f"{settings.app.directory}/{NAME}: not found (got no such file among those that git sees, expected it)",
            fix="add it, or correct `[app] directory` in pipeline.toml",
        )
    named = {"BASE_IMAGE": settings.base.image} if settings.base.image else {}
    recipe = read(_text(context[NAME], NAME), named, otherwise={"BASE_IMAGE": LOCKED}, engine=engine)
    _check(recipe)
    patterns = _text(context[IGNORE], IGNORE) if IGNORE in context else ""
    files = {name: context[name] for name in (NAME, IGNORE) if name in context}
    return Plan(recipe=recipe, context=ignore(context, patterns), files=files)


def _check(recipe: Recipe) -> None:
    if recipe.base != LOCKED:
        read_reference(recipe.base)
    if recipe.base_from not in {"${BASE_IMAGE}", "$BASE_IMAGE"}:
        raise Refused(
            "dockerfile.literal-base",
            f"{NAME}: FROM names an image itself, which an engine would fetch (got {recipe.base_from[:300]}, "
            "expected ${BASE_IMAGE})",
            fix=f"write `ARG BASE_IMAGE={recipe.base[:300]}` and `FROM ${{BASE_IMAGE}}`",
        )
    if not recipe.user:
        raise Refused(
            "image.root-user",
            f"{NAME}: no user (got none, expected USER with numbers that are not 0)",
            fix="add `USER 65532:65532`",
        )
    shell = next((run for run in recipe.runs if not run.is_array), None)
    if recipe.base == LOCKED and shell is not None:
        raise Refused(
            "dockerfile.no-shell",
            f"{NAME}:{shell.line}: RUN in the shell's form, and the locked base has no shell (got RUN "
            f'{shell.words[0][:100]}, expected RUN ["program", "argument"])',
            fix='write the exec form, as in `RUN ["/usr/bin/python3", "-c", "..."]`, or name another base by digest',
        )


def _text(entry: Entry, name: str) -> str:
    try:
        return entry.content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            "dockerfile.encoding",
            f"{name}: not text (got {error.reason} at byte {error.start}, expected UTF-8)",
            fix=f"save {name} as UTF-8",
        ) from error


def image_config(
    foundation: Foundation, top: Packed, recipe: Recipe, *, settings: Settings, source: Source
) -> dict[str, Any]:
    """The image's configuration (OCI ``config.md``); the tree's label gives every source tree its own digest."""
    system, _, architecture = foundation.platform.partition("/")
    created = f"{datetime.fromtimestamp(source.committed, UTC):%Y-%m-%dT%H:%M:%SZ}"
    labels = {
        **recipe.labels,
        "org.opencontainers.image.title": settings.app.name,
        "org.opencontainers.image.version": settings.app.version,
        "org.opencontainers.image.revision": source.commit,
        "org.opencontainers.image.source": source.uri.removeprefix("git+"),
        "dev.gatehouse.tree": source.tree,
    }
    return {
        "created": created,
        "architecture": architecture,
        "os": system,
        **({"variant": "v8"} if architecture == "arm64" else {}),
        "config": {**run_config(foundation, recipe), "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*foundation.layers, top)]},
        "history": [
            {"created": created, "created_by": f"gatehouse: {step}"} for step in (*foundation.made_of, f"{NAME}")
        ],
    }


def run_config(foundation: Foundation, recipe: Recipe) -> dict[str, Any]:
    """What an engine is told, but for labels: the Dockerfile's word on the foundation's environment."""
    config = {
        "User": recipe.user,
        "WorkingDir": recipe.directory,
        "Env": [f"{name}={value}" for name, value in {**foundation.environment, **recipe.environment}.items()],
        "Entrypoint": list(recipe.entrypoint),
        "Cmd": list(recipe.command),
        "ExposedPorts": {port: {} for port in recipe.ports},
        "StopSignal": recipe.stop_signal,
    }
    return {name: value for name, value in config.items() if value}
