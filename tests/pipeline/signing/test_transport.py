"""Servers that are slow, broken, hostile or in another time, each told in one line."""

import contextlib
import datetime as dt
import http.client
import json
import socket
import ssl
import threading
import time

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.signing.transport import Limits, bind
from tests.support.loopback import Reply, loopback

TOKEN = "header-of-it.payload-of-it.signature-of-it"


def session(**limits):
    made = requests.Session()
    bind(made, Limits(sleep=lambda _: None, **{"connect": 1, "read": 0.2, "total": 2, **limits}))
    return made


def post(url, **limits):
    with session(**limits) as made:
        return made.post(url, data=b"asked", headers={"Authorization": f"Bearer {TOKEN}"})


def answering(reply: Reply):
    return loopback(lambda _: reply)


def refusal_of(url, **limits):
    with pytest.raises(CannotEvaluate) as refusal:
        post(url, **limits)
    return refusal.value


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_answer_comes_through():
    with loopback(lambda _: Reply(201, b"made")) as server:
        assert post(server.origin).content == b"made"


def test_a_service_that_refuses_connections_is_unreachable(closed_port):
    refusal = refusal_of(f"http://127.0.0.1:{closed_port}/")
    assert refusal.code == "signing.unreachable"
    assert refusal.message == (
        f"127.0.0.1:{closed_port}: no usable answer (got no connection, or a broken one, "
        "expected one within 3 tries and 2 s)"
    )
    assert "proxy" in refusal.fix


def test_a_service_that_hangs_is_unreachable_in_time():
    started = time.monotonic()
    with loopback(lambda _: Reply(hang=30)) as server:
        refusal = refusal_of(server.origin)
    assert (refusal.code, "no answer in time" in refusal.message) == ("signing.unreachable", True)
    assert time.monotonic() - started < 5


def test_a_service_that_drips_bytes_is_cut_off_in_time():
    def drip(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                try:
                    connection.sendall(b"x")
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        refusal = refusal_of(f"http://127.0.0.1:{server.getsockname()[1]}/", total=0.4, tries=1)
    assert (refusal.code, "no answer in time" in refusal.message) == ("signing.unreachable", True)


@pytest.mark.parametrize(
    "reply",
    [Reply(raw=b"garbage\r\n\r\n"), Reply(200, b"short", announce=100), Reply(200, b"x" * 2000)],
    ids=["no http", "cut short", "too large"],
)
def test_what_is_no_whole_answer_is_none(reply):
    with loopback(lambda _: reply) as server:
        assert refusal_of(server.origin, size=1000).code == "signing.unreachable"
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again(status):
    replies = [Reply(status), Reply(status), Reply(200, b"at last")]
    with loopback(lambda _: replies.pop(0)) as server:
        assert post(server.origin).content == b"at last"
        assert [request.body for request in server.requests] == [b"asked"] * 3


def test_a_service_that_stays_busy_is_unreachable():
    with loopback(lambda _: Reply(503, b'{"message": "maintenance"}')) as server:
        assert "got 503: maintenance" in refusal_of(server.origin).message


def test_the_pauses_between_tries_grow():
    pauses: list[float] = []
    with loopback(lambda _: Reply(503)) as server:
        refusal_of(server.origin, tries=4, pause=1)
        made = requests.Session()
        bind(made, Limits(sleep=pauses.append, tries=4, pause=1))
        with made, pytest.raises(CannotEvaluate):
            made.get(server.origin)
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_and_not_asked_again(status):
    with loopback(lambda _: Reply(status, b'{"code": 3, "message": "issuer not known"}')) as server:
        refusal = refusal_of(server.origin)
        assert refusal.code == "signing.refused"
        assert f"got {status}: issuer not known" in refusal.message
        assert "signing.instance" in refusal.fix
        assert len(server.requests) == 1


def test_a_redirect_is_not_followed_with_the_token():
    with loopback(lambda _: Reply(200)) as thief:
        move = Reply(307, headers={"Location": f"{thief.origin}/"})
        with loopback(lambda _: move) as server:
            assert refusal_of(server.origin).code == "signing.refused"
        assert thief.requests == []


def test_a_server_that_repeats_the_token_is_not_quoted():
    for said in (TOKEN, json.dumps({"message": f"bad token {TOKEN}"}), "why signature-of-it?"):
        reply = Reply(401, said.encode())
        with answering(reply) as server:
            refusal = refusal_of(server.origin)
        assert "signature-of-it" not in f"{refusal!r}{refusal}"
        assert "repeats the token" in refusal.message


def test_control_characters_of_a_server_stay_out_of_the_message():
    with loopback(lambda _: Reply(400, b"\x1b[2Jfoo\nbar" + b"x" * 5000)) as server:
        message = refusal_of(server.origin).message
    assert message.isprintable()
    assert "[2Jfoobar" in message
    assert len(message) < 400


@pytest.mark.parametrize("date", ["Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"])
@pytest.mark.parametrize("status", [200, 401])
def test_a_clock_that_is_off_is_named_first(date, status):
    # The standard library's server sends a Date of its own, so this answer is written by hand.
    raw = f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()
    with loopback(lambda _: Reply(raw=raw)) as server:
        refusal = refusal_of(server.origin)
    assert refusal.code == "signing.clock"
    assert f"expected {date[12:16]}-01-01 00:00 UTC" in refusal.message
    assert "timedatectl" in refusal.fix


@pytest.mark.parametrize("header", ["", "Date: yesterday\r\n"])
def test_a_server_without_a_readable_date_is_believed(header):
    raw = f"HTTP/1.1 200 OK\r\n{header}Content-Length: 2\r\n\r\nok".encode()
    with loopback(lambda _: Reply(raw=raw)) as server:
        assert post(server.origin).content == b"ok"


def test_an_entry_that_is_logged_already_is_fetched():
    def answer(request):
        if request.method == "POST":
            return Reply(409, b"{}", headers={"Location": "/api/v1/log/entries/abc"})
        return Reply(200, request.path.encode())

    with loopback(answer) as server:
        assert post(server.origin).content == b"/api/v1/log/entries/abc"
        assert "Authorization" not in server.asked("GET")[0].headers


def test_an_entry_at_another_host_is_not_fetched():
    with loopback(lambda _: Reply(200)) as other:
        place = Reply(409, headers={"Location": f"{other.origin}/entry"})
        with loopback(lambda _: place) as server:
            assert "an entry at another host" in refusal_of(server.origin).message
        assert other.requests == []


def test_a_conflict_without_a_place_is_a_refusal():
    with loopback(lambda _: Reply(409)) as server:
        assert refusal_of(server.origin).code == "signing.refused"


def test_the_loopback_instance_is_never_asked_through_a_proxy(monkeypatch, closed_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    with loopback(lambda _: Reply(200, b"direct")) as server:
        assert post(server.origin).content == b"direct"


def test_other_instances_are_asked_through_the_proxy(monkeypatch):
    with loopback(lambda _: Reply(200, b"proxied")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with session() as made:
            assert made.get("http://tsa.gatehouse.invalid/").content == b"proxied"


def test_a_token_never_leaves_the_machine_unencrypted(monkeypatch):
    with loopback(lambda _: Reply(200)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        with pytest.raises(Misuse) as refusal:
            post("http://fulcio.gatehouse.invalid/")
        assert proxy.requests == []
    assert refusal.value.code == "signing.insecure"
    assert "(got http, expected https)" in refusal.value.message


def test_a_netrc_does_not_replace_the_token(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with loopback(lambda _: Reply(200)) as server:
        post(server.origin)
        assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_certificate_of_nobody_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x15\x03\x01\x00\x02\x02\x30")  # TLS alert: unknown CA

        threading.Thread(target=serve, daemon=True).start()
        refusal = refusal_of(f"https://127.0.0.1:{server.getsockname()[1]}/", tries=1)
    assert (refusal.code, "certificate" in refusal.message) == ("signing.unreachable", True)


class Intercepting:
    """A proxy that opens every tunnel itself, with a certificate of its own authority for the host asked for."""

    def __init__(self, folder):
        now = dt.datetime.now(dt.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a company's proxy")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("fulcio.gatehouse.invalid")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, private)
        (folder / "key.pem").write_bytes(pem)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.authority, folder / "key.pem")

    def serve(self, server):
        connection, _ = server.accept()
        connection.settimeout(10)  # a client that failed may keep its connection open
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError), self._tls.wrap_socket(connection, server_side=True) as tunnel:
            # Closing before all of the request is read would reset the connection and take the answer with it.
            with tunnel.makefile("rb") as asked:
                asked.readline()
                asked.read(int(http.client.parse_headers(asked).get("Content-Length", 0)))
            tunnel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()


@pytest.fixture
def intercepted(tmp_path, monkeypatch):
    proxy = Intercepting(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread = threading.Thread(target=proxy.serve, args=(server,), daemon=True)
        thread.start()
        yield proxy.authority
        thread.join(15)


def test_a_proxy_whose_authority_the_system_trusts_is_trusted(intercepted, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(intercepted))
    assert post("https://fulcio.gatehouse.invalid/").content == b"ok"


def test_a_proxy_whose_authority_nobody_trusts_is_named(intercepted):
    refusal = refusal_of("https://fulcio.gatehouse.invalid/", tries=1)
    assert refusal.code == "signing.unreachable"
    assert "got a certificate that this machine does not trust" in refusal.message
