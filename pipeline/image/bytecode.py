"""Byte code made by the image's own Python, run through its own loader: no engine, no root, no emulation."""

import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.debian.packages import Architecture
from pipeline.image.base_layer import TUPLES
from pipeline.image.layer import Entry, Kind, Tree, file
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.processes import run

#: Where a base keeps what it takes to run Python: its program, its library, and the libraries of both.
_INTERPRETER = ("usr/bin/python", "usr/lib/")
_MACHINES: dict[str, Architecture] = {"x86_64": "amd64", "aarch64": "arm64"}
# Unchecked-hash code (PEP 552) holds no time and is never compared with its source: the image is read-only anyway.
# A file that is no Python of this version (a template, a test's bad example) simply has none.
_PROGRAM = """
import os, py_compile, sys
for path in sys.stdin.buffer.read().split(b"\\0"):
    path = os.fsdecode(path)
    try:
        py_compile.compile(os.path.join(sys.argv[1], path), dfile="/" + path, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, ValueError):
        pass
"""


def host_architecture() -> Architecture:
    """The machine's, as Debian names it; raises Misuse (``image.host``) where no base can run here."""
    machine = platform.machine()
    if machine not in _MACHINES or platform.system() != "Linux":
        raise Misuse(
            "image.host",
            f"this machine: cannot run the base's Python (got {platform.system()} on {machine}, "
            "expected Linux on x86_64 or aarch64)",
            fix="run the pipeline in a Linux container on amd64 or arm64",
        )
    return _MACHINES[machine]


def compile_sources(tree: Tree, base: Tree, *, python: str) -> dict[str, Entry]:
    """The byte code of every ``.py`` in ``tree``, by path; ``base`` is the host architecture's, ``python`` ``3.13``.

    Byte code does not depend on the processor, so it serves every architecture. Raises CannotEvaluate
    (``image.bytecode``).
    """
    sources = sorted(path for path, entry in tree.items() if entry.kind is Kind.FILE and path.endswith(".py"))
    if not sources:
        return {}
    with tempfile.TemporaryDirectory(prefix="gatehouse-bytecode-") as temporary:
        system, work = Path(temporary, "system"), Path(temporary, "work")
        _write(system, {path: entry for path, entry in base.items() if path.startswith(_INTERPRETER)})
        _write(work, {path: tree[path] for path in sources})
        # Each file's code depends on that file alone, so the work can be shared out.
        workers = os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            shares = [sources[start::workers] for start in range(min(workers, len(sources)))]
            list(pool.map(lambda share: _run(system, work, share, python), shares))
        found = {path.relative_to(work).as_posix(): path.read_bytes() for path in sorted(work.rglob("*.pyc"))}
    return {path: file(content) for path, content in found.items() if path not in tree}


def _run(system: Path, work: Path, sources: list[str], python: str) -> None:
    libraries = system / "usr/lib" / TUPLES[host_architecture()]
    loader = next(iter(sorted(libraries.glob("ld-linux*"))), None)
    if loader is None:
        raise _failed(python, "no ld-linux in the base")
    # ``-E`` would hide PYTHONHOME, without which the interpreter looks for the host's library.
    ended = run(
        [loader, "--library-path", libraries, system / f"usr/bin/python{python}", "-BSsP", "-c", _PROGRAM, work],
        env={"PYTHONHOME": str(system / "usr"), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        stdin="\0".join(sources).encode(),
    )
    if ended.exit_code != 0:
        raise _failed(python, f"exit code {ended.exit_code}: {ended.last_words}")


def _failed(python: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "image.bytecode",
        f"byte code: the base's Python {python} did not compile it (got {got}, expected exit code 0)",
        fix="look at the base: its packages must hold a working Python (requirements/base.in)",
    )


def _write(folder: Path, tree: Tree) -> None:
    made: set[Path] = set()
    for path, entry in tree.items():
        target = folder / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        if entry.kind is Kind.FILE:
            target.write_bytes(entry.content)
            if entry.mode & 0o100:
                target.chmod(0o755)
        elif entry.kind is Kind.FOLDER:
            target.mkdir(exist_ok=True)
        else:
            target.symlink_to(entry.target)
