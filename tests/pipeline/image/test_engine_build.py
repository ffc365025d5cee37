import gc
import json
import os
import re
import signal
import threading
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline import processes
from pipeline.image import engine_build
from pipeline.image.archive import Archive, PlatformImage, gunzip, write_archive
from pipeline.image.comparison import compare_files
from pipeline.image.composer import compose, run_config
from pipeline.image.engine_build import build_with_engine
from pipeline.image.engine_calls import LABEL, printable, remove_stale
from pipeline.image.engine_output import Saved
from pipeline.image.foreign_base import ForeignImage, Reference
from pipeline.image.foundation import Foundation
from pipeline.image.layer import MEDIA_TYPE, Packed, file, folder, link, pack, sha256, tar
from pipeline.image.lower_layers import Workshop
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.runtime.containers import owner
from pipeline.runtime.engines import Engine, connect
from pipeline.settings import load
from pipeline.source import read_source
from tests.support import engines
from tests.support.composing import DOCKERFILE, Site, site
from tests.support.tiny_service import make_rootfs, pack_rootfs

NOWHERE = Engine("unix:///nowhere/engine.sock", "docker", "20.10", "linux/amd64")
#: Everything that our reading and an engine's could differ in.
RICH = """\
ARG BASE_IMAGE
ARG NAME=noted
FROM ${BASE_IMAGE}
ENV MODE=production TEXT="two words"
WORKDIR /tmp/work
COPY __main__.py one/
COPY tool /usr/local/bin/
COPY --chown=65532:65532 data /home/nonroot/data
WORKDIR /app
COPY . /app/service/
COPY ["data/a.txt", "link", "/srv/"]
LABEL org.example.text="a: b"
USER 65532
EXPOSE 8000 9000/udp
STOPSIGNAL SIGINT
HEALTHCHECK NONE
ENTRYPOINT ["/usr/bin/python3", "-I"]
CMD ["/app/service/__main__.py"]
"""


@pytest.fixture
def here(tmp_path):
    with site(tmp_path, {"service/data/a.txt": "a", "service/data/deep/b.txt": "b", "service/no.pyc": "x"}) as made:
        (made.root / "service" / "link").symlink_to("data/a.txt")
        (made.root / "service" / "tool").write_text("#!/usr/bin/python3\n")
        (made.root / "service" / "tool").chmod(0o755)
        (made.root / "service" / ".dockerignore").write_text("Dockerfile\n**/*.pyc\n")
        yield made


@dataclass(frozen=True)
class Build:
    here: Site
    archive: Path

    def __call__(self, engine, *, buildx=None, **changed):
        root = self.here.root
        shop = Workshop(root=root, cache=self.archive.parent / "cache", pip=self.here.pip, **changed)
        return build_with_engine(shop, load(root), read_source(root), self.archive, engine, buildx=buildx)


@pytest.fixture
def build(here, tmp_path):
    return Build(here, tmp_path / "engine.tar")


def dockerfile(here, text):
    (here.root / "service" / "Dockerfile").write_text(text)


class TestBeforeAnythingIsBuilt:
    def test_an_engine_of_another_platform(self, build):
        with pytest.raises(Misuse) as refused:
            build(replace(NOWHERE, platform="linux/riscv64"))
        assert refused.value.code == "image.engine-platform"
        assert refused.value.message == (
            "docker 20.10: builds for its own platform (got linux/amd64, expected linux/riscv64)"
        )

    def test_an_engine_that_is_gone(self, build):
        with pytest.raises(CannotEvaluate) as refused:
            build(NOWHERE)
        assert refused.value.code == "image.engine"
        assert refused.value.message.startswith("docker 20.10: image not built (got ")
        assert not build.archive.exists()

    def test_a_shell_that_the_locked_base_has_not(self, here, build):
        dockerfile(here, DOCKERFILE + "RUN make all\n")
        with pytest.raises(Refused) as refused:
            build(NOWHERE)
        assert refused.value.code == "dockerfile.no-shell"
        assert '(got RUN make all, expected RUN ["program", "argument"])' in refused.value.message

    def test_a_run_that_reaches_further(self, here, build):
        dockerfile(here, DOCKERFILE + 'RUN --network=host ["/x"]\n')
        with pytest.raises(Refused) as refused:
            build(NOWHERE)
        assert refused.value.code == "dockerfile.unsupported"


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A site that no test changes, whose layers are made once."""
    folder = tmp_path_factory.mktemp("still")
    with site(folder) as made:
        yield Build(made, folder / "engine.tar")


class TestWhatAnEngineSaysThatItBuilt:
    """Held against what it was given: an engine is not believed."""

    @pytest.fixture
    def answer(self, still, monkeypatch):
        still.archive.unlink(missing_ok=True)

        def run(change):
            def built(_shop, plan, foundation: Foundation, *_, **__):
                layers = [gunzip(layer.content) for layer in foundation.layers]
                top = tar(plan.app, time=0)
                config = {"config": run_config(foundation, plan.recipe)}
                layers, config = change([*layers, top], config)
                return Saved(config | {"rootfs": {"diff_ids": [sha256(layer) for layer in layers]}}, tuple(layers))

            monkeypatch.setattr(engine_build, "_build", built)
            return still(NOWHERE)

        return run

    def test_what_fits_becomes_the_composers_image(self, answer, still, tmp_path):
        composed = answer(lambda layers, config: (layers, config))
        assert composed.versions.keys() == {"engine-build", "docker"}
        assert composed.versions["docker"] == "20.10"
        assert composed.written == still.here.compose(tmp_path / "c.tar", tmp_path / "cache").written
        assert still.archive.read_bytes() == (tmp_path / "c.tar").read_bytes()

    @pytest.mark.parametrize(
        "change",
        [
            lambda layers, config: ([tar({"evil": file(b"")}, time=0), *layers[1:]], config),
            lambda layers, config: (layers[1:], config),
            lambda layers, config: ([layers[1], layers[0], layers[2]], config),
        ],
    )
    def test_another_base_is_refused(self, answer, still, change):
        with pytest.raises(CannotEvaluate) as refused:
            answer(change)
        assert refused.value.code == "image.engine-output"
        assert "(got other lower layers, sha256:" in refused.value.message
        assert not still.archive.exists()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("User", "0:0"),
            ("Env", ["PATH=/evil"]),
            ("Entrypoint", ["/bin/sh"]),
            ("Cmd", ["x"]),
            ("StopSignal", "SIGHUP"),
            ("WorkingDir", "/evil"),
            ("ExposedPorts", {"1/tcp": {}}),
        ],
    )
    def test_another_configuration_than_the_dockerfiles_is_refused(self, answer, name, value):
        with pytest.raises(CannotEvaluate) as refused:
            answer(lambda layers, config: (layers, {"config": config["config"] | {name: value}}))
        assert refused.value.code == "image.engine-output"
        assert f"(got {name} {value!r} where the Dockerfile says " in refused.value.message


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    with engines.podman(tmp_path_factory.mktemp("podman") / "p") as engine:
        yield engine


@pytest.fixture(params=["classic", "buildx", "podman"])
def builder(request):
    """An engine and what builds on it; what the engine holds is the same after the test."""
    buildx = engines.buildx_command() if request.param == "buildx" else None
    engine = request.getfixturevalue("podman") if request.param == "podman" else engines.running_engine()
    yield from unchanged(engine, {"buildx": buildx})


def unchanged(engine, options):
    client = connect(engine.address)

    def held():
        return {(image.id, *image.tags) for image in client.images.list(all=True)}, len(
            client.containers.list(all=True)
        )

    before = held()
    yield engine, options
    assert held() == before
    client.close()


@pytest.mark.engine
class TestOnRealEngines:
    def test_without_run_the_digest_is_the_composers(self, here, build, builder, tmp_path):
        engine, options = builder
        dockerfile(here, RICH)
        composed = here.compose(tmp_path / "composed.tar", tmp_path / "cache")
        built = build(engine, **options)
        composers, engines_own = Archive(tmp_path / "composed.tar"), Archive(build.archive)
        assert list(compare_files(composers, engines_own)) == []
        assert built.written == composed.written
        tree = engines_own.tree(engine.platform)
        assert (tree["tmp"].mode, tree["home/nonroot"].owner, tree["home/nonroot/data/deep/b.txt"].owner) == (
            *(0o1777, 65532, 65532),
        )
        assert tree["app/service/link"] == link("data/a.txt")
        assert "app/service/.dockerignore" in tree
        assert not {"app/service/Dockerfile", "app/service/no.pyc"} & tree.keys()
        assert built.versions[engine.name] == engine.version


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A foreign base with a Python that runs, and that Python's path."""
    rootfs = tmp_path_factory.mktemp("base")
    program = make_rootfs(rootfs)[0]
    if not re.fullmatch(r"/usr/(local/)?bin/python3\.\d+", program):
        (rootfs / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (rootfs / "usr/local/bin/python3.13").write_bytes(b"")
    return pack_rootfs(rootfs), program


def pulled(layer: Packed):
    def pull(reference: Reference, platform: str) -> ForeignImage:
        config = {"rootfs": {"diff_ids": [layer.diff_id]}, "config": {"Env": ["BASE=foreign"], "Entrypoint": ["/evil"]}}
        assert platform == "linux/amd64"
        return ForeignImage(reference, reference.digest, config, ((MEDIA_TYPE, layer.content),))

    return pull


PROGRAM = """\
import os
open('/app/made', 'w').write(' '.join(sorted(os.listdir('/sys/class/net'))) + os.environ['BASE'])
os.chown('/app/made', 65532, 7)
os.mkdir('/app/private', 0o700)
os.symlink('made', '/app/same')
os.link('/app/made', '/app/hard')
os.remove('/service.py')
open('/app/service/__main__.py', 'a').write('# more')
"""
#: What ``setcap cap_net_bind_service=ep`` writes.
CAPABLE = """\
import os
open('/app/x', 'w')
os.setxattr('/app/x', 'security.capability', bytes.fromhex('0100000200040000000000000000000000000000'))
"""
NAMED = f"registry.example/python@sha256:{'a' * 64}"
FOREIGN = f"ARG BASE_IMAGE={NAMED}\nFROM ${{BASE_IMAGE}}\nCOPY . /app/service/\nUSER 65532\n"


def running(program, code):
    """The Dockerfile whose RUN is ``code`` in the foreign base's Python."""
    line = f"RUN {json.dumps([program, '-B', '-I', '-S', '-c', code])}\n"
    return FOREIGN.replace("USER", line + "USER") + 'ENTRYPOINT ["/x"]\n'


@pytest.mark.engine
class TestRun:
    @pytest.fixture
    def run(self, here, build, builder, python):
        layer, program = python
        engine, options = builder

        def call(code):
            dockerfile(here, running(program, code))
            return build(engine, pull=pulled(layer), **options)

        return call

    def test_what_it_did_is_one_layer_with_the_commits_time_and_no_network(self, run, build):
        first = run(PROGRAM)
        archive = Archive(build.archive)
        (*_, top) = archive.layer_trees("linux/amd64")
        assert top["app/made"].content == b"loforeign"
        assert (top["app/made"].owner, top["app/made"].group) == (65532, 7)
        assert top["app/hard"] == top["app/made"]
        assert top["app/same"] == link("made")
        assert top["app/private"].mode == 0o700
        assert top["app/service/__main__.py"].content.endswith(b"# more")
        assert {path for path in top if not path.startswith("app/")} == {"app", ".wh.service.py"}
        assert len(archive.layers("linux/amd64")) == 3
        assert archive.config("linux/amd64")["config"]["Env"][1:] == ["BASE=foreign"]
        assert run(PROGRAM).written == first.written

    @pytest.mark.parametrize(
        ("code", "got"),
        [
            (CAPABLE, "app/x, which has security attributes (file capabilities)"),
            ("import os; os.mkfifo('/app/x')", "app/x, which is a device or pipe"),
        ],
    )
    def test_what_no_layer_of_ours_holds_is_refused(self, run, build, code, got):
        with pytest.raises(CannotEvaluate) as refused:
            run(code)
        assert refused.value.code == "image.engine-output"
        assert got in refused.value.message
        assert not build.archive.exists()

    def test_one_that_fails_is_the_dockerfiles_failure_and_leaves_nothing(self, run, build):
        with pytest.raises(Refused) as refused:
            run("raise SystemExit('no compiler here')")
        assert refused.value.code == "image.build-failed"
        assert "no compiler here" in refused.value.message
        assert refused.value.message.startswith("Dockerfile: ")
        assert not build.archive.exists()

    def test_a_foreign_base_gives_the_composer_the_same_image(self, here, build, builder, python, tmp_path):
        engine, options = builder
        layer, _ = python
        dockerfile(here, FOREIGN.replace("USER", "WORKDIR /app\nUSER") + 'ENTRYPOINT ["/x"]\n')
        shop = Workshop(root=here.root, cache=tmp_path / "cache", pip=here.pip, pull=pulled(layer))
        composed = compose(shop, load(here.root), read_source(here.root), tmp_path / "composed.tar")
        built = build(engine, pull=pulled(layer), **options)
        assert built.written == composed.written
        assert str(built.base) == NAMED
        tree = Archive(build.archive).tree("linux/amd64")
        assert any(path.endswith("-packages/thing/data.txt") for path in tree)


@pytest.mark.engine
class TestEnginesInTrouble:
    @pytest.fixture(autouse=True)
    def half_read_answers(self):
        """Are collected here: the client cannot close them, and a process would end with the build."""
        yield
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def test_what_a_killed_build_left_is_removed_by_the_next(self, tmp_path):
        engine = engines.running_engine()
        client = connect(engine.address)
        home = owner().rpartition(" ")[0]
        for mark, stays in ((f"{home} 999999999 a", False), (f"{owner()} b", True)):
            layer = pack({mark[-1]: folder()}, time=0)
            config = {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Labels": {LABEL: mark}},
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            }
            write_archive(
                tmp_path / "i.tar",
                [PlatformImage("linux/amd64", config, [layer])],
                name=f"gatehouse.invalid/{mark[-1]}",
                tag="x",
            )
            client.images.load((tmp_path / "i.tar").read_bytes())
            remove_stale(client)
            found = client.images.list(filters={"label": f"{LABEL}={mark}"})
            assert bool(found) is stays
            for image in found:
                client.images.remove(str(image.id), force=True)
        client.close()

    def test_an_engine_that_dies_midway(self, here, build, python, tmp_path_factory):
        layer, program = python
        dockerfile(here, running(program, "import time; time.sleep(30)"))
        with engines.docker(tmp_path_factory.mktemp("docker") / "d") as (engine, process):

            def kill_when_it_runs():
                client = connect(engine.address)
                for _ in range(300):
                    if client.containers.list():
                        break
                    time.sleep(0.1)
                client.close()
                os.kill(process, signal.SIGKILL)

            killer = threading.Thread(target=kill_when_it_runs)
            killer.start()
            with pytest.raises(CannotEvaluate) as refused:
                build(engine, pull=pulled(layer))
            killer.join()
        assert refused.value.code == "image.engine"
        assert refused.value.message.startswith(f"docker {engine.version}: image not built (got ")
        assert not build.archive.exists()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_leaves_nothing(self, here, build, builder, python, number):
        engine, options = builder
        layer, program = python
        dockerfile(here, running(program, "import time; time.sleep(30)"))
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
        signal.setitimer(signal.ITIMER_REAL, 4)
        with processes.unwinding(), pytest.raises((KeyboardInterrupt, SystemExit)):
            build(engine, pull=pulled(layer), **options)
        assert not build.archive.exists()
        assert not (build.archive.parent / "cache" / "engine").exists()


def test_of_foreign_words_the_last_ones_are_told_in_one_line_without_the_builders_bookkeeping():
    words = "Step 1/2 : ARG A\n" * 20 + "no \x1b[31mroom\x1b[0m\x1b]0;title\x07\n ---> Running in 1\n-----\n\ncode: 3\n"
    assert printable(words) == "Step 1/2 : ARG A | " * 6 + "no room?]0;title? | code: 3"
    assert printable(" \n") == "nothing"
    assert printable("a" * 601) == "a" * 600
