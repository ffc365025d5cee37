"""What a finished image is like, read from its own layers and configuration and not from what its builder meant."""

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.image.archive import Archive, merge
from pipeline.image.inventory import Inventory, altered, read_inventory
from pipeline.image.layer import Kind, Tree
from pipeline.image.secrets import Search, Secret, texts
from pipeline.image.soundness import Flaw, flaws
from pipeline.model.context import Context
from pipeline.model.predicates import Descriptor, Hardening, ScaiAttribute, dump

PRODUCER = "https://gatehouse.dev/producers/hardening"
#: How many writable paths the evidence names; it counts all.
NAMED = 20
MAX_NAMES = 4096
#: Attribute to the codes of the flaws that deny it.
ATTRIBUTES = {
    "ELF_CLOSURE": {"image.missing-library"},
    "NON_ROOT_USER": {"image.root-user"},
    "NO_DANGLING_LINKS": {"image.dangling-link"},
    "NO_PACKAGE_MANAGER": {"image.package-manager"},
    "NO_SECRETS": {"image.secret"},
    "NO_SETUID_FILES": {"image.setuid"},
    "NO_SHELL": {"image.shell"},
    "NO_WORLD_WRITABLE_FILES": {"image.world-writable"},
    "PACKAGES_UNALTERED": {"image.altered-package"},
}

Measures = dict[str, int | float | str | bool]


@dataclass(frozen=True, slots=True)
class Examination:
    """One platform's image: everything that is wrong, and its numbers (sizes in bytes)."""

    flaws: tuple[Flaw, ...]
    measures: Measures

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those that hold."""
        codes = {flaw.code for flaw in self.flaws}
        return tuple(name for name, denying in ATTRIBUTES.items() if not codes & denying)


def examine(archive: Archive, platform: str, search: Search) -> Examination:
    """Read every layer, and ``search`` for secrets what no installed package brought.

    Raises CannotEvaluate (``archive.malformed``, ``image.inventory``, and what ``search`` raises).
    """
    configuration = archive.config(platform)
    config = configuration.get("config") or {}
    layers = archive.layer_trees(platform)
    tree = merge(layers)
    inventory = read_inventory(tree)
    with ThreadPoolExecutor(1) as pool:  # the search waits for another program
        searched = pool.submit(search, texts(layers, tree, inventory, configuration))
        found = [*_user_flaws(str(config.get("User") or "")), *flaws(tree)]
        found += [
            Flaw("image.altered-package", path, "other content than its package's own list says")
            for path in sorted(set(altered(layers, tree, inventory)))
        ]
        secrets = searched.result()
    found += _secret_flaws(secrets)
    sizes = {
        "compressed_bytes": sum(layer["size"] for layer in archive.manifest(platform)["layers"]),
        "size_bytes": sum(len(entry.content) for layer in layers for entry in layer.values()),
        "layers": len(layers),
        "secrets_accepted": sum(secret.accepted for secret in secrets),
    }
    return Examination(tuple(found), {**sizes, **_measures(tree, inventory, config)})


def hardening_predicate(context: Context, examination: Examination, *, target: str, digest: str) -> dict[str, Any]:
    """The SCAI predicate of one platform; ``target`` is the image's name, ``digest`` its manifest's."""
    image = Descriptor(name=target, digest={"sha256": digest.removeprefix("sha256:")})
    return dump(
        Hardening(
            gatehouse_context=context,
            attributes=[ScaiAttribute(attribute=name, target=image) for name in examination.attributes],
            producer=Descriptor(uri=PRODUCER),
            gatehouse_measures=dict(sorted(examination.measures.items())),
        )
    )


def _secret_flaws(secrets: Iterable[Secret]) -> list[Flaw]:
    """One for each place, whatever it holds there."""
    forms: dict[str, list[str]] = {}
    for secret in sorted(secrets):
        if not secret.accepted:
            forms.setdefault(secret.path, []).append(secret.form)
    return [Flaw("image.secret", path, " and ".join(found)) for path, found in forms.items()]


def _user_flaws(user: str) -> list[Flaw]:
    if re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user):
        return []
    return [Flaw("image.root-user", "configuration", f"user {user or 'none, which is root'}")]


def _measures(tree: Tree, inventory: Inventory, config: Mapping[str, Any]) -> Measures:
    user = str(config.get("User") or "")
    ports = [int(port.partition("/")[0]) for port in config.get("ExposedPorts") or ()]
    writable = sorted(_writable(tree, user))
    return {
        "capabilities": " ".join(["NET_BIND_SERVICE"] if any(port < 1024 for port in ports) else []),
        "distributions": len(inventory.distributions),
        "files": sum(entry.kind is Kind.FILE for entry in tree.values()),
        "packages": len(inventory.debian),
        "python": inventory.python or "unknown",
        "user": user,
        "writable": " ".join(f"/{path}" for path in writable[:NAMED])[:MAX_NAMES],
        "writable_paths": len(writable),
    }


def _writable(tree: Tree, user: str) -> Iterator[str]:
    """The paths that the image's user may write to, before any file system is made read-only."""
    number, _, group = user.partition(":")
    for path, entry in tree.items():
        owned = str(entry.owner) == number and entry.mode & 0o200
        shared = group == str(entry.owner if entry.group is None else entry.group) and entry.mode & 0o020
        if entry.kind is not Kind.LINK and (owned or shared or entry.mode & 0o002):
            yield path
