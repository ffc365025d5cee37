"""What is asked of an engine for a build, what is taken away again, and how its troubles are told."""

import contextlib
import http.client
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from pipeline import processes
from pipeline.files import writing
from pipeline.image.archive import PlatformImage, write_archive
from pipeline.image.dockerfile import NAME
from pipeline.image.engine_output import Saved, read_saved, unreadable
from pipeline.image.foundation import Foundation
from pipeline.image.layer import Kind, Tree, tar, with_folders
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.runtime.containers import owner
from pipeline.runtime.engines import Engine

if TYPE_CHECKING:
    from docker import DockerClient

BUILD_SECONDS = 3600
MAX_SAVED = 2 << 30
#: On every image of a build: whose it is, so that what a killed one left is known for that.
LABEL = "dev.gatehouse.build"
#: No registry answers to this name (RFC 6761), so an engine can only find what was loaded.
REPOSITORY = "gatehouse.invalid"
#: Of foreign words: the last lines, and as many characters of them.
_LINES, _SHOWN = 8, 600
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: What the classic builder and BuildKit write between what matters.
_BOOKKEEPING = re.compile(r"---> |Removing intermediate container |-+$")
#: How BuildKit (new, and as old as in Docker 20.10) tells that a process of the Dockerfile's own failed.
_RUN_FAILED = r"did not complete successfully|executor failed running"
#: What each engine's build API calls it. NOTE: podman takes "none" for its default there, which is the host's network
#: (podman, ``pkg/api/handlers/compat/images_build.go``, "parseNetworkConfigurationPolicy").
_NO_NETWORK = {"docker": "none", "podman": "NetworkDisabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One build: ``base`` and ``tag`` are names on the engine, ``context`` what it is sent, with the commit's time."""

    base: str
    tag: str
    context: Tree
    time: int


@contextlib.contextmanager
def in_our_words(engine: Engine) -> Iterator[None]:
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
    lines = [line.strip() for line in _COLOUR.sub("", words).splitlines()]
    line = " | ".join([line for line in lines if line and not _BOOKKEEPING.match(line)][-_LINES:])
    return "".join(c if c.isprintable() else "?" for c in line)[-_SHOWN:] or "nothing"


def load(client: "DockerClient", foundation: Foundation, name: str, mark: str, path: Path) -> None:
    """Put the lower layers on the engine as the image ``name``, marked as of the build ``mark``."""
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


def build_classic(client: "DockerClient", order: Order, engine: Engine) -> None:
    """By the build API of Docker, which podman has too."""
    client.images.build(
        fileobj=io.BytesIO(tar(order.context, time=order.time)),
        custom_context=True,
        dockerfile=NAME,
        tag=order.tag,
        buildargs={"BASE_IMAGE": order.base},
        network_mode=_NO_NETWORK[engine.name],
        pull=False,
        nocache=True,
        rm=True,
        forcerm=True,
        use_config_proxy=False,
    )


def build_with_buildx(engine: Engine, buildx: Sequence[str], order: Order, work: Path) -> None:
    """By BuildKit, which buildx tells what to do; its own state and configuration are this build's alone."""
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


def save(client: "DockerClient", tag: str, path: Path) -> Saved:
    """The image ``tag``, read from the engine; raises CannotEvaluate (``image.engine-output``, ``files.*``)."""
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
            remove(client, mark)


def remove(client: "DockerClient", mark: str) -> None:
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


def buildx_version(buildx: Sequence[str] | None) -> dict[str, str]:
    """As it says itself, for the provenance: ``github.com/docker/buildx v0.13.1 ...``."""
    if not buildx:
        return {}
    ended = processes.run([*buildx, "version"], timeout=30)
    words = printable(ended.stdout.decode("utf-8", "replace")).split()
    return {"buildx": words[1] if ended.exit_code == 0 and len(words) > 1 else "unknown"}
