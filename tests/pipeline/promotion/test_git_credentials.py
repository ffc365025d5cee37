"""The job's token goes to the job's own repository, over https, and nowhere else."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.git import git
from pipeline.model.errors import CannotEvaluate
from pipeline.promotion.git_credentials import push_credentials
from pipeline.promotion.git_ledger import GitLedger
from pipeline.steps.forge import Forge
from tests.support.repositories import make_repository

FORGE = Forge(api="https://api.github.com", repository="acme/app", ref="refs/heads/main", token="not-a-secret")


@pytest.fixture
def clone(tmp_path):
    return make_repository(tmp_path / "clone", {"file": "one"})


def credentials(clone, address, forge=FORGE):
    git(clone, "remote", "remove", "origin")
    assert git(clone, "remote", "add", "origin", address).exit_code == 0
    return push_credentials(clone, "origin", forge)


@pytest.mark.parametrize("address", ["https://github.com/acme/app", "https://github.com/Acme/App.git"])
def test_the_jobs_own_repository_gets_it_in_the_environment(clone, address):
    given = credentials(clone, address)
    assert given["GIT_CONFIG_KEY_0"] == f"http.{address}.extraheader"
    basic = given["GIT_CONFIG_VALUE_0"].removeprefix("AUTHORIZATION: basic ")
    assert base64.b64decode(basic) == b"x-access-token:not-a-secret"


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/other",
        "https://github.com.evil.example/acme/app",
        "https://evil.example/acme/app",
        "https://user@github.com/acme/app",
        "http://github.com/acme/app",
        "git@github.com:acme/app.git",
        "ssh://git@github.com/acme/app",
        "/srv/git/acme/app",
    ],
)
def test_nobody_else_gets_it(clone, address):
    assert credentials(clone, address) == {}


def test_an_enterprises_own_host_gets_it(clone):
    own = Forge(api="https://git.example.org/api/v3", repository="acme/app", ref="", token="x")
    assert credentials(clone, "https://git.example.org/acme/app", own)
    assert credentials(clone, "https://github.com/acme/app", own) == {}


def test_without_a_job_or_beside_a_header_of_the_clones_own_there_is_none(clone):
    assert credentials(clone, "https://github.com/acme/app", None) == {}
    assert git(clone, "config", "http.https://github.com/.extraheader", "AUTHORIZATION: basic x").exit_code == 0
    assert credentials(clone, "https://github.com/acme/app") == {}


def test_git_sends_it_and_shows_it_to_nobody(clone):
    """To a server on loopback, which says no."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_error(403)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/acme/app"
        assert git(clone, "remote", "add", "origin", address).exit_code == 0
        header = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{address}.extraheader",
            "GIT_CONFIG_VALUE_0": "AUTHORIZATION: basic bm90LWEtc2VjcmV0",
        }
        with pytest.raises(CannotEvaluate) as error:
            GitLedger(clone, "origin", "ledger", header).refresh()
        server.shutdown()
    assert seen[0] == "basic bm90LWEtc2VjcmV0"
    assert error.value.code == "ledger.unreachable"
    assert "bm90LWEtc2VjcmV0" not in str(error.value)
    assert "bm90LWEtc2VjcmV0" not in (clone / ".git" / "config").read_text()
