"""What a finished tree must not have: programs that cannot load, dangling links, ways to more rights, tools."""

import io
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.image.layer import Kind, Tree

_SHELLS = {"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish", "busybox", "toybox"}
_MANAGERS = {
    "apt",
    "apt-get",
    "aptitude",
    "dpkg",
    "apk",
    "dnf",
    "microdnf",
    "yum",
    "rpm",
    "zypper",
    "pip",
    "pip3",
    "uv",
}
_MANAGERS |= {"conda", "npm", "easy_install", "snap"}
_MANAGER_MODULES = re.compile(r"(?:^|/)(?:pip|uv|ensurepip|easy_install)/__main__\.py$")
_LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib", "usr/lib64")
MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that should not be. ``code`` is the refusal's."""

    code: str
    path: str
    detail: str


def flaws(tree: Tree) -> list[Flaw]:
    """Every flaw of a whole image's tree, sorted; the tree has every folder of its paths."""
    found = [*missing_libraries(tree), *dangling_links(tree), *modes(tree), *tools(tree)]
    return sorted(found, key=lambda flaw: (flaw.code, flaw.path))


def resolve(tree: Tree, path: str) -> str | None:
    """The path behind every link on the way, None where it leads nowhere or in a circle."""
    parts, done, followed = [part for part in path.split("/") if part], "", 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            done = posixpath.dirname(done)
            continue
        step = f"{done}/{part}".strip("/") if part != "." else done
        entry = tree.get(step)
        if step and entry is None:
            return None
        if entry is not None and entry.kind is Kind.LINK:
            followed += 1
            if followed > MAX_LINKS:
                return None
            parts = [piece for piece in entry.target.split("/") if piece] + parts
            done = "" if entry.target.startswith("/") else done
        else:
            done = step
    return done


def dangling_links(tree: Tree) -> Iterator[Flaw]:
    for path, entry in tree.items():
        if entry.kind is Kind.LINK and resolve(tree, path) is None:
            yield Flaw("image.dangling-link", path, f"a link to {entry.target}")


def modes(tree: Tree) -> Iterator[Flaw]:
    """Set-user and set-group files; files that everyone may write, and folders where not only the owner may delete."""
    for path, entry in tree.items():
        if entry.kind is Kind.FILE and entry.mode & 0o6000:
            yield Flaw("image.setuid", path, f"mode {entry.mode:04o}")
        sticky = entry.kind is Kind.FOLDER and entry.mode & 0o1000
        if entry.kind is not Kind.LINK and entry.mode & 0o002 and not sticky:
            yield Flaw("image.world-writable", path, f"mode {entry.mode:04o}")


def tools(tree: Tree) -> Iterator[Flaw]:
    """Shells and package managers, by the names under which they would be called."""
    for path, entry in tree.items():
        name = posixpath.basename(path)
        runnable = entry.kind is Kind.LINK or (entry.kind is Kind.FILE and bool(entry.mode & 0o111))
        if runnable and name in _SHELLS:
            yield Flaw("image.shell", path, "a shell")
        if (runnable and name in _MANAGERS) or _MANAGER_MODULES.search(path):
            yield Flaw("image.package-manager", path, "a package manager")


def missing_libraries(tree: Tree) -> Iterator[Flaw]:
    """ELF files whose DT_NEEDED is neither in a library folder nor on their own run path (ld.so(8))."""
    everywhere = (*_LIBRARY_FOLDERS, *_cached_folders(tree))
    for path, entry in tree.items():
        if entry.kind is Kind.FILE and entry.content.startswith(b"\x7fELF"):
            needed, folders = _dynamic(entry.content, posixpath.dirname(path))
            for library in needed:
                if not any(resolve(tree, f"{folder}/{library}") for folder in (*folders, *everywhere)):
                    yield Flaw("image.missing-library", path, f"needs {library}")


def _cached_folders(tree: Tree) -> list[str]:
    """The folders of ld.so.conf(5), which count where a cache was made from them: the locked base has none."""
    if "etc/ld.so.cache" not in tree:
        return []
    files = [path for path in tree if path.startswith("etc/ld.so.conf.d/") and path.endswith(".conf")]
    lines = [line.strip() for path in files for line in tree[path].content.decode("utf-8", "replace").splitlines()]
    return [line.strip("/") for line in lines if line.startswith("/")]


def _dynamic(content: bytes, origin: str) -> tuple[list[str], list[str]]:
    """The libraries that an ELF file names, and where it looks first."""
    from elftools.common.exceptions import ELFError  # noqa: PLC0415  (a warm build reads no ELF file)
    from elftools.elf.dynamic import DynamicSection  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        section = ELFFile(io.BytesIO(content)).get_section_by_name(".dynamic")
        tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
    except (ELFError, AssertionError, UnicodeDecodeError) as error:
        return [f"an ELF file that can be read ({error})"], []
    # pyelftools names the value of a string tag by the tag.
    needed = [str(getattr(tag, "needed", "")) for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    paths = [str(getattr(tag, "runpath", "") or getattr(tag, "rpath", "")) for tag in tags]
    folders = [item for path in paths for item in path.split(":") if item]
    return needed, [posixpath.normpath(re.sub(r"\$(ORIGIN|\{ORIGIN\})", f"/{origin}", item)) for item in folders]
