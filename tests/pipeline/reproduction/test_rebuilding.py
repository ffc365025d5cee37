"""Who builds a second time, and what that build gets of this one: nothing but its sources."""

import dataclasses
import socket
from threading import Thread

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.reproduction import rebuilding
from pipeline.reproduction.rebuilding import build_again, choose_builders
from pipeline.reproduction.target import find_target
from tests.pipeline.reproduction.conftest import NO_ENGINE
from tests.support.repositories import commit_all

AMD64, BOTH = {"linux/amd64": None}, {"linux/amd64": None, "linux/arm64": None}


@pytest.fixture
def engine(tmp_path):
    """Something that says that it is Docker on amd64."""
    body = b'{"Version":"28.1","Os":"linux","Arch":"amd64","Components":[{"Name":"Engine"}]}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "docker.sock"))
        listening.listen()

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        Thread(target=serve, daemon=True).start()
        yield {"DOCKER_HOST": f"unix://{tmp_path / 'docker.sock'}"}
        listening.shutdown(socket.SHUT_RDWR)


def test_the_other_builder_is_asked_where_there_is_one(engine):
    assert choose_builders("composer", AMD64, engine) == ["engine"]
    assert choose_builders("engine", AMD64, engine) == ["composer", "engine"]


def test_without_an_engine_or_for_platforms_that_it_is_not_the_composer_builds_again(engine):
    assert choose_builders("composer", AMD64, NO_ENGINE) == ["composer"]
    assert choose_builders("composer", BOTH, engine) == ["composer"]


def test_the_environment_is_emptied(tmp_path, monkeypatch):
    for name, value in {
        "TZ": "UTC",
        "LC_ALL": "de_DE.UTF-8",
        "HOME": "/home/somebody",
        "PYTHONPATH": "/evil",
        "SOURCE_DATE_EPOCH": "1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret",
        "DOCKER_HOST": "unix:///somewhere",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_INDEX_URL": "https://index.example/simple",
    }.items():
        monkeypatch.setenv(name, value)
    found = rebuilding._environment(tmp_path / "1", "composer")
    kept = {"PATH", "HTTPS_PROXY", "NO_PROXY", "HTTP_PROXY", "http_proxy", "https_proxy", "no_proxy"}
    kept |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    own = {"HOME", "TMPDIR", "XDG_CACHE_HOME", "TZ", "LANG", "LC_ALL"}
    assert {name for name in found if not name.startswith("PIP_")} <= kept | own
    assert found["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert found["PIP_INDEX_URL"] == "https://index.example/simple"
    assert (found["TZ"], found["LC_ALL"]) == ("Asia/Kathmandu", "C")
    assert all(found[name].startswith(str(tmp_path)) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"))
    assert rebuilding._environment(tmp_path / "2", "engine")["DOCKER_HOST"] == "unix:///somewhere"


def target_of(built):
    return find_target(built.job, built.store, built.store.resolve(built.digest).digest)


def test_a_build_that_leaves_no_record_is_told(built, tmp_path, monkeypatch):
    monkeypatch.setattr(rebuilding, "_PROGRAM", tmp_path / "gone.py")
    told: list[str] = []
    job = dataclasses.replace(built.job, say=told.append)
    with pytest.raises(CannotEvaluate, match="ended without a result") as killed:
        build_again(job, target_of(built), tmp_path / "again", environment=NO_ENGINE)
    assert killed.value.code == "reproduction.build"
    assert told[0] == "no container engine, so the same builder builds again: unix:///nowhere: no such socket"


def test_a_package_that_is_gone_stops_the_second_build_with_its_own_reason(built, tmp_path):
    """The second build has no cache: what the first one downloaded long ago must still be there."""
    target = target_of(built)
    gone = dict(built.site.archive.files)
    name = next(path for path in gone if path.endswith(".deb"))
    content = built.site.archive.files.pop(name)
    try:
        with pytest.raises(CannotEvaluate, match="second build with the composer: not finished") as failed:
            build_again(built.job, target, tmp_path / "again", environment=NO_ENGINE)
    finally:
        built.site.archive.files[name] = content
    assert failed.value.code == "reproduction.build"
    assert "download." in failed.value.message


@pytest.mark.engine
def test_what_the_composer_cannot_read_goes_to_the_engine_again(built, tmp_path, monkeypatch):
    """Without an engine it is the engine that is missing, not the Dockerfile that is wrong."""
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE["DOCKER_HOST"])
    target = target_of(built)
    dockerfile = built.job.root / "service" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("USER", 'RUN ["true"]\nUSER'))
    commit_all(built.job.root)
    built.reread()
    definition = target.provenance.build_definition
    changed = definition.model_copy(update={"external_parameters": {"builder": "engine"}})
    context = target.provenance.context.model_copy(update={"source": built.job.source})
    provenance = target.provenance.model_copy(update={"build_definition": changed, "context": context})
    with pytest.raises(
        CannotEvaluate, match=r"second build with the engine: not finished \(got image\.no-engine"
    ) as failed:
        build_again(built.job, dataclasses.replace(target, provenance=provenance), tmp_path, environment=NO_ENGINE)
    assert failed.value.fix.startswith("start one, set DOCKER_HOST to its socket")
