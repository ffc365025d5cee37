import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.debian.control import alternatives, stanzas


def test_paragraphs_are_read_with_their_continuations():
    text = "Package: a\nDescription: one\n two\n .\n\n# a comment\nPackage: b\n"
    assert list(stanzas(text)) == [{"Package": "a", "Description": "one\ntwo\n."}, {"Package": "b"}]


@pytest.mark.parametrize("text", [" continued\n", "Package: a\nPackage: b\n", "no field\n"])
def test_what_is_neither_field_nor_continuation_is_refused(text):
    with pytest.raises(ValueError, match=r"(continuation without|neither a new)"):
        list(stanzas(text))


def test_relations_are_reduced_to_their_names():
    assert alternatives("libc6 (>= 2.38), debconf (>= 0.5) | debconf-2.0,\n a:any [amd64] <!nocheck>") == [
        ["libc6"],
        ["debconf", "debconf-2.0"],
        ["a"],
    ]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        found = list(stanzas(text))
    except ValueError:
        return
    assert all(stanza for stanza in found)
