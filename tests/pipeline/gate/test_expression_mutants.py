"""Mistakes in expressions: each operator, number and text, and each side of ``&&`` and ``||``."""

import pytest

from pipeline.gate.expression_mutants import mutants


@pytest.mark.parametrize(
    ("expression", "some"),
    [
        ("a >= 3", ["a > 3", "a < 3", "a >= (3 + 1)", "a >= (3 - 1)"]),
        ('a == "b"', ['a != "b"', 'a == "b~"']),
        ("a == 'b'", ["a != 'b'", "a == 'b~'"]),
        ("!a", ["a"]),
        ("a != true", ["a == true", "a != false"]),
        ("a.all(b, b.c)", ["a.exists(b, b.c)"]),
        (
            "a && b",
            ["a || b", "true && b", "false && b", "a && true", "a && false"],
        ),
    ],
)
def test_each_mistake_is_made_once(expression, some):
    assert sorted(mutants(expression)) == sorted(some)


@pytest.mark.parametrize(
    ("expression", "mutant"),
    [
        ("a || b && c", "a || true && c"),
        ("a || b && c", "true || b && c"),
        ("a || b && c", "a || true"),
        ("f(a, b && c)", "f(a, true && c)"),
        ("x ? a && b : c", "x ? a && false : c"),
        ("a && (b || c) && d", "a && false && d"),
        ("a && (b || c) && d", "a && (b || true) && d"),
        ('a && b == "x) && ("', "a && true"),
        ("a &&\n  b // why && not\n", "a &&\n  true"),
    ],
)
def test_an_operand_is_all_that_binds_to_it(expression, mutant):
    assert mutant in mutants(expression)


def test_what_stands_in_a_text_is_left_alone():
    assert list(mutants('"a && b > 3"')) == ['"a && b > 3~"']
