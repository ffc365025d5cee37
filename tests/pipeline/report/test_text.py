import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.text import as_ascii, columns, fit, printable, seconds, size, split_message, wrap


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;new title\x07b", "ab"),
        ("a\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\b", "aclickb"),
        ("a\x9b2Jb", "ab"),
        ("a\x1bPdevice\x1b\\b", "ab"),
        ("a\x1bcb", "ab"),
        ("PASSED\rFAILED\n\tmore", "PASSED FAILED more"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("pip\u200bit", "pipit"),
        ("nul\x00bell\x07back\x08del\x7f", "nulbellbackdel"),
    ],
)
def test_terminal_control_and_invisible_characters_leave_nothing_behind(hostile, shown):
    assert printable(hostile) == shown


@given(st.text())
def test_shown_text_is_one_printable_line(text):
    shown = printable(text)
    assert not shown or shown.isprintable()
    assert printable(shown) == shown


def test_ascii_keeps_the_meaning_of_the_symbols_in_use():
    assert as_ascii("a · b… naïve") == "a - b... na?ve"


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_fitted_text_is_never_wider_than_asked(text, width):
    assert columns(fit(text, width)) <= width


def test_text_that_fits_is_not_cut():
    assert fit("exactly", 7) == "exactly"
    assert fit("exactly.", 7) == "exactl…"


def test_wide_characters_count_two_columns():
    assert columns("門 e\u0301") == 4
    assert fit("門門門", 4) == "門…"


def test_wrapping_loses_no_word():
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("unbreakable-digest x", 4) == ["unbreakable-digest", "x"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.44, "0.4 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_durations(value, shown):
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(999, "999 B"), (30_200_000, "30.2 MB"), (999_999, "1.0 MB"), (5 * 10**12, "5000.0 GB")]
)
def test_sizes_are_decimal(count, shown):
    assert size(count) == shown


def test_a_message_of_the_usual_form_is_taken_apart():
    assert split_message("lock: stale (got 2 (two), expected 1)") == ("lock: stale", "2 (two)", "1")


def test_a_message_of_another_form_stays_whole():
    assert split_message("lock: stale (got 2)") == ("lock: stale (got 2)", "", "")
