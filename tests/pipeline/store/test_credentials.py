"""Docker's credentials: config.json and its helpers, and no word of them in an error."""

import base64
import json
import sys

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.store.credentials import Credentials, find_credentials

HOST = "registry.example:5000"


@pytest.fixture
def config(tmp_path):
    def write(content: object) -> None:
        (tmp_path / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))

    return write


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A real credential helper on the PATH."""

    def write(body: str) -> None:
        path = tmp_path / "bin" / "docker-credential-test"
        path.parent.mkdir()
        path.write_text(f"#!{sys.executable}\nimport sys\nhost = sys.stdin.read().strip()\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=":")

    return write


def test_no_folder_and_no_file_mean_anonymous(tmp_path):
    assert find_credentials(None, HOST) is None
    assert find_credentials(tmp_path, HOST) is None


@pytest.mark.parametrize("name", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2/"])
def test_auths_are_found_in_every_spelling_of_the_host(config, tmp_path, name):
    config({"auths": {"other.example": encoded("x:y"), name: encoded("user:pass:word")}})
    assert find_credentials(tmp_path, HOST) == Credentials("user", "pass:word")


def test_another_host_gets_nothing(config, tmp_path):
    config({"auths": {HOST: encoded("user:password")}})
    for other in ("registry.example", "evil.example", f"{HOST}.evil.example", "registry.example:5001"):
        assert find_credentials(tmp_path, other) is None


def test_an_identity_token_is_told_apart(config, tmp_path):
    config({"auths": {HOST: {**encoded("user:"), "identitytoken": "refresh"}}})
    found = find_credentials(tmp_path, HOST)
    assert found == Credentials("<token>", "refresh")
    assert found.is_identity_token


@pytest.mark.parametrize("entry", [{}, {"auth": ""}, {"email": "a@b"}])
def test_an_empty_entry_means_anonymous(config, tmp_path, entry):
    config({"auths": {HOST: entry}})
    assert find_credentials(tmp_path, HOST) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"registry.example:5000": {"auth": "hunter2!"}}}',
        '{"credsStore": "../x"}',
    ],
)
def test_an_unreadable_config_is_told_without_its_content(config, tmp_path, content):
    config(content)
    with pytest.raises(CannotEvaluate) as unreadable:
        find_credentials(tmp_path, HOST)
    assert unreadable.value.code == "registry.credentials"
    assert "hunter2" not in str(unreadable.value)
    assert "docker login" in unreadable.value.fix


@pytest.mark.parametrize("settings", [{"credHelpers": {HOST: "test"}}, {"credsStore": "test"}])
def test_a_credential_helper_is_asked_for_the_host(config, helper, tmp_path, settings):
    helper('print(\'{"ServerURL": "%s", "Username": "user", "Secret": "secret of %s"}\' % (host, host))')
    config(settings)
    assert find_credentials(tmp_path, HOST) == Credentials("user", f"secret of {HOST}")


def test_a_helper_without_credentials_leaves_the_auths(config, helper, tmp_path):
    helper("print('credentials not found in native keychain')\nsys.exit(1)")
    config({"credsStore": "test", "auths": {HOST: encoded("user:password")}})
    assert find_credentials(tmp_path, HOST) == Credentials("user", "password")


@pytest.mark.parametrize("body", ["sys.exit(3)", "print('hunter2')", 'print(\'{"Username": "hunter2"}\')'])
def test_a_failing_helper_is_told_without_what_it_said(config, helper, tmp_path, body):
    helper(body)
    config({"credHelpers": {HOST: "test"}})
    with pytest.raises(CannotEvaluate, match="docker-credential-test") as failed:
        find_credentials(tmp_path, HOST)
    assert failed.value.code == "registry.credentials"
    assert "hunter2" not in str(failed.value)


def test_a_helper_that_is_not_there_is_named(config, tmp_path):
    config({"credHelpers": {HOST: "absent-helper"}})
    with pytest.raises(CannotEvaluate, match="docker-credential-absent-helper") as missing:
        find_credentials(tmp_path, HOST)
    assert missing.value.code == "registry.credentials"


def test_a_secret_does_not_show_in_a_representation():
    assert "hunter2" not in repr(Credentials("user", "hunter2"))
