"""What an application's image stands on: base and dependencies, from the locked packages or from a foreign image."""

import posixpath
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.debian import base_lock
from pipeline.debian.packages import Architecture, Package
from pipeline.hash_locks import Locked
from pipeline.image.archive import gunzip, merge, read_tree
from pipeline.image.context import in_the_way
from pipeline.image.dockerfile import NAME
from pipeline.image.foreign_base import Interpreter, Reference, find_interpreter, read_layers, read_reference, unsound
from pipeline.image.layer import Entry, Kind, Packed, Tree, pack, with_folders
from pipeline.image.lower_layers import LowerLayers, Workshop, install
from pipeline.image.wheel_files import read_wheel
from pipeline.image.wheels import Wheel, fetch_wheels, for_image
from pipeline.model.errors import Refused
from pipeline.settings import Settings

#: What FROM names when the base is the locked one.
LOCKED = "locked-base"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
#: First folders of a system. An application's own folder is none of them, and needs no look at what is below.
_SYSTEM = {
    *("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "proc", "root", "run"),
    *("sbin", "srv", "sys", "tmp", "usr", "var"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """One platform's lower layers, base first, and what went into them.

    ``made_of`` says of each layer what it is, for the image's history. ``base`` is None where it is the locked one.
    """

    platform: str
    layers: tuple[Packed, ...]
    made_of: tuple[str, ...]
    environment: Mapping[str, str]
    packages: tuple[Package, ...]
    wheels: tuple[Wheel, ...]
    base: Reference | None = None

    def tree(self) -> dict[str, Entry]:
        """Every path of the lower layers."""
        return _merged(self.layers)

    def carrying(self, app: Tree, own: frozenset[str] = frozenset()) -> dict[str, Entry]:
        """``app`` as a layer above: folders that are there keep owner and mode, as an engine leaves them.

        ``own`` are the folders of which an engine would change both. Raises Refused (``dockerfile.*``) where that
        would happen, or where a path of ``app`` is, or lies behind, a link, or is a folder of the base.
        """
        foreign = self.base is not None or any(path.partition("/")[0] in _SYSTEM for path in app)
        below = self.tree() if foreign else {}
        return over(below, app, own)


def over(below: Tree, tree: Tree, own: frozenset[str] = frozenset()) -> dict[str, Entry]:
    """``tree``, and the folders above its paths as ``below`` has them.

    Raises Refused (``dockerfile.merged-folder``, ``dockerfile.in-the-way``, ``dockerfile.changed-folder``).
    """
    found: dict[str, Entry] = {}
    for path, entry in with_folders(tree).items():
        there = below.get(path)
        if there is None or (there.kind is Kind.FILE and entry.kind is not Kind.FOLDER):
            found[path] = entry
        elif there.kind is not Kind.FOLDER:
            raise _hidden(path, there)
        elif entry.kind is not Kind.FOLDER:
            raise in_the_way(NAME, path, there, entry.kind)
        elif path in own and (there.mode, there.owner) != (entry.mode, entry.owner):
            raise _changed(path, there, entry)
        else:
            found[path] = there
    return found


def _changed(path: str, there: Entry, entry: Entry) -> Refused:
    return Refused(
        "dockerfile.changed-folder",
        f"{NAME}: COPY of a folder would change one of the base (got /{path} with mode {entry.mode:04o} and owner "
        f"{entry.owner}, expected {there.mode:04o} and {there.owner} as it is)",
        fix=f"copy what belongs into /{path} by a line of its own, with /{path}/ as the target",
    )


def _hidden(path: str, there: Entry) -> Refused:
    target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), there.target))
    return Refused(
        "dockerfile.merged-folder",
        f"{NAME}: COPY over a {there.kind} of the base (got /{path}, expected a folder of its own or of the base)",
        fix=f"copy to {target if there.kind is Kind.LINK else 'another place'}: what is there would be hidden",
    )


def lay(shop: Workshop, settings: Settings, base: str, platform: str, locked: Sequence[Locked]) -> Foundation:
    """The foundation that FROM names; raises what its parts raise (``base.*``, ``wheel*.*``, ``download.*``)."""
    architecture: Architecture = "arm64" if platform.endswith("/arm64") else "amd64"
    if base == LOCKED:
        return _lay_locked(shop, settings, platform, architecture, locked)
    return _lay_foreign(shop, read_reference(base), platform, architecture, locked)


def _lay_locked(
    shop: Workshop, settings: Settings, platform: str, architecture: Architecture, locked: Sequence[Locked]
) -> Foundation:
    lock = base_lock.require(shop.root, settings)
    build = LowerLayers(shop, settings.base, lock, architecture, byte_code=settings.image.byte_code)
    with ThreadPoolExecutor(1) as pool:
        base = pool.submit(build.base)  # while pip waits for its index
        chosen = build.fetch(locked)
        layers = (base.result(), build.dependencies(chosen))
    return Foundation(
        platform=platform,
        layers=layers,
        made_of=("locked Debian packages", "locked wheels"),
        environment=_ENVIRONMENT,
        packages=tuple(lock.packages[architecture]),
        wheels=tuple(chosen),
    )


def _lay_foreign(
    shop: Workshop, reference: Reference, platform: str, architecture: Architecture, locked: Sequence[Locked]
) -> Foundation:
    """Of the image its files and its environment are taken; the Dockerfile says the rest.

    Its wheels get no byte code: that would be made by the locked base's Python, which is another one.
    """
    shop.say(f"fetching {reference} for {platform}")
    image = shop.pull(reference, platform)
    layers = read_layers(image)
    try:
        below = _merged(layers)
    except (ValueError, tarfile.TarError, EOFError) as error:
        raise unsound(reference, str(error), "files, folders and links") from error
    interpreter = find_interpreter(below, reference)
    chosen, dependencies = _dependencies(shop, interpreter, architecture, locked, below)
    environment = dict(
        pair.split("=", 1) for pair in (image.config.get("config") or {}).get("Env") or () if "=" in pair
    )
    return Foundation(
        platform=platform,
        layers=(*layers, dependencies),
        made_of=(*(f"{reference}" for _ in layers), "locked wheels"),
        environment=_PATH | environment,
        packages=(),
        wheels=tuple(chosen),
        base=reference,
    )


def _dependencies(
    shop: Workshop, interpreter: Interpreter, architecture: Architecture, locked: Sequence[Locked], below: Tree
) -> tuple[dict[Wheel, Path], Packed]:
    chosen = fetch_wheels(
        for_image(locked, architecture=architecture, python=interpreter.version),
        architecture=architecture,
        python=interpreter.version,
        cache=shop.cache / "wheels",
        pip=shop.pip,
        pip_environment=shop.pip_environment,
        say=shop.say,
    )
    unpacked = [read_wheel(path) for _, path in sorted(chosen.items(), key=lambda item: item[0].filename)]
    time = max((wheel.time for wheel in unpacked), default=0)
    return chosen, pack(over(below, install(unpacked, interpreter.packages)), time=time)


def _merged(layers: Sequence[Packed]) -> dict[str, Entry]:
    trees: list[dict[str, Entry]] = []
    for layer in layers:
        trees.append(read_tree(gunzip(layer.content), below=trees))
    return merge(trees)
