"""The build context: the files that git sees below the application's folder, less those of ``.dockerignore``."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pipeline.git import Snapshot
from pipeline.image.archive import WHITEOUT
from pipeline.image.dockerfile import NAME, Copy, Made
from pipeline.image.layer import Entry, Kind, folder, with_folders
from pipeline.image.soundness import resolve
from pipeline.model.errors import CannotEvaluate, Refused

IGNORE = ".dockerignore"
_MODES = {"100644": (Kind.FILE, 0o644), "100755": (Kind.FILE, 0o755), "120000": (Kind.LINK, 0o777)}

Context = Mapping[str, Entry]
"""Path below the context to file or link."""


def read_context(root: Path, directory: str, snapshot: Snapshot) -> dict[str, Entry]:
    """Every file and link of ``snapshot`` below ``directory``, each held against its hash in the snapshot.

    Raises CannotEvaluate (``source.changed``) for a file that is no longer the snapshot's, Refused
    (``context.submodule``, ``context.link``, ``context.whiteout``).
    """
    prefix = f"{directory}/"
    found = {}
    for path, stage in snapshot.files.items():
        if path.startswith(prefix):
            mode, blob = stage.split()
            found[path.removeprefix(prefix)] = _entry(root, path, mode, blob)
    for path, entry in found.items():
        if any(part.startswith(WHITEOUT) for part in path.split("/")):
            raise Refused(
                "context.whiteout",
                f"{path}: a name that removes files of the layers below (got {WHITEOUT}, expected another beginning)",
                fix="rename it: no image can hold a file of that name (OCI image specification, layer.md)",
            )
        if entry.kind is Kind.LINK:
            _check_link(path, entry.target)
    return found


def _entry(root: Path, path: str, mode: str, blob: str) -> Entry:
    if mode not in _MODES:
        raise Refused(
            "context.submodule",
            f"{path}: not a file (got git mode {mode}, expected a file or a link)",
            fix="move the submodule out of the application's folder, or copy its files into it",
        )
    kind, bits = _MODES[mode]
    try:
        content = os.fsencode((root / path).readlink()) if kind is Kind.LINK else (root / path).read_bytes()
    except OSError as error:
        raise _changed(path, error.strerror or str(error)) from error
    algorithm = "sha1" if len(blob) == 40 else "sha256"
    got = hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if got != blob:
        raise _changed(path, f"git blob {got[:12]}")
    return Entry(kind, bits, target=os.fsdecode(content)) if kind is Kind.LINK else Entry(kind, bits, content)


def _changed(path: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "source.changed",
        f"{path}: not the file that git listed (got {got}, expected the listed content)",
        fix="let the work tree rest while the image is built, without line-ending or other filters on these files",
    )


def _check_link(path: str, target: str) -> None:
    parts = [*path.split("/")[:-1], *target.split("/")]
    depth = 0
    for part in parts:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0 or target.startswith("/"):
            raise Refused(
                "context.link",
                f"{path}: a link out of the build context (got {target!r}, expected a relative path inside)",
                fix="replace the link by the file that it points to",
            )


def ignore(context: Context, patterns: str) -> dict[str, Entry]:
    """What ``.dockerignore`` leaves, its last matching pattern deciding (Dockerfile reference, ".dockerignore").

    Raises Refused (``dockerfile.ignore``) for a line that engines might read otherwise: what it is to hide would stay.
    """
    lines = enumerate(patterns.replace("\r\n", "\n").split("\n"), 1)
    rules = [rule for number, line in lines if (rule := _rule(number, line))]
    return {path: entry for path, entry in context.items() if not _ignored(path, rules)}


def _rule(number: int, line: str) -> tuple[bool, re.Pattern[str]] | None:
    if not line.strip() or line.startswith("#"):
        return None
    keep = line.startswith("!")
    pattern = line.strip().removeprefix("!").strip().removeprefix("./").removeprefix("/").removesuffix("/")
    try:
        if line[0].isspace() and line.strip()[0] in "#!":
            raise ValueError(f"blanks before {line.strip()[0]}")
        if not line.replace("\t", " ").isprintable() or {"", ".", ".."} & set(pattern.split("/")):
            raise ValueError("no path in its plain form")
        return keep, re.compile(_expression(pattern))
    except (ValueError, re.error) as error:
        raise Refused(
            "dockerfile.ignore",
            f"{IGNORE}:{number}: not a pattern that every builder reads alike (got {line[:200]!r}: {error}, expected "
            "a path below the context, with *, **, ? or [...])",
            fix=f"write line {number} in that form, or take it out",
        ) from error


def _expression(pattern: str) -> str:
    """Go's ``filepath.Match`` and ``**`` as a regular expression over whole paths."""
    parts = []
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|\\.|.", pattern):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token)
        is_class = token.startswith("[") and token.endswith("]") and len(token) > 2
        parts.append(special or (token if is_class else re.escape(token[-1])))
    return "".join(parts)


def _ignored(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    parts = path.split("/")
    ancestors = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    ignored = False
    for keep, expression in rules:
        if any(expression.fullmatch(ancestor) for ancestor in ancestors):
            ignored = not keep
    return ignored


def copied(context: Context, copies: Sequence[Copy], made: Sequence[Made] = ()) -> dict[str, Entry]:
    """The entries that COPY and WORKDIR put into the image, by path without leading slash.

    Folders that a COPY makes on the way are its owner's, as with BuildKit. Raises Refused
    (``dockerfile.outside-context``, ``dockerfile.no-source``, ``dockerfile.in-the-way``).
    """
    tree: dict[str, Entry] = {}
    steps: list[Copy | Made] = [*copies, *made]
    for step in sorted(steps, key=lambda step: step.line):
        owner = 0 if isinstance(step, Made) else step.owner
        for path, entry in _brought(context, step).items():
            for parent in reversed(PurePosixPath(path).parents[:-1]):
                _check_room(tree, str(parent), step.line, Kind.FOLDER)
                if str(parent) not in tree or _own_folder(step, str(parent)):
                    tree[str(parent)] = folder(owner=owner)
            _check_room(tree, path, step.line, entry.kind)
            if entry.kind is Kind.FOLDER:
                tree.setdefault(path, entry)
            else:
                tree[path] = Entry(entry.kind, entry.mode, entry.content, entry.target, owner)
    return tree


def own_folders(context: Context, copies: Sequence[Copy]) -> frozenset[str]:
    """The folders that come with a copied folder: an engine gives them its owner, and 0755, even where they are."""
    parents = (
        (copy, str(p)) for copy in copies for path in _brought(context, copy) for p in PurePosixPath(path).parents
    )
    return frozenset(parent for copy, parent in parents if parent != "." and _own_folder(copy, parent))


def _own_folder(step: Copy | Made, path: str) -> bool:
    target = step.target.strip("/") if isinstance(step, Copy) else path
    return path != target and f"{path}/".startswith(f"{target}/" if target else "")


def _check_room(tree: Mapping[str, Entry], path: str, line: int, kind: Kind) -> None:
    """What is there may be a folder of the same path, or for a file or link its like: engines differ about the rest."""
    there = tree.get(path)
    if there is not None and there.kind is not kind:
        raise in_the_way(f"{NAME}:{line}", path, there, kind)


def in_the_way(place: str, path: str, there: Entry, kind: Kind) -> Refused:
    """The refusal (``dockerfile.in-the-way``) of a ``kind`` at ``path`` where something else is already."""
    onto_folder = there.kind is Kind.FOLDER
    return Refused(
        "dockerfile.in-the-way",
        f"{place}: a {kind} where a {there.kind} is (got /{path}, expected another place)",
        fix=f"end the target with a slash to copy into /{path}" if onto_folder else f"copy beside /{path}, not over it",
    )


def _brought(context: Context, step: Copy | Made) -> dict[str, Entry]:
    if isinstance(step, Made):
        return {step.path.strip("/"): folder()} if step.path != "/" else {}
    return {path: entry for source in step.sources for path, entry in _copy_one(context, step, source).items()}


def _copy_one(context: Context, copy: Copy, source: str) -> dict[str, Entry]:
    parts = [part for part in source.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise Refused(
            "dockerfile.outside-context",
            f"{NAME}:{copy.line}: COPY from outside the context (got {source}, expected a path below the folder of "
            f"the {NAME})",
            fix="move what is to be copied into the application's folder",
        )
    target, name = copy.target.strip("/"), _behind_links(context, "/".join(parts))
    if name in context:
        return {f"{target}/{parts[-1]}".strip("/") if copy.into else target: context[name]}
    below = f"{name}/" if name else ""
    found = {
        f"{target}/{path.removeprefix(below)}".strip("/"): e for path, e in context.items() if path.startswith(below)
    }
    if not found:
        raise Refused(
            "dockerfile.no-source",
            f"{NAME}:{copy.line}: nothing to copy (got {source}, expected a file that git sees and {IGNORE} leaves)",
            fix="add the file to the application's folder, un-ignore it, or correct the line",
        )
    return found


def _behind_links(context: Context, name: str) -> str:
    """What a source means: engines copy what a link that is named itself leads to (reference, "COPY")."""
    return resolve(with_folders(context), name) or name
