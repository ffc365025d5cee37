"""docker-registry behind basic authentication, and behind a token server."""

import base64
import datetime as dt
import json
import secrets
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.model.errors import CannotEvaluate
from pipeline.store.referrers import attach, attached_bundles
from pipeline.store.registry import Registry
from pipeline.store.transfer import push_archive
from tests.support.bundles import unsigned_bundle
from tests.support.evidence import NOW
from tests.support.images import write_archive
from tests.support.loopback import Loopback, Reply, Request, loopback
from tests.support.registries import PASSWORD, USER, docker_registry, htpasswd_auth

pytestmark = pytest.mark.registry


@pytest.fixture
def docker_config(tmp_path):
    """Writes Docker's config.json for a host and returns its folder."""

    def write(host: str, user: str = USER, password: str = PASSWORD):
        folder = tmp_path / "docker"
        folder.mkdir()
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        return folder

    return write


@pytest.fixture(scope="module")
def basic(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("basic")
    with docker_registry(folder, auth=htpasswd_auth(folder)) as host:
        yield host


class TokenServer:
    """Gives tokens for what is asked: to USER all of it, to nobody only ``pull``."""

    def __init__(self, folder) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def answer(self, request: Request) -> Reply:
        authorization = request.headers.get("Authorization")
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if authorization not in (None, expected):
            return Reply(401, b"who are you?")
        asked = parse_qs(urlsplit(request.path).query)
        kind, name, actions = asked["scope"][0].split(":")
        allowed = [action for action in actions.split(",") if authorization or action == "pull"]
        access = [{"type": kind, "name": name, "actions": allowed}]
        return Reply(200, json.dumps({"token": self._token(asked["service"][0], access)}).encode())

    def _token(self, service: str, access: Sequence[object]) -> str:
        now = dt.datetime.now(dt.UTC)
        certificate = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        claims = {
            "iss": "tokens",
            "sub": "",
            "aud": service,
            "nbf": now - dt.timedelta(seconds=10),
            "iat": now,
            "exp": now + dt.timedelta(minutes=5),
            "jti": secrets.token_hex(8),
            "access": access,
        }
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"x5c": [certificate]})


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Iterator[tuple[TokenServer, Loopback]]:
    server = TokenServer(tmp_path_factory.mktemp("tokens"))
    with loopback(server.answer) as running:
        yield server, running


@pytest.fixture(scope="module")
def bearer(tmp_path_factory, tokens) -> Iterator[str]:
    server, running = tokens
    options = f"realm: '{running.origin}/token', service: registry, issuer: tokens, rootcertbundle: {server.bundle}"
    with docker_registry(tmp_path_factory.mktemp("bearer"), auth=f"auth: {{token: {{{options}}}}}\n") as host:
        yield host


@pytest.fixture(params=["basic", "bearer"])
def host(request) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def push(store, tmp_path):
    write_archive(tmp_path / "image.tar")
    return push_archive(tmp_path / "image.tar", store, "1.0")


def test_credentials_of_docker_s_config_push_and_attach(host, docker_config, tmp_path):
    store = Registry(f"{host}/team/{tmp_path.name.replace('_', '-')}", docker_config=docker_config(host))
    image = push(store, tmp_path)
    attach(store, image, unsigned_bundle(), NOW)
    assert [found.bundle for found in attached_bundles(store, image.digest)] == [unsigned_bundle()]


def test_without_credentials_a_push_is_refused_with_the_way_to_log_in(host, tmp_path):
    with pytest.raises(CannotEvaluate) as refused:
        push(Registry(f"{host}/team/app"), tmp_path)
    assert refused.value.code == "registry.refused"
    assert f"docker login {host}" in refused.value.fix


def test_a_wrong_password_is_refused_and_not_told(host, docker_config, tmp_path):
    with pytest.raises(CannotEvaluate) as refused:
        push(Registry(f"{host}/team/app", docker_config=docker_config(host, password="hunter2")), tmp_path)
    assert refused.value.code == "registry.refused"
    assert "hunter2" not in str(refused.value)


def test_another_host_s_credentials_are_not_used(basic, docker_config, tmp_path):
    with pytest.raises(CannotEvaluate) as refused:
        push(Registry(f"{basic}/team/app", docker_config=docker_config("registry.example")), tmp_path)
    assert refused.value.code == "registry.refused"


def test_an_anonymous_token_may_read(bearer, docker_config, tmp_path):
    image = push(Registry(f"{bearer}/team/public", docker_config=docker_config(bearer)), tmp_path)
    assert Registry(f"{bearer}/team/public").resolve("1.0") == image


def test_the_password_goes_to_the_token_server_and_the_token_to_the_registry(bearer, tokens, docker_config, tmp_path):
    _, running = tokens
    before = len(running.requests)
    push(Registry(f"{bearer}/team/counted", docker_config=docker_config(bearer)), tmp_path)
    asked = running.requests[before:]
    # One token to look whether a blob is there, one to send it: not one a request.
    assert 1 <= len(asked) <= 3
    assert all("Authorization" in request.headers for request in asked)
