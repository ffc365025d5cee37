"""The documents say what is so: generated parts are current, and what they name exists."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pipeline import settings
from pipeline.model.kinds import LISTED
from pipeline.report import documents
from pipeline.report.codes import read_codes
from pipeline.report.run import Run
from pipeline.running.sessions import TOOLS
from tests.test_structure import LAYERS, PACKAGE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", documents.paths(ROOT), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_generated_part_is_stale(path):
    text = path.read_text(encoding="utf-8")
    assert documents.regenerate(text, ROOT) == text, "run `scripts/nox -s docs`"


def test_every_maker_is_used():
    text = "".join(path.read_text(encoding="utf-8") for path in documents.paths(ROOT))
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == set(documents.MAKERS)


def test_the_readme_tells_of_every_kind_on_an_evidence_list():
    assert set(documents.SAYS) == set(LISTED)
    assert all(f"| **{kind}** |" in README for kind in LISTED)


def codes_that_tests_expect():
    """The right-hand sides of ``caught.value.code == "..."`` in the tests."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "code":
                yield from (item.value for item in node.comparators if isinstance(item, ast.Constant))


def test_every_code_that_a_test_expects_is_documented():
    """``lint.*`` and ``*.unreadable`` stand for codes that a tool's rule or a step's name completes."""
    documented = re.findall(r"^\| `([a-z0-9.*-]+)` \|", (ROOT / "docs/codes.md").read_text(), re.MULTILINE)
    expected = {code for code in codes_that_tests_expect() if isinstance(code, str) and "." in code}
    assert len(expected) > 20
    assert sorted(code for code in expected if not any(fnmatchcase(code, pattern) for pattern in documented)) == []


def test_every_code_has_its_family_and_its_name():
    assert all(re.fullmatch(r"([a-z-]+|\*)\.([a-z0-9-]+|\*)", raised.code) for raised in read_codes(PACKAGE))


def test_the_readme_has_both_commands_and_they_are_there():
    for command in re.findall(r"^(scripts/[a-z]+)", README, re.MULTILINE):
        assert (ROOT / command).stat().st_mode & 0o111, command
    assert "\nscripts/pipeline " in README
    assert "\nscripts/test " in README


def test_every_session_that_a_document_names_exists():
    named = set()
    for path in documents.paths(ROOT):
        named.update(re.findall(r"scripts/nox -s ([a-z]+)", path.read_text(encoding="utf-8")))
    sessions = set(re.findall(r"^def ([a-z]+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    assert named <= sessions
    assert set(TOOLS) <= sessions


def test_the_layers_are_those_that_the_imports_are_held_to():
    text = (ROOT / "docs/structure.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- layers -->")[2].partition("<!-- end -->")[0]
    assert tuple(re.findall(r"^\d+\. `([a-z_]+)`", listed, re.MULTILINE)) == LAYERS
    there = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert there - {"__init__", "__pycache__"} == set(LAYERS)


def test_every_setting_is_documented_with_its_meaning():
    rows = documents.settings(ROOT).splitlines()[2:]
    assert len(rows) >= len(settings.Settings.model_fields)
    for row in rows:
        assert len(row.split("|")[4].strip()) > 10, f"{row}: no comment beside it in {settings.FILE}"


def test_owners_are_of_paths_that_exist():
    lines = (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8").splitlines()
    paths = [line.split()[0] for line in lines if line.startswith("/")]
    assert paths
    for path in paths:
        assert (ROOT / path.strip("/")).exists(), path


def test_the_version_is_the_same_everywhere():
    from pipeline import __version__  # noqa: PLC0415

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_data_format_is_the_documented_one():
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    assert Run.model_fields["format"].default in text
    assert "gatehouse-verdict/1" in text


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_no_document_is_wider_than_a_page():
    """Prose only: tables, code and links are as wide as they are."""
    for path in documents.paths(ROOT):
        in_code = False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            in_code ^= line.startswith("```")
            assert in_code or line.startswith(("|", " ")) or len(line) <= 125, f"{path.name}:{number}"


def test_a_stale_part_is_made_anew(tmp_path):
    (tmp_path / "README.md").write_text("a\n<!-- generated: exit-codes -->\nold\n<!-- end -->\nb\n")
    assert documents.write(tmp_path) == [tmp_path / "README.md"]
    text = (tmp_path / "README.md").read_text()
    assert "old" not in text
    assert "| 3 | " in text
    assert text.startswith("a\n<!--")
    assert text.endswith("-->\nb\n")
    assert documents.write(tmp_path) == []


def test_a_part_that_nothing_makes_is_an_error():
    with pytest.raises(KeyError):
        documents.regenerate("<!-- generated: nonsense -->\n<!-- end -->", Path())
