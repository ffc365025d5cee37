"""HTTP to a registry that is down, slow, broken, hostile, or sends us elsewhere."""

import json
import socket
import tempfile

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.store.authentication import Authenticator
from pipeline.store.credentials import Credentials
from pipeline.store.transport import ATTEMPTS, Transport, is_loopback
from tests.support.loopback import Reply, loopback

USER = Credentials("user", "hunter2")


def transport(host, *, credentials=None, waits=None, timeout=(2, 2), patience=5):
    waited = [] if waits is None else waits
    return Transport(host, Authenticator(lambda: credentials), timeout=timeout, patience=patience, wait=waited.append)


def get(server, path="/v2/", **options):
    return transport(server.host, **options).send("GET", f"{server.origin}{path}")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:5000", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("localhost:5000", True),
        ("[::1]:5000", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("registry.example:5000", False),
    ],
)
def test_plain_http_is_for_loopback_alone(host, expected):
    assert is_loopback(host) is expected
    assert transport(host).origin == f"{'http' if expected else 'https'}://{host}"


def test_a_registry_that_is_down_is_told_after_the_last_attempt():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        waits: list[float] = []
        with pytest.raises(CannotEvaluate, match="Connection refused") as down:
            transport(host, waits=waits).send("GET", f"http://{host}/v2/")
    assert down.value.code == "registry.unreachable"
    assert down.value.exit_code == 3
    assert waits == [0.2, 0.4, 0.8]


def test_a_registry_that_fails_for_a_moment_is_asked_again():
    replies = iter([Reply(503), Reply(500), Reply(200, b"fine")])
    with loopback(lambda _: next(replies)) as server:
        assert get(server).content == b"fine"


def test_a_registry_that_goes_on_failing_is_told():
    with (
        loopback(lambda _: Reply(500, b"disk\x1b[31m full")) as server,
        pytest.raises(CannotEvaluate, match=r"500 disk \[31m full") as failing,
    ):
        get(server)
    assert len(server.requests) == ATTEMPTS
    assert failing.value.code == "registry.failing"


@pytest.mark.parametrize(("header", "first"), [("7", 7), ("99999", 30), ("soon", 0.2), ("-1", 0.2)])
def test_a_busy_registry_says_how_long_to_wait(header, first):
    waits: list[float] = []
    replies = iter([Reply(429, headers={"Retry-After": header}), Reply(200)])
    with loopback(lambda _: next(replies)) as server:
        get(server, waits=waits)
    assert waits == [first]


def test_a_registry_that_is_silent_is_not_waited_for():
    with loopback(lambda _: Reply(hang=10)) as server, pytest.raises(CannotEvaluate) as silent:
        transport(server.host, timeout=(1, 0.1)).send("GET", f"{server.origin}/v2/", attempts=1)
    assert silent.value.code == "registry.unreachable"


def test_an_answer_without_end_is_broken_off():
    with loopback(lambda _: Reply(200, b"drop")) as server, pytest.raises(CannotEvaluate, match="no end after -1 s"):
        get(server, patience=-1)


def test_an_answer_cut_short_is_not_taken():
    with loopback(lambda _: Reply(200, b"half", announce=8)) as server, pytest.raises(CannotEvaluate) as cut:
        get(server)
    assert cut.value.code == "registry.unreachable"


def test_an_answer_beyond_the_limit_is_broken_off():
    with loopback(lambda _: Reply(200, b"x" * 1001)) as server, pytest.raises(CannotEvaluate) as large:
        transport(server.host).send("GET", f"{server.origin}/v2/", limit=1000)
    assert large.value.code == "store.too-large"


@pytest.mark.parametrize("raw", [b"\x00\x01\x02\x03\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 banana\r\n\r\n"])
def test_what_is_no_http_is_garbage(raw):
    with loopback(lambda _: Reply(raw=raw)) as server, pytest.raises(CannotEvaluate) as garbage:
        get(server)
    assert garbage.value.code == "registry.garbage"


@pytest.mark.parametrize(
    ("status", "code"), [(403, "registry.refused"), (400, "registry.refused"), (204, "registry.garbage")]
)
def test_a_status_that_was_not_expected_is_told(status, code):
    with loopback(lambda _: Reply(status)) as server, pytest.raises(CannotEvaluate, match=f"got {status}") as refused:
        get(server)
    assert refused.value.code == code
    assert len(server.requests) == 1


def test_an_upload_s_state_is_not_told():
    with loopback(lambda _: Reply(403)) as server, pytest.raises(CannotEvaluate) as refused:
        get(server, "/v2/upload?_state=hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_refusal_without_credentials_says_where_to_log_in():
    with (
        loopback(lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})) as server,
        pytest.raises(CannotEvaluate) as refused,
    ):
        get(server)
    assert refused.value.code == "registry.refused"
    assert f"docker login {server.host}" in refused.value.fix


def test_wrong_credentials_are_sent_once_and_never_told():
    with (
        loopback(lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})) as server,
        pytest.raises(CannotEvaluate) as refused,
    ):
        get(server, credentials=USER)
    assert [request.headers.get("Authorization") for request in server.requests] == [None, USER.basic]
    assert "hunter2" not in str(refused.value)
    assert USER.basic not in str(refused.value)


def basic(request):
    if "Authorization" not in request.headers:
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    return Reply(307, headers={"Location": request.path.replace("/redirect/", "http://")})


def test_a_redirect_to_another_host_carries_no_credentials():
    with loopback(lambda _: Reply(200, b"blob")) as other, loopback(basic) as server:
        answer = get(server, f"/redirect/{other.host}/blob", credentials=USER)
    assert answer.content == b"blob"
    assert [request.headers.get("Authorization") for request in other.requests] == [None]


def test_another_port_of_the_same_host_is_another_host():
    with (
        loopback(lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})) as other,
        loopback(basic) as server,
        pytest.raises(CannotEvaluate) as refused,
    ):
        get(server, f"/redirect/{other.host}/blob", credentials=USER)
    assert refused.value.code == "registry.refused"
    assert all("Authorization" not in request.headers for request in other.requests)


@pytest.mark.parametrize(
    "location", ["http://registry.example/blob", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[", ""]
)
def test_a_redirect_to_plain_http_or_elsewhere_is_not_followed(location):
    with (
        loopback(lambda _: Reply(302, headers={"Location": location})) as server,
        pytest.raises(CannotEvaluate, match="expected an https address") as refused,
    ):
        get(server)
    assert refused.value.code == "registry.garbage"


def test_a_registry_beyond_loopback_is_never_sent_to_loopback():
    with pytest.raises(CannotEvaluate, match=r"a redirect to http://127\.0\.0\.1") as refused:
        transport("registry.example").absolute("https://registry.example/v2/", "http://127.0.0.1/metadata")
    assert refused.value.code == "registry.garbage"


def test_redirects_end():
    with (
        loopback(lambda request: Reply(302, headers={"Location": request.path + "x"})) as server,
        pytest.raises(CannotEvaluate, match="redirects without end"),
    ):
        get(server)


def test_a_write_is_not_redirected():
    with (
        loopback(lambda _: Reply(307, headers={"Location": "/elsewhere"})) as server,
        pytest.raises(CannotEvaluate, match="got 307"),
    ):
        transport(server.host).send("PUT", f"{server.origin}/v2/", expect=(201,), body=b"x")
    assert [request.path for request in server.requests] == ["/v2/"]


def test_a_token_is_fetched_and_used():
    def answer(request):
        if request.path.startswith("/token"):
            return Reply(200, json.dumps({"token": "abc"}).encode())
        if request.headers.get("Authorization") == "Bearer abc":
            return Reply(200, b"inside")
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{request.headers["Host"]}/token"'})

    with loopback(answer) as server:
        assert get(server, credentials=USER).content == b"inside"
    assert server.requests[1].headers["Authorization"] == USER.basic


def test_credentials_do_not_go_to_a_token_server_in_plain_http():
    challenge = {"WWW-Authenticate": 'Bearer realm="http://auth.example/token"'}
    with loopback(lambda _: Reply(401, headers=challenge)) as server, pytest.raises(CannotEvaluate) as refused:
        get(server, credentials=USER)
    assert refused.value.code == "registry.garbage"


def test_netrc_is_not_read(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("default login user password hunter2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with loopback(lambda _: Reply(200)) as server:
        get(server)
    assert "Authorization" not in server.requests[0].headers


def test_a_proxy_is_not_asked_for_loopback(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with loopback(lambda _: Reply(200, b"direct")) as server:
        assert get(server).content == b"direct"


def test_cookies_are_not_kept():
    with loopback(lambda _: Reply(200, headers={"Set-Cookie": "session=1"})) as server:
        found = transport(server.host)
        for _ in range(2):
            found.send("GET", f"{server.origin}/v2/")
    assert "Cookie" not in server.requests[1].headers


def test_a_body_is_sent_again_from_its_start():
    replies = iter([Reply(503), Reply(201)])
    with loopback(lambda _: next(replies)) as server, tempfile.TemporaryFile() as file:
        file.write(b"content")
        transport(server.host).send("PUT", f"{server.origin}/v2/", expect=(201,), body=file)
    assert [Digest.of(request.body) for request in server.requests] == [Digest.of(b"content")] * 2
