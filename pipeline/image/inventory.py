"""What is installed in an image, read from its own files: Debian packages, Python distributions, the interpreter.

Sources: deb822(5) and dpkg's records (``status.d`` of distroless images, ``status`` of whole systems); the
"Recording installed projects" specification (``*.dist-info``, RECORD); os-release(5).
"""

import base64
import contextlib
import csv
import email.parser
import email.policy
import hashlib
import io
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message

from packaging.utils import canonicalize_name

from pipeline.debian.control import Stanza, stanzas
from pipeline.image.layer import Entry, Kind, Tree
from pipeline.model.errors import CannotEvaluate

STATUS_FOLDER = "var/lib/dpkg/status.d/"
STATUS = "var/lib/dpkg/status"
#: Package databases that nothing here can read: what they record would be left out in silence.
FOREIGN = (
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/pacman/local/ALPM_DB_VERSION",
)
_PACKAGES = re.compile(r"(?:^|/)(?:dist|site)-packages/")
_PYTHON = re.compile(r"(?:^|/)bin/python(3\.\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A Debian package, by its control fields; ``copyright`` is its file's text, empty where it has none."""

    fields: Stanza
    copyright: str

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def version(self) -> str:
        return self.fields["Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A Python distribution. ``name`` is normalised (PEP 503), ``folder`` its ``.dist-info`` in the image."""

    name: str
    version: str
    folder: str
    metadata: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """``system`` is os-release's ID and VERSION_CODENAME; ``python`` the interpreter's version, empty without one."""

    system: tuple[str, str]
    debian: tuple[Installed, ...]
    distributions: tuple[Distribution, ...]
    python: str


def read_inventory(tree: Tree) -> Inventory:
    """Of a whole image's tree; raises CannotEvaluate (``image.inventory``) for records that cannot be read."""
    foreign = [path for path in FOREIGN if path in tree]
    if foreign:
        raise _unreadable(foreign[0], "packages of another system", "Debian packages and Python distributions")
    debian = tuple(sorted(_debian(tree), key=lambda package: (package.name, package.version)))
    return Inventory(
        system=_system(tree),
        debian=debian,
        distributions=tuple(sorted(_distributions(tree), key=lambda one: (one.name, one.version, one.folder))),
        python=_interpreter(tree, debian),
    )


def _unreadable(path: str, got: str, expected: str) -> CannotEvaluate:
    return CannotEvaluate(
        "image.inventory",
        f"/{path}: what is installed cannot be read (got {got[:200]}, expected {expected})",
        fix="build on the locked base, or on an image of Debian whose package records are whole",
    )


def _text(tree: Tree, path: str) -> str:
    entry = tree.get(path)
    return entry.content.decode("utf-8", "replace") if entry is not None and entry.kind is Kind.FILE else ""


def _system(tree: Tree) -> tuple[str, str]:
    """os-release(5); /etc's is a link to /usr/lib's on Debian."""
    text = _text(tree, "etc/os-release") or _text(tree, "usr/lib/os-release")
    fields = dict(re.findall(r"(?m)^([A-Z_]+)=[\"']?([^\"'\n]*)", text))
    return fields.get("ID", "unknown"), fields.get("VERSION_CODENAME", "unknown")


def _debian(tree: Tree) -> Iterator[Installed]:
    paths = [path for path in tree if path.startswith(STATUS_FOLDER) and not path.endswith(".md5sums")]
    for path in [*paths, STATUS] if STATUS in tree else paths:
        try:
            for fields in stanzas(_text(tree, path)):
                # dpkg keeps a stanza for what was removed and for what failed half-way.
                if fields.get("Status", "install ok installed").endswith(" installed"):
                    yield Installed(fields=fields, copyright=_text(tree, _copyright(tree, fields["Package"])))
                    _ = fields["Version"]
        except (ValueError, KeyError) as error:
            raise _unreadable(path, str(error), "stanzas with Package and Version") from error


def _copyright(tree: Tree, package: str) -> str:
    """Packages of one source may share a folder of documentation, by a link."""
    folder = f"usr/share/doc/{package}"
    entry = tree.get(folder)
    if entry is not None and entry.kind is Kind.LINK:
        folder = posixpath.normpath(f"usr/share/doc/{entry.target}")
    return f"{folder}/copyright"


def _distributions(tree: Tree) -> Iterator[Distribution]:
    for path, entry in tree.items():
        folder, _, name = path.rpartition("/")
        if name != "METADATA" or not folder.endswith(".dist-info") or entry.kind is not Kind.FILE:
            continue
        above = _PACKAGES.split(folder)[-1]
        if "/" in above and above != folder:
            continue  # vendored by the distribution that it lies in, and so a part of that one
        # compat32 keeps a header as it stands where the newer policy would refuse or refold it. METADATA is UTF-8.
        text = entry.content.decode("utf-8", "replace")
        metadata = email.parser.Parser(policy=email.policy.compat32).parsestr(text)
        if not metadata["Name"] or not metadata["Version"]:
            raise _unreadable(path, "no name or version", "core metadata")
        yield Distribution(
            name=str(canonicalize_name(str(metadata["Name"]))),
            version=str(metadata["Version"]).strip(),
            folder=folder,
            metadata=metadata,
        )


def _interpreter(tree: Tree, debian: tuple[Installed, ...]) -> str:
    """``3.13.5``: as Debian's package says, else as the headers beside a Python of another origin say."""
    for package in debian:
        if re.fullmatch(r"python3\.\d+-minimal", package.name):
            return re.sub(r"^\d+:|-[^-]*$", "", package.version)
    minors = sorted(match[1] for path in tree if (match := _PYTHON.search(path)))
    for minor in minors:
        headers = _text(tree, f"usr/local/include/python{minor}/patchlevel.h")
        if version := re.search(r'#define PY_VERSION\s+"([^"]+)"', headers):
            return version[1]
    return minors[0] if minors else ""


def runs(tree: Tree, paths: Iterable[str]) -> bool:
    """Whether a program is among the files ``paths``: compiled, Python's, or one that is marked as such."""
    entries = ((path, tree[path]) for path in paths if path in tree)
    return any(
        entry.kind is Kind.FILE
        and (bool(entry.mode & 0o111) or path.endswith(".py") or entry.content.startswith(b"\x7fELF"))
        for path, entry in entries
    )


def files_of(tree: Tree, one: Installed | Distribution) -> set[str]:
    """The paths that the lists of a package name; those of Debian's are there as they were packed."""
    if isinstance(one, Distribution):
        return set(_recorded(tree, one.folder))
    return {path for place in _records(one) if place.endswith(".md5sums") for path, _ in _sums(tree, place)}


def _records(one: Installed) -> Iterator[str]:
    """Where dpkg, or a base without it, keeps what it knows of a package (dpkg(1), "FILES")."""
    yield from (f"{STATUS_FOLDER}{one.name}", f"{STATUS_FOLDER}{one.name}.md5sums")
    for name in (one.name, f"{one.name}:{one.fields.get('Architecture', '')}"):
        yield from (f"var/lib/dpkg/info/{name}.{kind}" for kind in ("list", "md5sums", "shlibs", "symbols", "triggers"))


def accounted_for(tree: Tree, inventory: Inventory) -> set[str]:
    """The paths that hold exactly what an installed package's own list says (and those lists): published by others."""
    found = {STATUS, *(path for one in inventory.debian for path in _records(one))}
    found |= {path for path, digest in _md5_sums(tree) if path in tree and _md5(tree[path].content) == digest}
    for one in inventory.distributions:
        found |= set(_recorded(tree, one.folder))
    return found | {path for path in tree if _source_of(path) in found}


def altered(layers: Sequence[Tree], tree: Tree, inventory: Inventory) -> Iterator[str]:
    """The paths of ``tree``, of all ``layers`` together, that hold other than an installed package's own list says.

    The lists themselves are among them where an upper layer says other than a lower one.
    """
    for path, digest in _md5_sums(tree):
        if path in tree and tree[path].kind is Kind.FILE and _md5(tree[path].content) != digest:
            yield path
    for one in inventory.distributions:
        for path, digest in _rows(tree, one.folder):
            if path in tree and digest.startswith("sha256=") and digest != _recorded_digest(tree[path]):
                yield path
    lists = {f"{one.folder}/RECORD" for one in inventory.distributions}
    lists |= {path for path in tree if path.startswith(STATUS_FOLDER)}
    for path in sorted(lists):
        if len({layer[path] for layer in layers if path in layer}) > 1:
            yield path


def _md5_sums(tree: Tree) -> Iterator[tuple[str, str]]:
    lists = [path for path in tree if path.startswith("var/lib/dpkg/") and path.endswith(".md5sums")]
    for path in lists:
        yield from _sums(tree, path)


def _sums(tree: Tree, path: str) -> Iterator[tuple[str, str]]:
    for line in _text(tree, path).splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _recorded(tree: Tree, folder: str) -> Iterator[str]:
    yield f"{folder}/RECORD"
    yield from (path for path, digest in _rows(tree, folder) if digest == _recorded_digest(tree.get(path)))


def _rows(tree: Tree, folder: str) -> Iterator[tuple[str, str]]:
    """Path and hash of each line of a RECORD (binary distribution format, "The .dist-info directory")."""
    # What is no list names nothing, so that it vouches for nothing either.
    with contextlib.suppress(csv.Error):
        for row in csv.reader(io.StringIO(_text(tree, f"{folder}/RECORD"))):
            if len(row) > 1:
                yield posixpath.normpath(f"{posixpath.dirname(folder)}/{row[0]}"), row[1]


def _recorded_digest(entry: Entry | None) -> str:
    """As a RECORD writes it; of no file, what no RECORD does."""
    if entry is None:
        return "absent"
    digest = base64.urlsafe_b64encode(hashlib.sha256(entry.content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


def _source_of(path: str) -> str:
    """``a/b.py`` of ``a/__pycache__/b.cpython-313.pyc`` (PEP 3147): lists name no byte code that was made later."""
    match = re.fullmatch(r"(.*/)?__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc", path)
    return f"{match[1] or ''}{match[2]}.py" if match else ""
