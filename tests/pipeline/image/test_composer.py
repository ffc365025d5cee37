import json
import os
import time

import pytest

from pipeline.git import git
from pipeline.image.archive import Archive, unpack_rootfs
from pipeline.image.base_layer import TUPLES
from pipeline.image.bytecode import host_architecture
from pipeline.image.composer import compose
from pipeline.image.hardening import examine
from pipeline.image.layer import file
from pipeline.image.lower_layers import Workshop
from pipeline.image.secrets import detector
from pipeline.indexes import pip_environment
from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse, Refused
from pipeline.processes import run
from pipeline.settings import load
from pipeline.source import read_source
from tests.support.composing import DOCKERFILE, site

BOTH = ["linux/amd64", "linux/arm64"]


@pytest.fixture
def here(tmp_path):
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def build(here, tmp_path):
    def run(name="image.tar", *, cache="cache", **changed):
        composed = here.compose(tmp_path / name, tmp_path / cache, **changed)
        return composed, Archive(tmp_path / name)

    return run


def dockerfile(here, text):
    (here.root / "service" / "Dockerfile").write_text(text)


def refusal(build, kind=Refused):
    with pytest.raises(kind) as refused:
        build()
    return refused.value


class TestTheImage:
    def test_it_holds_base_dependencies_and_application(self, build):
        tree = build()[1].tree("linux/amd64")
        assert tree["usr/share/zoneinfo/UTC"] == file(b"utc")
        assert tree["usr/local/lib/python3.13/dist-packages/thing/data.txt"] == file(b"data")
        assert tree["app/service/__main__.py"] == file(b"print('started')\n")
        assert "app/service/Dockerfile" not in tree

    def test_its_configuration_is_the_dockerfiles(self, build):
        config = build()[1].config("linux/amd64")["config"]
        assert config["User"] == "65532:65532"
        assert config["WorkingDir"] == "/app"
        assert config["Entrypoint"] == ["/usr/bin/python3", "-I", "/app/service/__main__.py"]
        assert config["ExposedPorts"] == {"8000/tcp": {}}
        assert {"PATH=/usr/bin:/bin", "MODE=production"} <= set(config["Env"])

    def test_its_labels_name_commit_and_tree(self, here, build):
        source = read_source(here.root)
        labels = build()[1].config("linux/amd64")["config"]["Labels"]
        assert labels["org.opencontainers.image.revision"] == source.commit
        assert labels["dev.gatehouse.tree"] == source.tree
        assert labels["org.opencontainers.image.version"] == "1.0.0"

    def test_every_tree_has_a_digest_of_its_own(self, here, build):
        first = build()[0].written.digest
        (here.root / "unrelated.txt").write_text("not even in the image")
        assert build()[0].written.digest != first

    def test_folders_of_the_base_keep_their_owner_and_mode(self, here, build):
        dockerfile(here, DOCKERFILE + "COPY __main__.py /tmp/x/\nCOPY __main__.py /home/nonroot/\n")
        tree = build()[1].tree("linux/amd64")
        assert (tree["tmp"].mode, tree["tmp/x"].mode) == (0o1777, 0o755)
        assert tree["home/nonroot"].owner == 65532

    def test_what_went_in_is_reported(self, build):
        composed, _ = build()
        assert [package.name for package in composed.packages["linux/amd64"]] == ["python3.13-minimal", "tzdata"]
        assert [wheel.name for wheel in composed.wheels["linux/amd64"]] == ["thing"]


class TestTheSameBytes:
    def test_two_clean_builds_agree_whatever_umask_and_time_zone(self, here, build, monkeypatch, tmp_path):
        first = build("one.tar", cache="one")[0]
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        before = os.umask(0o077)
        try:
            second = build("two.tar", cache="two")[0]
        finally:
            os.umask(before)
            monkeypatch.undo()
            time.tzset()
        assert second.written == first.written
        assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()

    def test_a_clone_in_another_folder_agrees(self, here, build, tmp_path):
        other = tmp_path / "elsewhere" / "with spaces"
        other.parent.mkdir()
        here.root.rename(other)
        shop = Workshop(root=other, cache=tmp_path / "other", pip=here.pip)
        moved = compose(shop, load(other), read_source(other), tmp_path / "moved.tar")
        other.rename(here.root)
        assert moved.written == build()[0].written

    def test_a_commit_changes_the_application_layer_only(self, here, build):
        before = build()[1].manifest("linux/amd64")["layers"]
        (here.root / "service" / "__main__.py").write_text("print('changed')\n")
        after = build()[1].manifest("linux/amd64")["layers"]
        assert before[:2] == after[:2]
        assert before[2] != after[2]

    def test_a_warm_build_downloads_nothing(self, here, build, tmp_path):
        build()
        here.archive.files.clear()
        (tmp_path / "house").rename(tmp_path / "gone")
        build()


class TestSeveralPlatforms:
    def test_each_has_its_manifest_below_one_index(self, build):
        composed, archive = build(platforms=BOTH)
        assert set(archive.platforms) == set(BOTH)
        assert archive.descriptor["mediaType"].endswith("index.v1+json")
        assert composed.written.digest == archive.digest
        assert archive.config("linux/arm64")["variant"] == "v8"
        assert "lib64" not in archive.tree("linux/arm64")

    def test_one_platform_is_the_same_alone_or_with_another(self, build):
        alone = build()[0].written.platforms["linux/amd64"]
        assert build(platforms=BOTH, cache="other")[0].written.platforms["linux/amd64"] == alone


class TestRefusals:
    def test_a_tree_that_changed_since_the_run_began(self, here, tmp_path):
        source = read_source(here.root)
        (here.root / "new.txt").write_text("n")
        shop = Workshop(root=here.root, cache=tmp_path / "cache", pip=here.pip)
        with pytest.raises(CannotEvaluate) as refused:
            compose(shop, here.settings, source, tmp_path / "image.tar")
        assert refused.value.code == "source.changed"
        assert not (tmp_path / "image.tar").exists()

    def test_a_dockerfile_that_is_not_there(self, here, build):
        (here.root / "service" / "Dockerfile").unlink()
        assert refusal(build).code == "dockerfile.missing"

    def test_a_dockerfile_that_is_not_text(self, here, build):
        (here.root / "service" / "Dockerfile").write_bytes(b"FROM \xff\n")
        assert refusal(build).code == "dockerfile.encoding"

    def test_run(self, here, build):
        dockerfile(here, DOCKERFILE + "RUN true\n")
        assert refusal(build, Misuse).code == "dockerfile.needs-engine"

    def test_no_user(self, here, build):
        dockerfile(here, DOCKERFILE.replace("USER 65532:65532\n", ""))
        assert refusal(build).code == "image.root-user"

    def test_a_base_without_digest(self, here, build):
        dockerfile(here, DOCKERFILE.replace("${BASE_IMAGE}", "python:3.13"))
        error = refusal(build)
        assert error.code == "dockerfile.base-without-digest"
        assert "got python:3.13" in error.message

    def test_a_foreign_base_where_no_registry_may_be_asked(self, here, build):
        dockerfile(here, DOCKERFILE.replace("ARG BASE_IMAGE", "ARG BASE_IMAGE=python@sha256:" + "a" * 64))
        error = refusal(build, CannotEvaluate)
        assert error.code == "base.no-registry"
        assert error.message.startswith("docker.io/library/python@sha256:aaa")

    def test_pipeline_toml_comes_before_the_dockerfiles_default(self, here, build):
        dockerfile(here, DOCKERFILE.replace("ARG BASE_IMAGE", "ARG BASE_IMAGE=python@sha256:" + "a" * 64))
        settings = here.root / "pipeline.toml"
        settings.write_text(settings.read_text() + f'image = "registry.example/mine@sha256:{"b" * 64}"\n')
        assert refusal(build, CannotEvaluate).message.startswith("registry.example/mine@sha256:bbb")

    def test_a_foreign_base_in_from_itself(self, here, build):
        dockerfile(here, DOCKERFILE.replace("${BASE_IMAGE}", "python@sha256:" + "a" * 64))
        error = refusal(build)
        assert error.code == "dockerfile.literal-base"
        assert f"(got python@sha256:{'a' * 64}, expected ${{BASE_IMAGE}})" in error.message
        assert error.fix.startswith("write `ARG BASE_IMAGE=python@sha256:aaa")

    def test_a_copy_over_a_link_of_the_base(self, here, build):
        dockerfile(here, DOCKERFILE + "COPY __main__.py /lib/x.py\n")
        error = refusal(build)
        assert error.code == "dockerfile.merged-folder"
        assert error.message.startswith("Dockerfile: COPY over a link of the base (got /lib, ")
        assert error.fix.startswith("copy to /usr/lib: ")

    def test_a_folder_in_place_of_a_file_of_the_base(self, here, build):
        dockerfile(here, DOCKERFILE + "COPY __main__.py /usr/share/zoneinfo/UTC/x.py\n")
        error = refusal(build)
        assert error.code == "dockerfile.merged-folder"
        assert error.message.startswith("Dockerfile: COPY over a file of the base (got /usr/share/zoneinfo/UTC, ")

    def test_a_file_where_the_base_has_a_folder(self, here, build):
        dockerfile(here, DOCKERFILE + "COPY __main__.py /etc\n")
        assert refusal(build).code == "dockerfile.in-the-way"

    def test_a_folder_over_one_of_the_base_that_everyone_may_write_to(self, here, build):
        (here.root / "service" / "rootfs" / "tmp").mkdir(parents=True)
        (here.root / "service" / "rootfs" / "tmp" / "x").write_text("x")
        dockerfile(here, DOCKERFILE + "COPY rootfs /\n")
        assert refusal(build).code == "dockerfile.changed-folder"

    def test_a_package_that_is_gone_from_the_mirror(self, here, build, tmp_path):
        here.archive.files = {path: body for path, body in here.archive.files.items() if "/tzdata/" not in path}
        error = refusal(build, CannotEvaluate)
        assert error.code == "download.unreachable"
        assert error.message.startswith("tzdata 1.0-1: not fetched (got status 404")
        assert not (tmp_path / "image.tar").exists()

    def test_a_package_that_was_replaced_on_the_mirror(self, here, build):
        for path in here.archive.files:
            if "/tzdata/" in path:
                here.archive.files[path] = here.archive.files[path][:-1] + b"!"
        assert refusal(build, CannotEvaluate).code == "download.wrong-content"

    def test_a_lock_for_another_suite(self, here, build):
        lock = here.root / "requirements" / "base.lock.json"
        lock.write_text(json.dumps(json.loads(lock.read_text()) | {"suite": "bookworm"}))
        assert refusal(build, CannotEvaluate).code == "base.other-suite"

    @pytest.mark.parametrize("line", ["-r other.txt\n", "thing\n", "thing==1.0\n", "thing @ https://x.example/t.whl\n"])
    def test_a_lock_of_wheels_that_locks_nothing(self, here, build, line):
        (here.root / "requirements.txt").write_text(line)
        assert refusal(build, GatehouseError).code.startswith("lock.")

    def test_a_link_out_of_the_context(self, here, build):
        (here.root / "service" / "link").symlink_to("../pipeline.toml")
        assert refusal(build).code == "context.link"


def test_a_superseded_package_comes_from_the_snapshot(here, build):
    (address,) = [path for path in here.archive.files if "/tzdata/" in path]
    stamp = json.loads((here.root / "requirements" / "base.lock.json").read_text())["snapshot"]["debian"]
    moved = address.replace("/debian/", f"/past/debian/{stamp}/")
    here.archive.files[moved] = here.archive.files.pop(address)
    settings = here.root / "pipeline.toml"
    mirror = here.settings.base.mirror
    settings.write_text(settings.read_text() + f'snapshot = "{mirror}/past"\n')
    assert "usr/share/zoneinfo/UTC" in build()[1].tree("linux/amd64")


@pytest.fixture(scope="module")
def real(root, checks_python, tmp_path_factory):
    """The repository's own image, composed twice in two clones, with nothing shared."""
    composed = []
    source = root
    for name, umask in (("one", 0o022), ("another place", 0o077)):
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        clone = folder / name
        assert git(root, "clone", "-q", str(source), str(clone)).exit_code == 0
        source = clone
        shop = Workshop(root=clone, cache=folder / "cache", pip=checks_python, pip_environment=pip_environment())
        before = os.umask(umask)
        try:
            settings = load(clone)
            composed.append((compose(shop, settings, read_source(clone), folder / "image.tar"), folder / "image.tar"))
        except (Misuse, CannotEvaluate) as error:
            if error.code not in {"base.no-mirror", "download.unreachable", "wheels.not-fetched"}:
                raise
            pytest.skip(error.message)
        finally:
            os.umask(before)
    return composed


@pytest.mark.network
class TestTheRealImage:
    def test_two_clean_builds_have_one_digest(self, real):
        (one, first), (other, second) = real
        assert one.written == other.written
        assert first.read_bytes() == second.read_bytes()

    def test_it_has_every_attribute(self, real, checks_python):
        seen = examine(Archive(real[0][1]), "linux/amd64", detector(checks_python))
        assert seen.flaws == ()
        assert int(seen.measures["size_bytes"]) <= 75_000_000

    def test_its_own_python_imports_the_service_and_its_dependencies(self, real, tmp_path):
        unpack_rootfs(real[0][1], f"linux/{host_architecture()}", tmp_path)
        libraries = tmp_path / "usr/lib" / TUPLES[host_architecture()]
        (loader,) = libraries.glob("ld-linux*")
        installed = [tmp_path / "usr/local/lib/python3.13/dist-packages"]
        program = "import sys; sys.path[:0] = sys.argv[1:]; import tornado.web, sample_app.server, ssl, sqlite3"
        ended = run(
            [
                loader,
                "--library-path",
                libraries,
                tmp_path / "usr/bin/python3.13",
                "-Bc",
                program,
                tmp_path / "app",
                *installed,
            ],
            env={"PYTHONHOME": str(tmp_path / "usr")},
        )
        assert ended.exit_code == 0, ended.last_words
