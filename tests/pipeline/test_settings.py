"""pipeline.toml: what is unknown or missing is refused."""

import pytest

from pipeline.model.errors import Misuse
from pipeline.settings import load, with_registry


@pytest.fixture
def text(root):
    return (root / "pipeline.toml").read_text(encoding="utf-8")


def _load(folder, text):
    (folder / "pipeline.toml").write_text(text, encoding="utf-8")
    return load(folder)


def test_the_file_of_the_repository_loads(tmp_path, text):
    assert _load(tmp_path, text).app.directory == "sample_app"


@pytest.mark.parametrize(
    ("old", "new", "code", "fragment"),
    [
        ("[app]", "[app]\nunknown = 1", "settings.invalid", "app.unknown: extra inputs"),
        ("[store]", "[shop]", "settings.invalid", "shop: extra inputs"),
        ('name = "noticeboard"', "", "settings.invalid", "app.name: field required"),
        ("port = 8888", "prot = 8888", "settings.invalid", "app.prot: extra inputs"),
        ("port = 8888", "", "settings.invalid", "(got nothing, expected what docs/settings.md lists)"),
        ('name = "noticeboard"', 'name = "Not OK"', "settings.invalid", "app.name"),
        ('version = "0.1.0"', 'version = "one"', "settings.invalid", "should be a pep 440 version"),
        ('directory = "sample_app"', 'directory = "../elsewhere"', "settings.invalid", "path below the repository"),
        ('directory = "sample_app"', 'directory = "/etc"', "settings.invalid", "path below the repository"),
        ("port = 8888", "port = 70000", "settings.invalid", "app.port"),
        ("port = 8888", 'port = "8888"', "settings.invalid", "app.port"),
        ('registry = ""', 'registry = "https://host/repo"', "settings.invalid", "without scheme"),
        ('mirror = ""', 'mirror = "https://user:secret@host/debian"', "settings.invalid", "without user"),
        ("[app]", "[app]\nname = 'twice'", "settings.malformed", "pipeline.toml: not readable"),
        ("[app]", "[app", "settings.malformed", "pipeline.toml: not readable"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path, text, old, new, code, fragment):
    with pytest.raises(Misuse) as refused:
        _load(tmp_path, text.replace(old, new, 1))
    assert refused.value.code == code
    assert fragment in refused.value.message
    assert refused.value.exit_code == 2


def test_a_password_in_an_address_is_not_repeated(tmp_path, text):
    with pytest.raises(Misuse) as refused:
        _load(tmp_path, text.replace('mirror = ""', 'mirror = "https://user:secret@host/debian"', 1))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("registry", ["https://host/repo", "host", "host/Repo", "host/repo:tag", "user:pw@host/repo"])
def test_a_registry_argument_is_held_to_the_same_form(tmp_path, text, registry):
    with pytest.raises(Misuse) as refused:
        with_registry(_load(tmp_path, text), registry)
    assert refused.value.code == "arguments.registry"


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(Misuse) as refused:
        load(tmp_path)
    assert refused.value.code == "settings.missing"


@pytest.mark.parametrize(
    ("line", "fragment"),
    [
        ('name = "a"\npath = "no-slash"', "smoke.0.path"),
        ('name = "a b"\npath = "/"', "smoke.0.name"),
        ('name = "a"\npath = "/"\nmethod = "TRACE"', "smoke.0.method"),
        ('name = "a"\npath = "/"\nheaders = { X = "a\\r\\nb" }', "smoke.0.headers.x"),
        ('name = "a"\npath = "/"\nkeep = { id = "[" }', "should be a regular expression"),
        ('name = "a"\npath = "/"\nkeep = { id = "(a)(b)" }', "with one group"),
        ('name = "a"\npath = "/"\n[[smoke]]\nname = "a"\npath = "/"', "each exchange once, not a twice"),
    ],
)
def test_a_request_of_the_smoke_step_is_held_to_its_form(tmp_path, text, line, fragment):
    with pytest.raises(Misuse) as refused:
        _load(tmp_path, f"{text.partition('[[smoke]]')[0]}\n[[smoke]]\n{line}\n")
    assert fragment in refused.value.message.lower()
