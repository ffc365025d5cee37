"""The image built by a container engine, from the same Dockerfile on the same lower layers.

The base with its dependencies is loaded into the engine, which builds on it without network and without cache. What it
built is read back: the lower layers must be the very ones that were given, and everything above becomes one layer with
the commit's time, as the composer writes it. So the digest is that of an archive of ours, and no engine's push is
trusted with it.
"""

import contextlib
import http.client
import io
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from pipeline import processes
from pipeline.files import locked, writing
from pipeline.hash_locks import read_lock
from pipeline.image.archive import PlatformImage, write_archive
from pipeline.image.composer import Composed, Plan, finish, read_plan, run_config
from pipeline.image.dockerfile import NAME
from pipeline.image.engine_output import Saved, built_tree, difference, read_saved, unreadable
from pipeline.image.foundation import Foundation, lay
from pipeline.image.layer import Kind, Packed, Tree, pack, tar, with_folders
from pipeline.image.layer_cache import code_digest
from pipeline.image.lower_layers import Workshop
from pipeline.image.wheels import LOCK
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.runtime.containers import owner
from pipeline.runtime.engines import Engine, connect
from pipeline.runtime.sandbox import workplace
from pipeline.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient

BUILD_SECONDS = 3600
MAX_SAVED = 2 << 30
#: On every image of a build: whose it is, so that what a killed one left is known for that.
LABEL = "dev.gatehouse.build"
#: No registry answers to this name (RFC 6761), so an engine can only find what was loaded.
REPOSITORY = "gatehouse.invalid"
_SHOWN = 1000
#: How BuildKit (new, and as old as in Docker 20.10) tells that a process of the Dockerfile's own failed.
_RUN_FAILED = r"did not complete successfully|executor failed running"
#: What each engine's build API calls it. NOTE: podman takes "none" for its default there, which is the host's network
#: (podman, ``pkg/api/handlers/compat/images_build.go``, "parseNetworkConfigurationPolicy").
_NO_NETWORK = {"docker": "none", "podman": "NetworkDisabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One build: ``base`` and ``tag`` are names on the engine, ``context`` what it is sent, with the commit's time."""

    base: str
    tag: str
    context: Tree
    time: int


def build_with_engine(
    shop: Workshop,
    settings: Settings,
    source: Source,
    archive: Path,
    engine: Engine,
    *,
    buildx: Sequence[str] | None = None,
) -> Composed:
    """Build ``archive`` on ``engine``: by ``buildx`` (its command) where that is given, else by the classic builder.

    Raises what ``composer.compose`` raises, Misuse (``image.engine-platform``), Refused (``image.build-failed``) where
    the Dockerfile's own steps fail, CannotEvaluate (``image.engine``, ``image.engine-output``).
    """
    plan = read_plan(shop.root, settings, source, engine=True)
    _check_platform(settings, engine)
    foundation = lay(shop, settings, plan.recipe.base, engine.platform, list(read_lock(shop.root, LOCK).values()))
    if buildx is not None and engine.name != "docker":
        buildx = None  # its own builder would have to be pulled
    folder = shop.cache / "engine"
    with locked(folder.with_suffix(".lock")), workplace(folder) as work, _errors(engine):
        saved = _build(shop, plan, foundation, engine, buildx, source=source, work=work)
    top = _read_back(saved, plan, foundation, source)
    composed = finish(shop, settings, source, plan.recipe, [(foundation, top)], archive)
    own = {"engine-build": code_digest(("engine_build", "engine_output"))}
    return replace(composed, versions={**own, engine.name: engine.version, **_buildx_version(buildx)})


def _check_platform(settings: Settings, engine: Engine) -> None:
    if settings.image.platforms != [engine.platform]:
        raise Misuse(
            "image.engine-platform",
            f"{engine.name} {engine.version}: builds for its own platform (got {', '.join(settings.image.platforms)}, "
            f"expected {engine.platform})",
            fix=f'set `[image] platforms = ["{engine.platform}"]`, or `builder = "composer"`, which builds for all',
        )


@contextlib.contextmanager
def _errors(engine: Engine) -> Iterator[None]:
    """What a client raises, in our words; an engine may go away at any moment."""
    from docker.errors import BuildError, DockerException  # noqa: PLC0415 - 0.2 s that only this builder pays

    try:
        yield
    except BuildError as error:
        log = "".join(str(line.get("stream") or "") for line in error.build_log)
        raise _failed(engine, f"{log} {error.msg}") from error
    except (DockerException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise _lost(engine, str(error) or type(error).__name__) from error


def _failed(engine: Engine, words: str) -> Refused:
    return Refused(
        "image.build-failed",
        f"{NAME}: {engine.name} {engine.version} did not get to its end (got {printable(words)}, expected an image)",
        fix="mend the RUN line named; it runs without network, on what the base and COPY bring",
    )


def _lost(engine: Engine, words: str) -> CannotEvaluate:
    return CannotEvaluate(
        "image.engine",
        f"{engine.name} {engine.version}: image not built (got {printable(words)}, expected a build that ends)",
        fix="look at the engine's own log and at its disk, start it again, then run `scripts/pipeline image`",
    )


def printable(words: str) -> str:
    """The end of foreign output in one line."""
    line = " | ".join(line.strip() for line in words.splitlines() if line.strip())
    return "".join(c if c.isprintable() else "?" for c in line)[-_SHOWN:] or "nothing"


def _build(
    shop: Workshop,
    plan: Plan,
    foundation: Foundation,
    engine: Engine,
    buildx: Sequence[str] | None,
    *,
    source: Source,
    work: Path,
) -> Saved:
    client = connect(engine.address, seconds=BUILD_SECONDS)
    token, mark = secrets.token_hex(8), f"{owner()} {secrets.token_hex(8)}"
    order = _Order(
        base=f"{REPOSITORY}/base:{token}",
        tag=f"{REPOSITORY}/built:{token}",
        context={**plan.context, **plan.files},
        time=source.committed,
    )
    try:
        remove_stale(client)
        shop.say(f"loading the base into {engine.name} {engine.version}")
        _load(client, foundation, order.base, mark, work / "base.tar")
        shop.say(f"building with {'buildx' if buildx else 'the classic builder'} on {engine.name} {engine.version}")
        if buildx:
            _build_with_buildx(engine, buildx, order, work)
        else:
            _build_classic(client, order, _NO_NETWORK[engine.name])
        return _save(client, order.tag, work / "built.tar")
    finally:
        _remove(client, mark)
        client.close()


def _load(client: "DockerClient", foundation: Foundation, name: str, mark: str, path: Path) -> None:
    repository, _, tag = name.rpartition(":")
    system, _, architecture = foundation.platform.partition("/")
    config = {
        "architecture": architecture,
        "os": system,
        "config": {
            "Env": [f"{name}={value}" for name, value in foundation.environment.items()],
            "Labels": {LABEL: mark},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in foundation.layers]},
        "history": [{"created_by": f"gatehouse: {step}"} for step in foundation.made_of],
    }
    write_archive(path, [PlatformImage(foundation.platform, config, foundation.layers)], name=repository, tag=tag)
    with path.open("rb") as file:
        client.images.load(file)
    path.unlink()


def _build_classic(client: "DockerClient", order: _Order, network: str) -> None:
    client.images.build(
        fileobj=io.BytesIO(tar(order.context, time=order.time)),
        custom_context=True,
        dockerfile=NAME,
        tag=order.tag,
        buildargs={"BASE_IMAGE": order.base},
        network_mode=network,
        pull=False,
        nocache=True,
        rm=True,
        forcerm=True,
        use_config_proxy=False,
    )


def _build_with_buildx(engine: Engine, buildx: Sequence[str], order: _Order, work: Path) -> None:
    context = work / "context"
    _unpack(order.context, context, order.time)
    ended = processes.run(
        [
            *buildx,
            "build",
            *("--builder", "default", "--load", "--provenance=false", "--sbom=false", "--progress=plain"),
            *("--network", "none", "--no-cache", "--pull=false"),
            *("--build-arg", f"BASE_IMAGE={order.base}", "--tag", order.tag, "--file", context / NAME, context),
        ],
        env={
            "DOCKER_HOST": engine.address,
            "DOCKER_CONFIG": str(work / "client"),
            "BUILDX_CONFIG": str(work / "buildx"),
        },
        timeout=BUILD_SECONDS,
    )
    if ended.exit_code != 0:
        words = ended.stderr.decode("utf-8", "replace")
        # Everything else is the engine's trouble.
        raise _failed(engine, words) if re.search(_RUN_FAILED, words) else _lost(engine, words)


def _unpack(tree: Tree, folder: Path, time: int) -> None:
    """The context as a folder, whatever the umask."""
    folder.mkdir()
    entries = with_folders(tree)
    for path, entry in entries.items():
        target = folder / path
        if entry.kind is Kind.FOLDER:
            target.mkdir()
        elif entry.kind is Kind.LINK:
            target.symlink_to(entry.target)
        else:
            target.write_bytes(entry.content)
        if entry.kind is not Kind.LINK:
            target.chmod(entry.mode)
    for path in reversed(entries):
        os.utime(folder / path, (time, time), follow_symlinks=False)


def _save(client: "DockerClient", tag: str, path: Path) -> Saved:
    size = 0
    with writing(path) as file:
        for piece in client.api.get_image(tag):
            size += len(piece)
            if size > MAX_SAVED:
                raise unreadable(f"more than {MAX_SAVED} bytes")
            file.write(piece)
    return read_saved(path)


def remove_stale(client: "DockerClient") -> None:
    """Remove what a killed build of this machine left: images with our label whose process is gone."""
    here = owner().rpartition(" ")[0]
    for image in client.images.list(all=True, filters={"label": LABEL}):
        mark = str(image.labels.get(LABEL, ""))
        home, _, process = mark.rpartition(" ")[0].rpartition(" ")
        if home == here and process.isdigit() and not Path(f"/proc/{process}").exists():
            _remove(client, mark)


def _remove(client: "DockerClient", mark: str) -> None:
    """Everything of one build, from what still runs to what is in between: children before parents."""
    from docker.errors import DockerException  # noqa: PLC0415

    of_ours: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={mark}"}
    before = -1
    with contextlib.suppress(DockerException, OSError):
        for container in client.containers.list(all=True, filters=of_ours, ignore_removed=True):
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
        while images := client.images.list(all=True, filters=of_ours):
            if len(images) == before:
                return
            before = len(images)
            for image in images:
                with contextlib.suppress(DockerException):
                    client.images.remove(str(image.id), force=True)


def _read_back(saved: Saved, plan: Plan, foundation: Foundation, source: Source) -> Packed:
    """The application's layer: what the engine's image has above the foundation."""
    given = [layer.diff_id for layer in foundation.layers]
    if saved.diff_ids[: len(given)] != given:
        raise unreadable(f"other lower layers, {', '.join(saved.diff_ids[: len(given)])}")
    _check_config(saved.config.get("config") or {}, run_config(foundation, plan.recipe))
    return pack(difference(foundation.tree(), built_tree(saved)), time=source.committed)


def _check_config(got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """The engine read the Dockerfile as we did, or one of us reads it wrongly."""
    user = str(got.get("User") or "")
    # A user without a group has the group of the same number with us, and what the base says with an engine.
    told = {**got, "User": user if ":" in user else f"{user}:{user}", "WorkingDir": got.get("WorkingDir") or "/"}
    for name in ("User", "WorkingDir", "Env", "Entrypoint", "Cmd", "ExposedPorts", "StopSignal"):
        if (told.get(name) or None) != expected.get(name):
            raise unreadable(f"{name} {told.get(name)!r} where the {NAME} says {expected.get(name)!r}")


def _buildx_version(buildx: Sequence[str] | None) -> dict[str, str]:
    """As it says itself: ``github.com/docker/buildx v0.13.1 ...``."""
    if not buildx:
        return {}
    ended = processes.run([*buildx, "version"], timeout=30)
    words = printable(ended.stdout.decode("utf-8", "replace")).split()
    return {"buildx": words[1] if ended.exit_code == 0 and len(words) > 1 else "unknown"}
