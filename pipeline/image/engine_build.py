"""The image built by a container engine, from the same Dockerfile on the same lower layers.

The base with its dependencies is loaded into the engine, which builds on it without network and without cache. What it
built is read back: the lower layers must be the very ones that were given, and everything above becomes one layer with
the commit's time, as the composer writes it. So the digest is that of an archive of ours, and no engine's push is
trusted with it.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.files import locked
from pipeline.hash_locks import read_lock
from pipeline.image.composer import Composed, Plan, finish, read_plan, run_config
from pipeline.image.dockerfile import NAME
from pipeline.image.engine_calls import (
    BUILD_SECONDS,
    REPOSITORY,
    Order,
    build_classic,
    build_with_buildx,
    buildx_version,
    in_our_words,
    load,
    remove,
    remove_stale,
    save,
)
from pipeline.image.engine_output import Saved, built_tree, difference, unreadable
from pipeline.image.foundation import Foundation, lay
from pipeline.image.layer import Packed, pack
from pipeline.image.layer_cache import code_digest
from pipeline.image.lower_layers import Workshop
from pipeline.image.wheels import LOCK
from pipeline.model.context import Source
from pipeline.model.errors import Misuse
from pipeline.runtime.containers import owner
from pipeline.runtime.engines import Engine, connect
from pipeline.runtime.sandbox import workplace
from pipeline.settings import Settings


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
    with locked(folder.with_suffix(".lock")), workplace(folder) as work, in_our_words(engine):
        saved = _build(shop, plan, foundation, engine, buildx, source=source, work=work)
    top = _read_back(saved, plan, foundation, source)
    composed = finish(shop, settings, source, plan.recipe, [(foundation, top)], archive)
    own = {"engine-build": code_digest(("engine_build", "engine_calls", "engine_output"))}
    return replace(composed, versions={**own, engine.name: engine.version, **buildx_version(buildx)})


def _check_platform(settings: Settings, engine: Engine) -> None:
    if settings.image.platforms != [engine.platform]:
        raise Misuse(
            "image.engine-platform",
            f"{engine.name} {engine.version}: builds for its own platform (got {', '.join(settings.image.platforms)}, "
            f"expected {engine.platform})",
            fix=f'set `[image] platforms = ["{engine.platform}"]`, or `builder = "composer"`, which builds for all',
        )


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
    order = Order(
        base=f"{REPOSITORY}/base:{token}",
        tag=f"{REPOSITORY}/built:{token}",
        context={**plan.context, **plan.files},
        time=source.committed,
    )
    try:
        remove_stale(client)
        shop.say(f"loading the base into {engine.name} {engine.version}")
        load(client, foundation, order.base, mark, work / "base.tar")
        shop.say(f"building with {'buildx' if buildx else 'the classic builder'} on {engine.name} {engine.version}")
        if buildx:
            build_with_buildx(engine, buildx, order, work)
        else:
            build_classic(client, order, engine)
        return save(client, order.tag, work / "built.tar")
    finally:
        remove(client, mark)
        client.close()


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
