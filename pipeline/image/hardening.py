"""What a finished image is like, read from its own layers and configuration and not from what its builder meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.debian.control import stanzas
from pipeline.image.archive import Archive, merge
from pipeline.image.layer import Kind, Tree
from pipeline.image.secrets import find_secrets, secrets_in_environment
from pipeline.image.soundness import Flaw, flaws
from pipeline.model.context import Context
from pipeline.model.predicates import Descriptor, Hardening, ScaiAttribute, dump

PRODUCER = "https://gatehouse.dev/producers/hardening"
STATUS = "var/lib/dpkg/status.d/"
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


def examine(archive: Archive, platform: str) -> Examination:
    """Read every layer; raises CannotEvaluate (``archive.malformed``)."""
    config = archive.config(platform).get("config", {})
    layers = archive.layer_trees(platform)
    tree = merge(layers)
    # A file that an upper layer removes is still in the lower one, for everyone to read.
    secrets = {secret for layer in layers for secret in find_secrets(layer)}
    secrets.update(secrets_in_environment(config.get("Env", [])))
    found = [
        *_user_flaws(str(config.get("User", ""))),
        *flaws(tree),
        *(Flaw("image.secret", secret.path, secret.form) for secret in sorted(secrets, key=lambda s: s.path)),
    ]
    sizes = {
        "compressed_bytes": sum(layer["size"] for layer in archive.manifest(platform)["layers"]),
        "size_bytes": sum(len(entry.content) for layer in layers for entry in layer.values()),
        "layers": len(layers),
    }
    return Examination(tuple(found), {**sizes, **_measures(tree, config)})


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


def _user_flaws(user: str) -> list[Flaw]:
    if re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user):
        return []
    return [Flaw("image.root-user", "configuration", f"user {user or 'none, which is root'}")]


def _measures(tree: Tree, config: Mapping[str, Any]) -> Measures:
    user = str(config.get("User", ""))
    number = user.partition(":")[0]
    packages = [path for path in tree if path.startswith(STATUS) and not path.endswith(".md5sums")]
    ports = [int(port.partition("/")[0]) for port in config.get("ExposedPorts", {})]
    writable = [
        path
        for path, entry in tree.items()
        if entry.kind is not Kind.LINK and (entry.mode & 0o002 or (str(entry.owner) == number and entry.mode & 0o200))
    ]
    return {
        "capabilities": " ".join(["NET_BIND_SERVICE"] if any(port < 1024 for port in ports) else []),
        "files": sum(entry.kind is Kind.FILE for entry in tree.values()),
        "packages": len(packages),
        "python": _python_version(tree, packages),
        "user": user,
        "writable_paths": len(writable),
    }


def _python_version(tree: Tree, packages: Sequence[str]) -> str:
    """``3.13.5``: the upstream version of the interpreter's package, ``unknown`` without one."""
    for path in packages:
        if re.fullmatch(r"python3\.\d+-minimal", path.removeprefix(STATUS)):
            (fields,) = stanzas(tree[path].content.decode("utf-8"))
            return re.sub(r"^\d+:|-[^-]*$", "", fields.get("Version", "unknown"))
    return "unknown"
