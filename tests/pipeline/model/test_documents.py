"""Strict documents: what is ambiguous, too large or too deep is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.documents import Document, canonical_json, parse, parse_json
from pipeline.model.errors import CannotEvaluate, GatehouseError


class Pair(Document):
    left: int
    right: list[str]


@pytest.mark.parametrize(
    ("content", "code", "fragment"),
    [
        (b'{"a": 1, "a": 2}', "document.malformed", "duplicate key 'a'"),
        (b'{"a": NaN}', "document.malformed", "NaN is not a JSON number"),
        (b'{"a": Infinity}', "document.malformed", "Infinity is not a JSON number"),
        (b"[" * 65 + b"]" * 65, "document.malformed", "nested deeper than 64"),
        (b"[" * 100_000, "document.malformed", "nested deeper than 64"),
        (b'{"a": 1', "document.malformed", "Expecting"),
        (b"", "document.malformed", "Expecting value"),
        (b"\xff\xfe", "document.malformed", "utf-8"),
        (b"[1] [2]", "document.malformed", "Extra data"),
        (b'"' + b"x" * 101 + b'"', "document.too-large", "got 103 bytes, expected at most 100"),
    ],
)
def test_ambiguous_json_is_refused(content, code, fragment):
    limit = 100 if code == "document.too-large" else 1_000_000
    with pytest.raises(CannotEvaluate) as refused:
        parse_json(content, what="thing", limit=limit)
    assert refused.value.code == code
    assert fragment in refused.value.message
    assert refused.value.message.startswith("thing: ")


def test_brackets_inside_strings_are_not_depth():
    text = "[" * 200 + '\\"' + "{"
    assert parse_json(json.dumps([text]).encode(), what="thing") == [text]


def test_every_wrong_field_is_named():
    with pytest.raises(CannotEvaluate) as refused:
        parse(Pair, b'{"left": "1", "right": [2], "more": 0}', what="pair")
    assert refused.value.code == "document.shape"
    for name in ("left", "right.0", "more"):
        assert name in refused.value.message


@given(st.binary(max_size=400))
def test_any_bytes_are_parsed_or_refused(content):
    try:
        parse(Pair, content, what="pair")
    except GatehouseError as error:
        assert error.code.startswith("document.")  # noqa: PT017 - both ends are allowed


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_canonical_json_does_not_depend_on_order(value):
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert parse_json(canonical_json(value), what="value") == value
