"""What is searched for secrets, and that the detector finds them there whatever the file says or is called."""

import pytest

from pipeline.image import secrets
from pipeline.image.inventory import read_inventory
from pipeline.image.layer import file
from pipeline.image.secrets import Secret, detector, texts
from pipeline.model.errors import CannotEvaluate
from tests.support.jobs import fake_environment
from tests.support.wheelhouse import record_line

# Put together here, so that scanners of this repository find no whole one.
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
RANDOM = "vK9x2QmL7pRt4Wz8Yb3Nc6Jd"
FOUND = {
    "app/key.pem": (f"-----BEGIN {'RSA '}PRIVATE KEY-----\n{KEY_BODY}\n", "Private Key"),
    "app/a.py": (f'region = "x"\nkey = "{AWS}"\n', "AWS Access Key"),
    "app/b": ("ghp_" + "a1B2c3D4e5" * 4, "GitHub Token"),
    "app/c": ("glpat-" + "a1B2c3D4e5" * 2, "GitLab Token"),
    "app/d": ("xoxb-1234567890-1234567890-" + "a1B2c3D4e5f6" * 2, "Slack Token"),
    "app/e": ("sk_live_" + "a1B2c3D4e5" * 3, "Stripe Access Key"),
    "app/.pypirc": ("pypi-AgEI" + "cHlwaS5vcmc" + "a1B2c3D4e5" * 8, "PyPI Token"),
    "app/.npmrc": ("//registry.example/:_authToken=npm_" + "a1B2c3" * 6, "NPM tokens"),
    "app/settings.py": (f'VALUE = "{RANDOM}"\n', "Base64 High Entropy String"),
    "app/.env.production": (f"DB_PASSWORD={RANDOM}\n", "Secret Keyword"),
    "ENV API_KEY": (f"API_KEY={RANDOM}", "Secret Keyword"),
    "app/url.txt": ("postgres://user:" + "hunter2hunter" + "@db/x", "Basic Auth Credentials"),
    # What would silence the detector elsewhere: a comment, and names that it passes over.
    "app/commented.py": (f'key = "{AWS}"  # pragma: allowlist secret\n', "AWS Access Key"),
    "app/package-lock.json": (f'{{"key": "{AWS}"}}', "AWS Access Key"),
    "app/logo.svg": (AWS, "AWS Access Key"),
    "app/swagger-ui.html": (AWS, "AWS Access Key"),
}
CLEAN = {
    "app/read.py": "token = os.environ['TOKEN']\n",
    "app/keys.py": "# AKIA is a prefix\n",
    "app/words.py": "name = 'the quick brown fox'\n",
    "configuration": "dev.gatehouse.tree=0123456789abcdef01234567aabbccdd11223344\n/usr/bin/python3",
}


@pytest.fixture(scope="module")
def found(checks_python):
    sent = [*((path, text) for path, (text, _) in FOUND.items()), *CLEAN.items()]
    return detector(checks_python)(sent)


@pytest.mark.parametrize("path", FOUND)
def test_each_form_is_found_whatever_the_file_says_or_is_called(found, path):
    assert FOUND[path][1] in {secret.form for secret in found if secret.path == path}


def test_code_that_speaks_of_secrets_is_none(found):
    assert [secret for secret in found if secret.path in CLEAN] == []


def test_what_is_told_holds_no_value(found):
    assert RANDOM not in repr(found)
    assert AWS not in repr(found)


def test_much_text_is_shared_out_and_comes_back_in_order(checks_python, monkeypatch):
    monkeypatch.setattr(secrets, "SHARE", 100)
    filler = "word " * 20
    sent = [(f"app/{number}.txt", filler + (AWS if number % 2 else "")) for number in range(4)]
    assert detector(checks_python)(sent) == [Secret(f"app/{number}.txt", "AWS Access Key") for number in (1, 3)]


@pytest.mark.parametrize(
    "tool", [("[[]]", 0), ("[[], []]", 0), ('[["AWS Access Key"]]', 0), ("", 0), ('[["AWS Access Key"], []]', 1)]
)
def test_a_detector_that_leaves_out_a_file_or_the_planted_secret_proves_nothing(tmp_path, tool):
    with pytest.raises(CannotEvaluate) as raised:
        detector(fake_environment(tmp_path, python=tool))([("app/a", "text")])
    assert raised.value.code in {"image.secret-detector", "document.malformed"}


def searched(*layers, **config):
    tree = {path: entry for layer in layers for path, entry in layer.items()}
    return dict(texts(layers, tree, read_inventory(tree), config))


MODULE, INFO = (
    "usr/local/lib/python3.13/dist-packages/thing.py",
    "usr/local/lib/python3.13/dist-packages/thing-1.dist-info",
)
THING = {
    MODULE: file(b"x = 1\n"),
    f"{INFO}/METADATA": file(b"Name: thing\nVersion: 1\n"),
    f"{INFO}/RECORD": file(record_line("thing.py", b"x = 1\n").encode()),
}


def test_what_a_package_brought_is_public_and_left_out_but_not_where_it_was_changed():
    assert MODULE not in searched(THING)
    assert MODULE in searched(THING, {MODULE: file(b"y = 2\n")})
    assert MODULE in searched({**THING, MODULE: file(b"y = 2\n")})


def test_a_file_that_an_upper_layer_replaces_is_searched_too():
    assert [
        text
        for path, text in texts(
            [{"app/a": file(b"old")}, {"app/a": file(b"new")}], {"app/a": file(b"new")}, read_inventory({}), {}
        )
        if path == "app/a"
    ] == ["old", "new"]


def test_text_inside_what_is_no_text_is_searched():
    assert searched({"app/a.pyc": file(b"\xcb\r\0\0" + AWS.encode() + b"\0\xff")}) == {"app/a.pyc": AWS}


def test_certificates_are_public():
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert searched({"etc/ssl/certs/ca-certificates.crt": file(pem.encode())}) == {}


def test_environment_labels_commands_and_history_are_searched():
    config = {"Env": ["A=1", "B=2"], "Labels": {"l": "label"}, "Entrypoint": ["run"], "Cmd": ["it"]}
    assert searched({}, config=config, history=[{"created_by": "RUN x"}]) == {
        "ENV A": "A=1",
        "ENV B": "B=2",
        "configuration": "l=label\nrun\nit\nRUN x",
    }
