"""The two layers that an application stands on, base and dependencies, each made once and then found by its inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.debian.base_lock import fetch_packages
from pipeline.debian.packages import Architecture, BaseLock
from pipeline.hash_locks import Locked
from pipeline.image.archive import gunzip, read_tree
from pipeline.image.base_layer import lay_out
from pipeline.image.bytecode import compile_sources, host_architecture
from pipeline.image.foreign_base import ForeignImage, Reference
from pipeline.image.layer import Entry, Packed, Tree
from pipeline.image.layer_cache import LayerCache
from pipeline.image.wheel_files import WheelFiles, read_wheel
from pipeline.image.wheels import Wheel, fetch_wheels, for_image
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.settings import Base


def _quiet(_: str) -> None:
    """Harmless default for progress."""


def _no_registry(reference: Reference, platform: str) -> ForeignImage:
    """Default for work on the locked base alone."""
    raise CannotEvaluate(
        "base.no-registry",
        f"{reference}: not fetched for {platform} (got no registry to ask, expected one)",
        fix="build it through `scripts/pipeline image`",
    )


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where builders work. ``pip`` is a Python that has pip; ``pip_environment`` says which index it asks.

    ``pull`` fetches a foreign base for a platform; it raises what stores raise.
    """

    root: Path
    cache: Path
    pip: Path
    pip_environment: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = _quiet
    pull: Callable[[Reference, str], ForeignImage] = _no_registry


class LowerLayers:
    """Base and dependencies of one architecture; without ``byte_code`` they are smaller and start more slowly."""

    def __init__(
        self, shop: Workshop, settings: Base, lock: BaseLock, architecture: Architecture, *, byte_code: bool = True
    ) -> None:
        self.architecture = architecture
        self._byte_code = byte_code
        self._shop = shop
        self._settings = settings
        self._lock = lock
        self._python = lock.python()
        # Where Debian's Python looks for what is not Debian's (``site-packages`` is not on its path).
        self._packages_folder = f"usr/local/lib/python{self._python}/dist-packages"
        self._layers = LayerCache(shop.cache / "layers")

    def fetch(self, locked: Sequence[Locked]) -> dict[Wheel, Path]:
        """The locked wheels of this architecture; raises Refused and CannotEvaluate (``wheels.*``)."""
        return fetch_wheels(
            for_image(locked, architecture=self.architecture, python=self._python),
            architecture=self.architecture,
            python=self._python,
            cache=self._shop.cache / "wheels",
            pip=self._shop.pip,
            pip_environment=self._shop.pip_environment,
            say=self._shop.say,
        )

    def base(self) -> Packed:
        """The locked Debian packages; raises Misuse and CannotEvaluate (``base.*``, ``download.*``)."""
        return self._base_of(self.architecture)

    def dependencies(self, wheels: Mapping[Wheel, Path]) -> Packed:
        """The wheels; raises Refused and CannotEvaluate (``wheel.*``).

        The layer carries the time of the newest file in them: a function of the lock alone, like the base's.
        """
        key = self._layers.key(
            {
                "dependencies": self.architecture,
                "wheels": sorted([wheel.filename, wheel.sha256] for wheel in wheels),
                # Byte code is the host's interpreter's.
                "base": self._base_key(host_architecture()),
            }
        )
        found = self._layers.get(key)
        if found:
            return found
        unpacked = [read_wheel(path) for _, path in sorted(wheels.items(), key=lambda item: item[0].filename)]
        time = max((wheel.time for wheel in unpacked), default=self._lock.time)
        return self._layers.get_or_make(
            key, lambda: self._compiled(install(unpacked, self._packages_folder)), time=time
        )

    def _base_key(self, architecture: Architecture) -> str:
        digests = [package.sha256 for package in self._lock.packages[architecture]]
        base = {"base": architecture, "packages": digests, "time": self._lock.time, "byte_code": self._byte_code}
        return self._layers.key(base)

    def _base_of(self, architecture: Architecture) -> Packed:
        def make() -> Tree:
            tree = self._packages(architecture)
            if not self._byte_code or architecture != host_architecture():
                return self._compiled(tree)
            self._shop.say("compiling the standard library")
            return tree | compile_sources(tree, tree, python=self._python)

        return self._layers.get_or_make(self._base_key(architecture), make, time=self._lock.time)

    def _packages(self, architecture: Architecture) -> dict[str, Entry]:
        packages = fetch_packages(self._lock, architecture, self._settings, self._shop.cache, self._shop.say)
        self._shop.say(f"laying out {len(packages)} packages for {architecture}")
        return lay_out(packages, architecture=architecture)

    def _compiled(self, tree: Tree) -> Tree:
        """With the host's base's byte code, its own wherever a source is the same; as it is where none is wanted."""
        if not self._byte_code:
            return tree
        system = read_tree(gunzip(self._base_of(host_architecture()).content))
        codes = {path: _code_of(path, self._python) for path in tree if path.endswith(".py")}
        ready = {
            code: system[code] for path, code in codes.items() if code in system and system.get(path) == tree[path]
        }
        rest = {path: entry for path, entry in tree.items() if codes.get(path) not in ready}
        return {**tree, **ready, **compile_sources(rest, system, python=self._python)}


def install(wheels: Sequence[WheelFiles], folder: str) -> dict[str, Entry]:
    """The tree of ``wheels`` with ``folder`` as the place of installed packages; raises Refused (``wheel.overlap``)."""
    tree: dict[str, Entry] = {}
    for wheel in wheels:
        placed = {f"{folder}/{path}": entry for path, entry in wheel.files.items()}
        placed |= {f"usr/local/{path}": entry for path, entry in wheel.shared.items()}
        differing = sorted(path for path in tree.keys() & placed.keys() if tree[path] != placed[path])
        if differing:
            raise Refused(
                "wheel.overlap",
                f"/{differing[0]}: in two wheels (got two contents, expected one owner of each file)",
                fix="lock only one of the packages that bring it",
            )
        tree |= placed
    return tree


def _code_of(source: str, python: str) -> str:
    """``a/b.py`` to ``a/__pycache__/b.cpython-313.pyc`` (PEP 3147)."""
    folder, _, name = source.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-{python.replace('.', '')}.pyc"
