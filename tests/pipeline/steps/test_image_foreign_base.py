"""The image step on a base from a real registry, by composer and engine."""

import dataclasses
import gzip

import pytest

from pipeline.image.archive import Archive, PlatformImage, write_archive
from pipeline.image.layer import Packed, file, sha256, tar
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.outcome import Status
from pipeline.processes import run
from pipeline.settings import load
from pipeline.source import read_source
from pipeline.steps import image
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.support import engines
from tests.support.composing import site
from tests.support.registries import docker_registry

pytestmark = pytest.mark.registry
PYTHON = {
    "usr/local/bin/python3.13": file(b"interpreter", executable=True),
    "etc/os-release": file(b"ID=debian\n"),
    "etc/base": file(b"theirs"),
}


def other_tools_layer(tree):
    """As other tools write it: their own times, their own compression."""
    plain = tar(tree, time=7)
    packed = gzip.compress(plain, 1, mtime=7)
    return Packed(packed, sha256(packed), sha256(plain))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield f"{host}/team/python"


@pytest.fixture
def base(registry, tmp_path):
    """The digest of an index of two platforms."""
    images = []
    for architecture in ("amd64", "arm64"):
        layers = [other_tools_layer(PYTHON), other_tools_layer({"usr/share/arch": file(architecture.encode())})]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/bin", "LANG=C"], "Entrypoint": ["/theirs"], "Volumes": {"/v": {}}},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
        images.append(PlatformImage(f"linux/{architecture}", config, layers))
    write_archive(tmp_path / "base.tar", images, name="python", tag="3.13")
    return str(push_archive(tmp_path / "base.tar", Registry(registry), "3.13").digest)


@pytest.fixture
def here(tmp_path):
    with site(tmp_path) as made:
        yield made


def job(here, reference, **changed):
    settings = here.root / "pipeline.toml"
    if "\nimage = " not in settings.read_text():
        settings.write_text(f'{settings.read_text()}image = "{reference}"\n')
    loaded = load(here.root)
    loaded = loaded.model_copy(update={"image": loaded.image.model_copy(update=changed)})
    return dataclasses.replace(here.job, settings=loaded, source=read_source(here.root))


def test_both_platforms_stand_on_their_own_of_the_base(here, registry, base):
    outcome = image.run(job(here, f"{registry}@{base}", platforms=["linux/amd64", "linux/arm64"]))
    assert outcome.status is Status.PASSED, outcome.problems
    archive = Archive(here.root / "dist" / "image.tar")
    for architecture in ("amd64", "arm64"):
        tree = archive.tree(f"linux/{architecture}")
        assert tree["usr/share/arch"] == file(architecture.encode())
        assert tree["usr/local/lib/python3.13/site-packages/thing/data.txt"] == file(b"data")
        assert tree["app/service/__main__.py"].content
        config = archive.config(f"linux/{architecture}")["config"]
        assert config["Env"] == ["PATH=/usr/local/bin", "LANG=C", "MODE=production"]
        assert config["Entrypoint"][0] == "/usr/bin/python3"
        assert "Volumes" not in config
    parameters = outcome.evidence[0].predicate["buildDefinition"]["externalParameters"]
    assert parameters["base"] == f"{registry}@{base}"
    assert outcome.data["packages"] == {"linux/amd64": [], "linux/arm64": []}


def test_its_layers_are_the_registrys_own_blobs(here, registry, base):
    image.run(job(here, f"{registry}@{base}"))
    digests = [layer["digest"] for layer in Archive(here.root / "dist" / "image.tar").manifest("linux/amd64")["layers"]]
    held = [Registry(registry).has_blob(Digest.parse(digest)) for digest in digests]
    assert held == [True, True, False, False]
    assert digests[0] == other_tools_layer(PYTHON).digest


@pytest.mark.engine
def test_an_engine_gives_the_same_image(here, registry, base):
    platform = engines.running_engine().platform
    composed = image.run(job(here, f"{registry}@{base}", platforms=[platform]))
    built = image.run(job(here, f"{registry}@{base}", platforms=[platform], builder="engine"))
    assert built.data["digest"] == composed.data["digest"]
    assert built.evidence[0].predicate != composed.evidence[0].predicate


def test_a_digest_that_nobody_has(here, registry, base):
    with pytest.raises(CannotEvaluate) as refused:
        image.run(job(here, f"{registry}@sha256:{'a' * 64}"))
    assert refused.value.code == "base.no-image"
    assert list((here.root / "dist").glob("*")) == []


def test_a_registry_that_is_not_there(here, base):
    with pytest.raises(CannotEvaluate) as refused:
        image.run(job(here, f"127.0.0.1:1/team/python@{base}"))
    assert refused.value.code == "registry.unreachable"


def test_an_image_for_another_processor(here, registry, tmp_path):
    layer = other_tools_layer(PYTHON)
    config = {"architecture": "riscv64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
    write_archive(tmp_path / "b.tar", [PlatformImage("linux/riscv64", config, [layer])], name="python", tag="other")
    digest = push_archive(tmp_path / "b.tar", Registry(registry), "other").digest
    with pytest.raises(Refused) as refused:
        image.run(job(here, f"{registry}@{digest}"))
    assert refused.value.code == "base.platform"
    assert "(got linux/riscv64, expected linux/amd64)" in refused.value.message


@pytest.mark.engine
def test_the_digest_that_is_signed_is_the_one_that_the_registry_received(here, registry, base):
    """Neither builder pushes: the archive's own digest is what the registry says of it, read by somebody else."""
    engine = engines.running_engine()
    outcome = image.run(job(here, f"{registry}@{base}", platforms=[engine.platform], builder="engine"))
    pushed = push_archive(here.root / "dist" / "image.tar", Registry(registry), "built")
    assert str(pushed.digest) == outcome.data["digest"]
    seen = run(["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{registry}:built"])
    assert seen.stdout.decode().strip() == outcome.data["digest"]
