"""What an error says, whatever foreign text is in it."""

from pipeline.model.errors import Refused


def test_a_message_is_one_printable_line():
    error = Refused("store.malformed", "x: not readable (got a\nb\x1b[31m\x00\u202e, expected é)", fix="mend it")
    assert error.message == "x: not readable (got a b?[31m??, expected é)"
    assert str(error) == f"store.malformed: {error.message}\n  fix: mend it"
