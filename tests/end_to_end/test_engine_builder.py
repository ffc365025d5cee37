"""A service whose Dockerfile has RUN, from commit to smoke, on a real engine."""

import json

import pytest

from pipeline.image.archive import Archive
from pipeline.image.layer import Kind
from tests.support.engines import running_engine
from tests.support.main_job import Clone, clone_of
from tests.support.repositories import commit_all

pytestmark = [pytest.mark.engine, pytest.mark.network]
PROGRAM = (
    "import os, pathlib, socket, tornado; pathlib.Path('/app/built').write_text(tornado.version); "
    "os.chown('/app/built', 0, 65532); print(sorted(os.listdir('/sys/class/net'))); {more}"
)


@pytest.fixture(scope="module")
def clone(root, tmp_path_factory):
    engine = running_engine()
    folder = tmp_path_factory.mktemp("engine builder")
    made = clone_of(root, folder / "clone", folder / "home")
    settings = made.root / "pipeline.toml"
    settings.write_text(settings.read_text().replace('builder = "composer"', 'builder = "engine"'))
    return Clone(made.root, made.home, {"DOCKER_HOST": engine.address})


def with_run(clone, more):
    dockerfile = clone.root / "sample_app" / "Dockerfile"
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("RUN ")]
    run = "RUN " + json.dumps(["/usr/bin/python3", "-B", "-c", PROGRAM.format(more=more)])
    dockerfile.write_text("\n".join([*lines[:-4], run, *lines[-4:], ""]))
    commit_all(clone.root)


def record(clone, step):
    return json.loads((clone.root / ".gatehouse" / "steps" / f"{step}.json").read_text())["outcome"]


def test_it_is_built_examined_listed_and_run(clone):
    with_run(clone, "pass")
    ended = clone.run("image", "sbom", "smoke")
    assert ended.code == 0, ended.output
    archive = Archive(clone.root / "dist" / "image.tar")
    ((platform, _),) = archive.platforms.items()
    tree = archive.tree(platform)
    assert (tree["app/built"].content[:1].isdigit(), tree["app/built"].group) == (True, 65532)
    assert len(archive.layers(platform)) == 3
    provenance = record(clone, "image")["evidence"][0]["predicate"]["runDetails"]["builder"]
    assert provenance["id"] == "https://gatehouse.dev/builders/engine/local"
    assert {"docker", "podman"} & provenance["version"].keys()
    assert record(clone, "smoke")["data"]["hardened"] is True
    named = json.loads((clone.root / "dist" / f"sbom.{platform.replace('/', '-')}.cdx.json").read_text())["components"]
    packages = [p for p, e in tree.items() if p.startswith("var/lib/dpkg/status.d/") and e.kind is Kind.FILE]
    assert len([c for c in named if str(c.get("purl")).startswith("pkg:deb/")]) == len(packages) // 2


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("os.chmod('/usr/bin/python3.13', 0o4755)", "image.setuid"),
        ("pathlib.Path('/usr/lib/x').symlink_to('/nowhere')", "image.dangling-link"),
        ("os.chmod('/app', 0o777)", "image.world-writable"),
    ],
)
def test_what_run_leaves_behind_is_examined_as_everything_is(clone, more, code):
    with_run(clone, more)
    ended = clone.run("image")
    assert ended.code == 1
    assert code in ended.output
    assert [problem["code"] for problem in record(clone, "image")["problems"]] == [code]
    assert not (clone.root / "dist" / "image.tar").exists()


def test_a_run_that_fails_is_told_in_its_own_words(clone):
    with_run(clone, "raise SystemExit('no such table')")
    ended = clone.run("image")
    assert ended.code == 1
    assert "image.build-failed: Dockerfile: " in ended.output
    assert "no such table" in ended.output
