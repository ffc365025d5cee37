"""What holds the repository together: which way imports point, and what no file may name."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipeline"

#: A module imports only from its own layer and those before it. What is in one line is one layer.
LAYERS = (
    "model",
    "settings",
    "files",
    "processes",
    "git",
    "source",
    "hash_locks",
    "lock_inputs",
    "indexes",
    "debian",
    "runtime",
    "image",
    "signing",
    "store",
    "advisories",
    "workflows",
    "steps",
    "gate",
    "reproduction",
    "promotion",
    "report",
    "running",
    "commands",
    "cli",
    "__main__",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    """``pipeline.gate.rules`` -> ``gate``; the package itself, which holds the version alone, is the empty layer."""
    return [*module.split("."), ""][1]


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that ``path`` imports, also inside functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            found.update(_from(node))
    return frozenset(found)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    for alias in node.names:
        inner = f"{module}.{alias.name}"
        is_module = (ROOT / f"{inner.replace('.', '/')}.py").exists() or (ROOT / inner.replace(".", "/")).is_dir()
        yield inner if is_module else module


def ours(path: Path) -> set[str]:
    return {name for name in imported(path) if name == "pipeline" or name.startswith("pipeline.")}


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_a_module_imports_only_from_layers_above_its_own(path):
    own = layer_of(module_name(path))
    if own == "":
        assert not ours(path), "the package itself imports nothing, so that importing it costs nothing"
        return
    allowed = {"", *LAYERS[: LAYERS.index(own) + 1]}
    wrong = sorted(name for name in ours(path) if layer_of(name) not in allowed)
    assert not wrong, f"{module_name(path)} imports {', '.join(wrong)}"


def test_the_model_imports_nothing_of_ours():
    for path in (PACKAGE / "model").rglob("*.py"):
        assert all(layer_of(name) == "model" for name in ours(path)), path


def path_of(module: str) -> Path:
    folder = ROOT / module.replace(".", "/")
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def test_what_makes_the_environments_needs_the_standard_library_alone():
    """scripts/ runs pipeline/running before anything is installed."""
    waiting = [ROOT / "scripts" / "start.py", *(PACKAGE / "running").glob("*.py")]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        foreign = {name.split(".")[0] for name in imported(path)} - {"pipeline"} - sys.stdlib_module_names
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"
        waiting += [path_of(name) for name in ours(path)]
    assert len(seen) > 5


def test_the_service_and_the_pipeline_do_not_import_each_other():
    for path in (ROOT / "sample_app").rglob("*.py"):
        assert not ours(path), path
    for path in modules():
        assert not {name for name in imported(path) if name.split(".")[0] == "sample_app"}, path


def test_a_step_is_free_of_the_session_runner():
    for path in modules():
        assert "nox" not in {name.split(".")[0] for name in imported(path)}, path


@cache
def repository_files() -> tuple[Path, ...]:
    """What is in git, and what would be added to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return tuple(ROOT / name for name in listed if name and (ROOT / name).is_file())


def found_in_files(pattern: re.Pattern[bytes]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {match[0].decode('utf-8', 'replace')}"
        for path in repository_files()
        for match in [pattern.search(path.read_bytes())]
        if match
    ]


def dotted(*names: str) -> str:
    """Put together here, so that this file does not name them either."""
    return re.escape(".".join(names))


REGISTRIES = (
    dotted("pypi", "org"),
    dotted("pythonhosted", "org"),
    rf"(?:deb|security|snapshot|archive|incoming|ftp(?:\.[a-z]+)?|httpredir)\.{dotted('debian', 'org')}",
    dotted("archive", "ubuntu", "com"),
    dotted("registry", "npmjs", "org"),
    dotted("registry", "yarnpkg", "com"),
    dotted("proxy", "golang", "org"),
    dotted("sum", "golang", "org"),
    rf"\b{dotted('crates', 'io')}",
    rf"repo\d?\.{dotted('maven')}",
    dotted("rubygems", "org"),
)


def test_no_file_names_a_package_registry():
    """pip, uv, npm and apt are asked for theirs, so that a team behind its own mirrors changes nothing."""
    assert not found_in_files(re.compile("|".join(REGISTRIES).encode(), re.IGNORECASE))


def test_no_file_names_a_place_on_somebodys_machine():
    places = ["/" + "Users/", "py" + "env/", "/opt/" + "wheels"]
    clone = re.escape(str(ROOT)).encode() + rb"(?![\w-])"  # not the beginning of a longer name
    home = rb"/home/(?!nonroot|app\b)[a-z][a-z0-9_-]*/"
    assert not found_in_files(re.compile(b"|".join([*(re.escape(place).encode() for place in places), clone, home])))


def test_every_file_of_text_is_utf8_with_unix_line_ends():
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" in content[:8000] or "fixtures" in path.parts:
            continue
        assert content.decode("utf-8") is not None
        assert b"\r\n" not in content, path


_LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#{1,6} +(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def documents() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def broken_links(path: Path) -> Iterator[str]:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        linked = (path.parent / name) if name else path
        if re.match(r"[a-z]+:", target):
            continue
        if not linked.exists() or not linked.resolve().is_relative_to(ROOT.resolve()):
            yield f"{path.relative_to(ROOT)}: {target}: no such file in the repository"
        elif anchor and anchor not in anchors(linked):
            yield f"{path.relative_to(ROOT)}: {target}: no such heading"


def test_every_link_in_a_document_leads_somewhere():
    found = documents()
    assert found
    assert [problem for path in found for problem in broken_links(path)] == []
