"""Foreign JSON is read in one way only, or refused in bounded time."""

import pytest

from pipeline.model.documents import Document, parse, parse_json
from pipeline.model.errors import CannotEvaluate


class Note(Document):
    text: str


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"text": "a", "text": "b"}', "duplicate key 'text'"),
        (b'{"text": NaN}', "NaN is not a JSON number"),
        (b'{"text": 1e999}', "1e999 is too large for a number"),
        (b'{"text": "\\ud800"}', "surrogates not allowed"),
        (b'{"text": "a', "Unterminated string"),
        (b"[" * 100 + b"]" * 100, "nested deeper than 64"),
        (b"\xff", "invalid start byte"),
    ],
)
def test_ambiguous_or_broken_json_is_malformed(content: bytes, said: str):
    with pytest.raises(CannotEvaluate, match=said) as refusal:
        parse(Note, content, what="note")
    assert refusal.value.code == "document.malformed"


def test_too_many_bytes_are_refused_before_they_are_parsed():
    with pytest.raises(CannotEvaluate, match="got 11 bytes, expected at most 10") as refusal:
        parse_json(b" " * 11, what="note", limit=10)
    assert refusal.value.code == "document.too-large"


def test_an_unclosed_string_of_quotes_is_refused_at_once():
    """With a backtracking scan this takes hours: it is no timing test, it would not end."""
    with pytest.raises(CannotEvaluate, match="Unterminated string"):
        parse_json(b'"' + b'\\"' * 1_000_000, what="note")


def test_brackets_inside_strings_are_not_depth():
    assert parse(Note, b'{"text": "' + b"[{" * 200 + b'"}', what="note").text == "[{" * 200
