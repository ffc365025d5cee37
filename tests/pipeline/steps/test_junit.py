"""JUnit XML is read without entities and held against its own counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import CannotEvaluate
from pipeline.steps.junit import read_junit

CASES = """\
<testcase classname="tests.test_a" name="test_one" time="0.001" />
<testcase classname="tests.test_a" name="test_two[1]"><failure message="no">assert</failure></testcase>
<testcase classname="tests.test_a" name="test_three"><skipped type="pytest.skip" /></testcase>
<testcase classname="tests.test_a" name="test_four"><error message="fixture">x</error></testcase>
"""


def report(cases: str = CASES, counts: str = 'errors="1" failures="1" skipped="1" tests="4"', head: str = "") -> bytes:
    start = '<?xml version="1.0" encoding="utf-8"?>'
    return f'{start}{head}<testsuites><testsuite name="pytest" {counts}>{cases}</testsuite></testsuites>'.encode()


def refusal(content: bytes) -> CannotEvaluate:
    with pytest.raises(CannotEvaluate) as refused:
        read_junit(content, step="tests")
    assert refused.value.code == "tests.unreadable"
    return refused.value


def test_each_case_is_counted_as_it_ended():
    found = read_junit(report(), step="tests")
    assert found.passed == ["tests.test_a::test_one"]
    assert found.failure == ["tests.test_a::test_two[1]"]
    assert found.skipped == ["tests.test_a::test_three"]
    assert found.error == ["tests.test_a::test_four"]
    assert found.total == 4


def test_a_name_of_any_length_fits_into_the_evidence():
    case = f'<testcase classname="a" name="{"x" * 9000}" />'
    (name,) = read_junit(report(case, 'errors="0" failures="0" skipped="0" tests="1"'), step="tests").passed
    assert len(name) == 500


@pytest.mark.parametrize("size", [0, 1, 60, 200, 400])
def test_a_report_that_is_cut_off_cannot_be_evaluated(size):
    refusal(report()[:size])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_billion_laughs_are_refused(encoding):
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{entities}]>'
    hostile = report("&l9;", head=bomb).decode().replace("utf-8", encoding).encode(encoding)
    assert "document type" in refusal(hostile).message


@pytest.mark.parametrize(
    "counts",
    [
        'errors="1" failures="0" skipped="1" tests="4"',
        'errors="0" failures="1" skipped="1" tests="4"',
        'errors="1" failures="1" skipped="0" tests="4"',
        'errors="1" failures="1" skipped="1" tests="5"',
        'errors="1" failures="1" skipped="1" tests="2"',
        'errors="1" failures="1" skipped="1" tests="four"',
        "",
    ],
)
def test_counts_that_the_cases_do_not_bear_out_cannot_be_evaluated(counts):
    assert "expected equal counts" in refusal(report(counts=counts)).message


def test_a_failure_whose_teardown_fails_too_counts_once():
    cases = (
        '<testcase classname="a" name="t"><failure>x</failure></testcase>'
        '<testcase classname="a" name="t"><error>y</error></testcase>'
    )
    found = read_junit(report(cases, 'errors="1" failures="1" skipped="0" tests="1"'), step="tests")
    assert (found.failure, found.error) == (["a::t"], ["a::t"])


@pytest.mark.parametrize("content", [b"<html/>", b"<testsuites/>", b"[]", b" " * (16 * 1024 * 1024 + 1)])
def test_anything_else_cannot_be_evaluated(content):
    refusal(content)


@given(st.binary(max_size=100), st.integers(min_value=0, max_value=500))
def test_no_damage_makes_a_report_of_passes(noise, place):
    whole = report()
    try:
        found = read_junit(whole[:place] + noise + whole[place + len(noise) :], step="tests")
    except CannotEvaluate:
        return
    assert found.failure
    assert found.error
