"""The image from its locks, its Dockerfile and its source: the same bytes on every machine, without an engine."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.debian import base_lock
from pipeline.debian.packages import Architecture, Package
from pipeline.git import Snapshot, take_snapshot
from pipeline.hash_locks import read_lock
from pipeline.image.archive import PlatformImage, Written, write_archive
from pipeline.image.base_layer import MERGED
from pipeline.image.context import IGNORE, copied, ignore, read_context
from pipeline.image.dockerfile import NAME, Recipe, read
from pipeline.image.layer import Entry, Packed, Tree, folder, pack
from pipeline.image.lower_layers import LowerLayers, Workshop
from pipeline.image.wheels import LOCK, Wheel
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.settings import Settings

#: What FROM names when the base is the locked one.
BASE_IMAGE = "locked-base"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished archive, and what went into it, per platform."""

    written: Written
    recipe: Recipe
    packages: dict[str, list[Package]]
    wheels: dict[str, list[Wheel]]


def compose(shop: Workshop, settings: Settings, source: Source, archive: Path) -> Composed:
    """Build ``archive`` for every platform of the settings.

    Raises Refused, Misuse and CannotEvaluate with the codes of the parts: ``base.*``, ``lock.*``, ``wheel*.*``,
    ``dockerfile.*``, ``context.*``, ``download.*``, ``source.changed``, ``files.*``.
    """
    snapshot = take_snapshot(shop.root)
    if snapshot.tree != source.tree:
        raise CannotEvaluate(
            "source.changed",
            f"work tree: changed since the run began (got tree {snapshot.tree[:12]}, expected {source.tree[:12]})",
            fix="run the pipeline again, and let the work tree rest while it runs",
        )
    recipe, app = read_app(shop.root, settings, snapshot)
    lock = base_lock.require(shop.root, settings)
    locked = list(read_lock(shop.root, LOCK).values())
    images: list[PlatformImage] = []
    packages: dict[str, list[Package]] = {}
    wheels: dict[str, list[Wheel]] = {}
    for platform in sorted(settings.image.platforms):
        build = LowerLayers(shop, settings.base, lock, _architecture(platform), byte_code=settings.image.byte_code)
        chosen = build.fetch(locked)
        layers = [build.base(), build.dependencies(chosen), pack(_app_tree(recipe, app), time=source.committed)]
        config = image_config(platform, recipe, layers, settings=settings, source=source)
        images.append(PlatformImage(platform, config, layers))
        packages[platform] = list(lock.packages[build.architecture])
        wheels[platform] = list(chosen)
    shop.say("writing the archive")
    written = write_archive(archive, images, name=settings.app.name, tag=settings.app.version)
    return Composed(written, recipe, packages, wheels)


def read_app(root: Path, settings: Settings, snapshot: Snapshot) -> tuple[Recipe, dict[str, Entry]]:
    """What the Dockerfile says, and the entries that its COPY lines bring."""
    context = read_context(root, settings.app.directory, snapshot)
    if NAME not in context:
        raise Refused(
            "dockerfile.missing",
            f"{settings.app.directory}/{NAME}: not found (got no such file among those that git sees, expected it)",
            fix="add it, or correct `[app] directory` in pipeline.toml",
        )
    recipe = read(_text(context[NAME], NAME), {"BASE_IMAGE": BASE_IMAGE})
    if recipe.base != BASE_IMAGE:
        raise _other_base(recipe.base)
    if not recipe.user:
        raise Refused(
            "image.root-user",
            f"{NAME}: no user (got none, expected USER with numbers that are not 0)",
            fix="add `USER 65532:65532`",
        )
    patterns = _text(context[IGNORE], IGNORE) if IGNORE in context else ""
    app = copied(ignore(context, patterns), recipe.copies)
    for path in app:
        if path.partition("/")[0] in MERGED:
            raise Refused(
                "dockerfile.merged-folder",
                f"{NAME}: COPY over a link of the base (got /{path}, expected it below /usr)",
                fix=f"copy to /usr/{path.partition('/')[0]}: a folder in place of the link would hide the system's",
            )
    return recipe, app


def _other_base(base: str) -> Refused:
    if "@sha256:" not in base:
        return Refused(
            "dockerfile.base-without-digest",
            f"{NAME}: FROM a base without a digest (got {base}, expected ${{BASE_IMAGE}} or name@sha256:...)",
            fix="write `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`, or name the image by its digest",
        )
    return Refused(
        "dockerfile.foreign-base",
        f"{NAME}: FROM an image that the composer does not have (got {base}, expected ${{BASE_IMAGE}})",
        fix='write `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}`, or set `[image] builder = "engine"` in pipeline.toml',
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


def _architecture(platform: str) -> Architecture:
    return "arm64" if platform.endswith("/arm64") else "amd64"


def _app_tree(recipe: Recipe, app: Tree) -> Tree:
    # WORKDIR makes its folder where no COPY did.
    directory = recipe.directory.strip("/")
    return {**({directory: folder()} if directory else {}), **app}


def image_config(
    platform: str, recipe: Recipe, layers: list[Packed], *, settings: Settings, source: Source
) -> dict[str, Any]:
    """The image's configuration (OCI ``config.md``); the tree's label gives every source tree its own digest."""
    system, _, architecture = platform.partition("/")
    created = f"{datetime.fromtimestamp(source.committed, UTC):%Y-%m-%dT%H:%M:%SZ}"
    steps = ("locked Debian packages", "locked wheels", f"{NAME}: COPY")
    config = {
        "User": recipe.user,
        "WorkingDir": recipe.directory,
        "Env": [f"{name}={value}" for name, value in {**_ENVIRONMENT, **recipe.environment}.items()],
        "Entrypoint": list(recipe.entrypoint),
        "Cmd": list(recipe.command),
        "ExposedPorts": {port: {} for port in recipe.ports},
        "StopSignal": recipe.stop_signal,
        "Labels": {
            **recipe.labels,
            "org.opencontainers.image.title": settings.app.name,
            "org.opencontainers.image.version": settings.app.version,
            "org.opencontainers.image.revision": source.commit,
            "org.opencontainers.image.source": source.uri.removeprefix("git+"),
            "dev.gatehouse.tree": source.tree,
        },
    }
    return {
        "created": created,
        "architecture": architecture,
        "os": system,
        **({"variant": "v8"} if architecture == "arm64" else {}),
        "config": {name: value for name, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": created, "created_by": f"gatehouse: {step}"} for step in steps],
    }
