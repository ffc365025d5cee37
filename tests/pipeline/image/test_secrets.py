import pytest

from pipeline.image.layer import file
from pipeline.image.secrets import entropy, find_secrets, secrets_in_environment

# Put together here, so that scanners of this repository find no whole one.
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4"
SECRETS = {
    "private key": f"-----BEGIN {'RSA '}PRIVATE KEY-----\n{KEY_BODY}\n",
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + "a1B2c3D4e5" * 4,
    "GitLab token": "glpat-" + "a1B2c3D4e5" * 2,
    "Slack token": "xoxb-" + "1234567890-" * 3,
    "Google API key": "AIza" + "a1B2c3D4e5F" * 3 + "ab",
    "Stripe key": "sk_live_" + "a1B2c3D4e5" * 3,
    "PyPI token": "pypi-AgEI" + "a1B2c3D4e5" * 6,
    "npm token": "npm_" + "a1B2c3" * 6,
}


@pytest.mark.parametrize(("form", "text"), SECRETS.items())
def test_each_known_form_is_found_everywhere(form, text):
    (found,) = find_secrets({"usr/lib/x.pem": file(f"before {text} behind".encode())})
    assert (found.path, found.form) == ("usr/lib/x.pem", form)


@pytest.mark.parametrize(
    "text",
    [
        'if key.startswith("-----BEGIN PRIVATE KEY-----"):',
        "-----BEGIN PUBLIC KEY-----\n" + KEY_BODY,
        "AKIA is a prefix",
        "token = os.environ['TOKEN']",
        'password = "correct_horse_battery_staple"',
        "ghp_short",
    ],
)
def test_code_that_speaks_of_secrets_is_none(text):
    assert find_secrets({"app/x.py": file(text.encode())}) == []


RANDOM = "vK9x2QmL7pRt4Wz8Yb3Nc6Jd"


@pytest.mark.parametrize("name", ["SECRET_KEY", "db_password", "api_key", "TOKEN"])
def test_a_random_value_of_a_secrets_name_is_found_in_the_application(name):
    (found,) = find_secrets({"app/settings.py": file(f'{name} = "{RANDOM}"\n'.encode())})
    assert found.form == "random-looking value of a secret's name"


def test_library_code_is_not_judged_by_randomness():
    assert find_secrets({"usr/lib/python3.13/x.py": file(f'token = "{RANDOM}"'.encode())}) == []


def test_a_file_of_environment_variables_is_text():
    assert find_secrets({"app/.env.production": file(f"SECRET={RANDOM}".encode())})


def test_the_images_environment_is_looked_at_too():
    (found,) = secrets_in_environment(["PATH=/usr/bin", f"API_KEY={RANDOM}"])
    assert found.path == "ENV API_KEY"


def test_what_is_told_holds_no_value():
    (found,) = secrets_in_environment([f"API_KEY={RANDOM}"])
    assert RANDOM not in repr(found)


def test_entropy_is_in_bits_a_byte():
    assert entropy(b"aaaa") == 0
    assert entropy(b"abcd") == 2
