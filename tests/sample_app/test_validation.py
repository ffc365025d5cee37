"""Every input goes through these schemas."""

import contextlib
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sample_app import validation
from sample_app.model import Invalid
from sample_app.validation import NewMessage, NewRoom, Page


def test_a_room_has_a_name():
    assert validation.new_room({"name": "  Café ☕ №1 "}) == NewRoom(name="Café ☕ №1")


def test_names_that_look_the_same_become_the_same():
    assert validation.new_room({"name": "Cafe\u0301"}) == validation.new_room({"name": "Café"})


def test_a_message_may_have_lines():
    assert validation.new_message({"author": "Ann", "text": "one\r\ntwo"}) == NewMessage(author="Ann", text="one\ntwo")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "name: missing"),
        ({"name": "x", "admin": True}, "'admin': unknown field"),
        ({"name": 7}, "name: not a text"),
        ({"name": None}, "name: not a text"),
        ({"name": " \u3000 "}, "name: empty"),
        ({"name": "x" * 65}, "name: longer than 64 characters"),
        ({"name": "x" * 1_000_000}, "name: longer than 64 characters"),
        ({"name": "a\nb"}, "name: holds a character that is not allowed"),
        ({"name": "a\0b"}, "name: holds a character that is not allowed"),
        ({"name": "a\u202eb"}, "name: holds a character that is not allowed"),
        ({"name": "a\u2028b"}, "name: holds a character that is not allowed"),
        ({"name": "a\ud800b"}, "name: holds a character that is not allowed"),
        ({"name": "a\ue000b"}, "name: holds a character that is not allowed"),
    ],
)
def test_a_room_that_is_not_of_the_schema_is_refused(value, message):
    with pytest.raises(Invalid) as refusal:
        validation.new_room(value)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"author": "Ann"}, "text: missing"),
        ({"author": "A" * 41, "text": "x"}, "author: longer than 40 characters"),
        ({"author": "A\nB", "text": "x"}, "author: holds a character that is not allowed"),
        ({"author": "Ann", "text": "x" * 2001}, "text: longer than 2000 characters"),
        ({"author": "Ann", "text": "a\tb"}, "text: holds a character that is not allowed"),
    ],
)
def test_a_message_that_is_not_of_the_schema_is_refused(value, message):
    with pytest.raises(Invalid) as refusal:
        validation.new_message(value)
    assert str(refusal.value) == message


def test_a_page_is_the_newest_fifty_unless_asked_otherwise():
    assert validation.page({}) == Page(after=None, limit=50)
    assert validation.page({"after": [b"7"], "limit": [b"200"]}) == Page(after=7, limit=200)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": [b"0"]}, "limit: not one whole number from 1 to 200"),
        ({"limit": [b"201"]}, "limit: not one whole number from 1 to 200"),
        ({"limit": [b"1", b"2"]}, "limit: not one whole number from 1 to 200"),
        ({"after": [b"-1"]}, "after: not one whole number from 0 to 2147483647"),
        ({"after": [b"\xff"]}, "after: not one whole number from 0 to 2147483647"),
        ({"after": [b"9" * 10]}, "after: not one whole number from 0 to 2147483647"),
        ({"order": [b"1"]}, "'order': unknown parameter"),
    ],
)
def test_a_query_that_is_not_of_the_schema_is_refused(arguments, message):
    with pytest.raises(Invalid) as refusal:
        validation.page(arguments)
    assert str(refusal.value) == message


def test_an_address_without_a_query_takes_none():
    validation.no_arguments({})
    with pytest.raises(Invalid, match="'x': unknown parameter"):
        validation.no_arguments({"x": [b""]})


def test_a_live_connection_takes_a_number_to_start_after():
    assert validation.after({}) is None
    assert validation.after({"after": [b"3"]}) == 3
    with pytest.raises(Invalid, match="'limit': unknown parameter"):
        validation.after({"limit": [b"3"]})


def test_a_form_gives_its_fields_without_the_token():
    assert validation.form({"name": ["Café".encode()], "_xsrf": [b"t"]}) == {"name": "Café"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"name": [b"a", b"b"]}, "'name': given more than once"), ({"name": [b"\xff"]}, "'name': not UTF-8")],
)
def test_a_form_that_is_ambiguous_is_refused(arguments, message):
    with pytest.raises(Invalid) as refusal:
        validation.form(arguments)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b"null", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": Infinity}', b"\xff", b"[" * 20_000],
)
def test_a_body_that_is_not_one_json_object_is_refused(body):
    with pytest.raises(Invalid, match="not one well-formed JSON object"):
        validation.json_object(body)


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=60)
def test_any_body_is_an_object_or_refused(body):
    with contextlib.suppress(Invalid):
        assert isinstance(validation.json_object(body), dict)


@given(st.text(max_size=300))
@settings(max_examples=100)
def test_any_text_is_clean_or_refused_and_clean_text_stays_as_it_is(text):
    try:
        clean = validation.new_message({"author": "Ann", "text": text})
    except Invalid:
        return
    assert 0 < len(clean.text) <= validation.MAX_TEXT
    assert not any(unicodedata.category(c)[0] == "C" for c in clean.text.replace("\n", ""))
    assert validation.new_message({"author": "Ann", "text": clean.text}) == clean
