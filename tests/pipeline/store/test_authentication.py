"""Challenges of registries: basic, bearer, and what is neither."""

import base64
import json

import pytest

from pipeline.model.errors import CannotEvaluate
from pipeline.store.authentication import Authenticator
from pipeline.store.credentials import Credentials

BEARER = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:team/app:pull,push"'
USER = Credentials("user", "password")


class Tokens:
    """Remembers what was asked of the token server."""

    def __init__(self, *answers: object) -> None:
        self.answers = [answer if isinstance(answer, bytes) else json.dumps(answer).encode() for answer in answers]
        self.asked: list[tuple[str, dict[str, str], bytes | None]] = []

    def __call__(self, url, headers, form):
        self.asked.append((url, dict(headers), form))
        return self.answers.pop(0)


def no_fetch(url, headers, form):
    pytest.fail(f"asked {url}")


def test_basic_credentials_are_sent_where_they_are_asked_for():
    authenticator = Authenticator(lambda: USER)
    assert authenticator.header == {}
    assert authenticator.log_in('Basic realm="x"', no_fetch)
    assert authenticator.header == {"Authorization": "Basic " + base64.b64encode(b"user:password").decode()}


def test_the_same_answer_is_not_given_twice():
    authenticator = Authenticator(lambda: USER)
    assert authenticator.log_in('Basic realm="x"', no_fetch)
    assert not authenticator.log_in('Basic realm="x"', no_fetch)


def test_without_credentials_basic_has_no_answer():
    assert not Authenticator(lambda: None).log_in('Basic realm="x"', no_fetch)


def test_a_token_is_asked_for_service_and_scope():
    tokens = Tokens({"token": "abc"})
    authenticator = Authenticator(lambda: USER)
    assert authenticator.log_in(BEARER, tokens)
    assert authenticator.header == {"Authorization": "Bearer abc"}
    ((url, headers, form),) = tokens.asked
    assert url == "https://auth.example/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull%2Cpush"
    assert headers == {"Authorization": USER.basic}
    assert form is None


def test_an_anonymous_token_is_asked_without_credentials():
    tokens = Tokens({"access_token": "abc"})
    assert Authenticator(lambda: None).log_in(BEARER, tokens)
    assert tokens.asked[0][1] == {}


def test_an_identity_token_goes_into_the_form_alone():
    tokens = Tokens({"access_token": "abc"})
    assert Authenticator(lambda: Credentials("<token>", "refresh")).log_in(BEARER, tokens)
    url, headers, form = tokens.asked[0]
    assert url == "https://auth.example/token"
    assert "Authorization" not in headers
    assert set((form or b"").split(b"&")) >= {b"grant_type=refresh_token", b"refresh_token=refresh"}


def test_a_later_challenge_replaces_the_token():
    authenticator = Authenticator(lambda: None)
    tokens = Tokens({"token": "pull"}, {"token": "push"})
    assert authenticator.log_in(BEARER, tokens)
    assert authenticator.log_in(BEARER, tokens)
    assert authenticator.header == {"Authorization": "Bearer push"}


def test_the_challenge_that_can_be_answered_is_found_among_others():
    authenticator = Authenticator(lambda: USER)
    assert authenticator.log_in('Negotiate, Basic realm="a, b", charset="UTF-8"', no_fetch)
    assert authenticator.header == {"Authorization": USER.basic}


@pytest.mark.parametrize("challenge", ["", "Basic", "Negotiate", "Bearer", 'Bearer service="x"', "\0", "realm=" * 5000])
def test_what_is_no_challenge_has_no_answer(challenge):
    assert not Authenticator(lambda: USER).log_in(challenge, no_fetch)


@pytest.mark.parametrize("answer", [b"", b"<html>", [], {}, {"token": 1}, {"token": ""}, {"token": "a\r\nX-Evil: 1"}])
def test_what_is_no_token_is_told(answer):
    with pytest.raises(CannotEvaluate, match=r"https://auth\.example/token: no token") as garbage:
        Authenticator(lambda: USER).log_in(BEARER, Tokens(answer))
    assert garbage.value.code == "registry.token"
    assert "password" not in str(garbage.value)
