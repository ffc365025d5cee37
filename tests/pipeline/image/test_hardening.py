import pytest

from pipeline.image.archive import Archive, PlatformImage, write_archive
from pipeline.image.hardening import ATTRIBUTES, examine, hardening_predicate
from pipeline.image.layer import Entry, Kind, file, folder, link, pack
from pipeline.image.secrets import Secret
from pipeline.model.context import Context, Source, Tool
from pipeline.model.kinds import Kind as Evidence
from pipeline.model.predicates import Hardening, parse_predicate

PYTHON = b"Package: python3.13-minimal\nVersion: 3.13.5-2+deb13u1\n"
BASE = {
    "var/lib/dpkg/status.d/python3.13-minimal": file(PYTHON),
    "var/lib/dpkg/status.d/python3.13-minimal.md5sums": file(b""),
    "usr/bin/python3": link("python3.13"),
    "usr/bin/python3.13": file(b"interpreter", executable=True),
    "home/nonroot": folder(owner=65532),
    "tmp": folder(0o1777),
}
CONFIG = {"User": "65532:65532", "Env": ["PATH=/usr/bin"], "ExposedPorts": {"8888/tcp": {}}}
CONTEXT = Context(
    source=Source(uri="git+file:local", commit="a" * 40, tree="b" * 40, dirty=False, committed=1),
    locks={},
    tool=Tool(name="composer", version="1"),
    python="3.11.7",
)


SECRET = b"a secret of the tests"


def seen_secrets(texts):
    """In place of the detector, which has tests of its own."""
    return [Secret(path, "Test Secret", accepted="known" in path) for path, text in texts if SECRET.decode() in text]


@pytest.fixture
def seen(tmp_path):
    def run(*layers, **changed):
        packed = [pack(tree, time=0) for tree in (BASE, *layers)]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {**CONFIG, **changed},
            "rootfs": {"diff_ids": [layer.diff_id for layer in packed]},
        }
        path = tmp_path / "image.tar"
        write_archive(path, [PlatformImage("linux/amd64", config, packed)], name="thing", tag="1")
        return examine(Archive(path), "linux/amd64", seen_secrets)

    return run


def test_a_sound_image_has_every_attribute(seen):
    found = seen({"app/main.py": file(b"print()\n")})
    assert found.flaws == ()
    assert set(found.attributes) == set(ATTRIBUTES)


def test_the_measures_are_what_the_layers_hold(seen):
    measures = seen({"app/main.py": file(b"12345")}).measures
    assert measures["size_bytes"] == len(PYTHON) + len(b"interpreter") + 5
    assert (measures["packages"], measures["python"], measures["files"]) == (1, "3.13.5", 4)
    assert (measures["user"], measures["layers"], measures["capabilities"]) == ("65532:65532", 2, "")
    assert (measures["writable"], measures["writable_paths"]) == ("/home/nonroot /tmp", 2)


@pytest.mark.parametrize(
    ("layer", "attribute", "code"),
    [
        ({"app/x": Entry(Kind.FILE, 0o4755)}, "NO_SETUID_FILES", "image.setuid"),
        ({"app/sh": file(b"", executable=True)}, "NO_SHELL", "image.shell"),
        ({"app/apt": file(b"", executable=True)}, "NO_PACKAGE_MANAGER", "image.package-manager"),
        ({"app/x": Entry(Kind.FILE, 0o666)}, "NO_WORLD_WRITABLE_FILES", "image.world-writable"),
        ({"app/x": link("nowhere")}, "NO_DANGLING_LINKS", "image.dangling-link"),
        ({"app/x": file(b"\x7fELF")}, "ELF_CLOSURE", "image.missing-library"),
        ({"app/x": file(SECRET)}, "NO_SECRETS", "image.secret"),
    ],
)
def test_a_flaw_takes_its_attribute_away(seen, layer, attribute, code):
    found = seen(layer)
    assert [flaw.code for flaw in found.flaws] == [code]
    assert set(ATTRIBUTES) - set(found.attributes) == {attribute}


def test_a_file_of_a_package_that_an_upper_layer_changes_is_a_flaw(seen):
    status = next(path for path in BASE if path.startswith("var/lib/dpkg/status.d/"))
    (flaw,) = seen({status: file(BASE[status].content + b"Section: python\n")}).flaws
    assert (flaw.code, flaw.path) == ("image.altered-package", status)


@pytest.mark.parametrize("user", ["", "0", "0:0", "root", "app"])
def test_a_user_that_is_or_may_be_root_is_a_flaw(seen, user):
    assert [flaw.code for flaw in seen(User=user).flaws] == ["image.root-user"]


def test_a_secret_that_an_upper_layer_removes_is_still_found(seen):
    found = seen({"app/key": file(SECRET)}, {"app/.wh.key": file(b"")})
    assert [(flaw.code, flaw.path) for flaw in found.flaws] == [("image.secret", "app/key")]


def test_a_secret_in_the_environment_is_found(seen):
    assert [flaw.path for flaw in seen(Env=[f"API_KEY={SECRET.decode()}"]).flaws] == ["ENV API_KEY"]


def test_a_secret_that_somebody_answers_for_is_counted_and_no_flaw(seen):
    found = seen({"app/known": file(SECRET)})
    assert (found.flaws, found.measures["secrets_accepted"]) == ((), 1)
    assert "NO_SECRETS" in found.attributes


@pytest.mark.parametrize("entry", [Entry(Kind.FILE, 0o664, owner=0, group=65532), Entry(Kind.FILE, 0o600, owner=65532)])
def test_what_the_user_or_its_group_may_write_is_named(seen, entry):
    assert "/app/spool" in seen({"app/spool": entry}).measures["writable"].split()


def test_a_low_port_needs_a_capability(seen):
    assert seen(ExposedPorts={"80/tcp": {}}).measures["capabilities"] == "NET_BIND_SERVICE"


def test_an_image_without_an_interpreter_has_an_unknown_python(seen):
    records = {f"var/lib/dpkg/status.d/.wh.python3.13-minimal{end}": file(b"") for end in ("", ".md5sums")}
    programs = {f"usr/bin/.wh.{name}": file(b"") for name in ("python3", "python3.13")}
    assert seen({**records, **programs}).measures["python"] == "unknown"


def test_the_predicate_names_the_image_by_digest(seen):
    predicate = hardening_predicate(CONTEXT, seen(), target="thing", digest="sha256:" + "c" * 64)
    parsed = parse_predicate(Evidence.HARDENING, predicate)
    assert isinstance(parsed, Hardening)
    assert [attribute.attribute for attribute in parsed.attributes] == list(ATTRIBUTES)
    assert parsed.attributes[0].target
    assert parsed.attributes[0].target.digest == {"sha256": "c" * 64}
    assert parsed.measures["python"] == "3.13.5"
