"""What people write by hand (``requirements.in``): names and ranges, never a place to install from.

An index option in such a file would reach the compilers past the scrubbed environment, so none is taken.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement

from pipeline.model.errors import Refused

_INCLUDE = re.compile(r"-r ([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\.in)")


def read_inputs(root: Path, path: str) -> list[Requirement]:
    """The direct requirements of ``path`` below ``root`` and of the files it includes with ``-r other.in``.

    Raises Refused: ``lock.missing``, ``lock.second-index`` (an index or find-links option), ``lock.url``,
    ``lock.include`` (anything but ``-r`` of an .in file inside the repository, each once), ``lock.malformed``.
    """
    return list(_read(root, PurePosixPath(path), set()))


def _read(root: Path, path: PurePosixPath, seen: set[Path]) -> Iterator[Requirement]:
    file = (root / path).resolve()
    if file in seen or not file.is_relative_to(root.resolve()):
        raise _refused("lock.include", str(path), "included twice or from outside", str(path), "each file once")
    seen.add(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("lock.missing", str(path), "not readable", type(error).__name__, "names to lock") from error
    for number, line in enumerate(text.splitlines(), 1):
        content = re.sub(r"(^|\s+)#.*$", "", line).strip()
        include = _INCLUDE.fullmatch(content)
        if include:
            yield from _read(root, path.parent / include[1], seen)
        elif content:
            yield _requirement(content, f"{path}:{number}")


def _requirement(content: str, where: str) -> Requirement:
    if re.match(r"(-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--trusted-host)\b", content):
        raise _refused("lock.second-index", where, "names an index", content, "the one that pip is configured with")
    if re.match(r"(-r|-c|--requirement|--constraint)\b", content):
        raise _refused("lock.include", where, "include not followed", content, "-r NAME.in")
    if re.match(r"(-e|--editable)\b|[./]", content) or "://" in content:
        raise _refused("lock.url", where, "names an address", content, "a name, from the index")
    try:
        requirement = Requirement(content)
    except InvalidRequirement as error:
        raise _refused("lock.malformed", where, "not a requirement", content, "a name and a range") from error
    if requirement.url is not None:
        raise _refused("lock.url", where, "names an address", content, "a name, from the index")
    return requirement


def _refused(code: str, where: str, differs: str, got: str, expected: str) -> Refused:
    path = where.partition(":")[0]
    return Refused(code, f"{where}: {differs} (got {got[:120]}, expected {expected})", fix=f"mend {path}")
