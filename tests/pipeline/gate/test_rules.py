"""CEL rules: what compiles, what allows, and what is said of what is refused. policies/tests tests the shipped ones."""

import pytest

from pipeline.gate.rules import Rule, View, compile_rule
from pipeline.model.documents import validate
from pipeline.model.errors import CannotEvaluate
from tests.support import release


def rule(allow: str, got: str = '"x"', expected: str = '"y"') -> Rule:
    written = {
        "id": "tests.example",
        "title": "An example of a rule",
        "kinds": ["tests"],
        "allow": allow,
        "got": got,
        "expected": expected,
        "message": "tests: example (got {got}, expected {expected})",
        "fix": "do otherwise",
    }
    return validate(Rule, written, what="rule")


def seen(predicate):
    return View(
        predicate=predicate,
        limits={"coverage_percent": 80},
        deadlines={"high": 7},
        signer={},
        environment="development",
        verified=release.SIGNED,
        now=release.NOW,
    )


def message(allow, predicate, **shown):
    refusal = compile_rule(rule(allow, **shown)).refusal(seen(predicate))
    return refusal and refusal.message


def test_exactly_true_allows():
    assert message("predicate.ok == true", {"ok": True}) is None


@pytest.mark.parametrize(
    ("allow", "predicate"),
    [
        ("predicate.ok == true", {"ok": False}),
        ("predicate.ok == true", {}),  # NOTE: evaluates to an ERROR whose value is a truthy string
        ("predicate.number / 0 == 1", {"number": 1}),
        ("predicate.number > 1", {"number": "many"}),
        ("predicate.number > 1", {"number": None}),
        ("predicate.number > 1", {"number": 2**70}),
        ("predicate.text == predicate.text", {"text": "\ud800"}),  # raises instead
        ("predicate.items.all(a, predicate.items.all(b, a + b >= 0))", {"items": list(range(3000))}),  # raises: budget
        ('timestamp(predicate.text) < now || timestamp("nonsense") < now', {"text": "nonsense"}),
    ],
)
def test_false_an_error_and_a_missing_field_refuse_alike(allow, predicate):
    assert message(allow, predicate) == "tests: example (got x, expected y)"


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        ("predicate.", "1:11: Syntax error"),
        ("coverage >= 90", "undeclared reference to 'coverage'"),
        ("1 == 1.0", "found no matching overload"),
        ("predicate.ok", "no yes or no (got type DYN, expected BOOL)"),
        ('"true"', "no yes or no (got type STRING, expected BOOL)"),
        ("dyn(true)", "no yes or no (got type DYN, expected BOOL)"),
    ],
)
def test_what_is_no_comparison_is_refused_when_loaded(allow, said):
    with pytest.raises(CannotEvaluate) as error:
        compile_rule(rule(allow))
    assert error.value.code == "policy.expression"
    assert said in error.value.message


def test_what_shows_the_reader_is_compiled_when_loaded_too():
    with pytest.raises(CannotEvaluate, match=r"rule tests\.example: got does not compile"):
        compile_rule(rule("true", got="nonsense"))


@pytest.mark.parametrize(
    ("got", "shown"),
    [
        ("predicate.list", "a, b, c, d, e and 2 more"),
        ("predicate.empty", "none"),
        ("predicate.map.filter(key, true)", "a, b, c, d, e and 2 more"),
        ("predicate.number", "97.5"),
        ("predicate.truth", "true"),
        ("predicate.text", "a?[31mb"),
        ("predicate.missing", "no value: NOT_FOUND: Key not found in map : ?missing?".replace("?", '"')),
    ],
)
def test_values_are_shown_in_one_printable_line(got, shown):
    predicate = {
        "map": dict.fromkeys("gfedcba", 1),
        "list": list("gabcdef"),
        "empty": [],
        "number": 97.5,
        "truth": True,
        "text": "a\x1b[31mb",
    }
    assert message("false", predicate, got=got) == f"tests: example (got {shown}, expected y)"
