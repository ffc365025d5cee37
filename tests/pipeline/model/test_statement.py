"""Statements: subjects, predicate type, and the kind that they make."""

import json

import pytest

from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import LISTED, SHAPES, TEST_RESULT, Kind, kind_of
from pipeline.model.statement import make_statement, parse_statement

IMAGE = Digest.of(b"image")


def test_a_statement_reads_back():
    statement = parse_statement(make_statement([("app", IMAGE)], SHAPES[Kind.SIGNATURE].predicate_type, {}))
    assert statement.digests() == [IMAGE]
    assert statement.kind is Kind.SIGNATURE


@pytest.mark.parametrize("kind", [kind for kind, shape in SHAPES.items() if shape.configuration])
def test_test_results_are_told_apart_by_their_first_configuration(kind):
    assert kind_of(TEST_RESULT, {"configuration": [{"name": SHAPES[kind].configuration}]}) is kind


@pytest.mark.parametrize("predicate", [{}, {"configuration": []}, {"configuration": [{}]}, {"configuration": 3}, None])
def test_a_test_result_without_a_name_is_of_no_kind(predicate):
    assert kind_of(TEST_RESULT, predicate) is None


def test_an_unknown_predicate_type_is_of_no_kind():
    assert kind_of("https://example.com/other", {}) is None


def test_what_the_gate_and_people_write_is_not_in_the_list():
    assert {Kind.VERDICT, Kind.PROMOTION, Kind.GRANT, Kind.REVOCATION, Kind.EVIDENCE_LIST}.isdisjoint(LISTED)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1"),
        ("subject", []),
        ("subject", [{"name": "app", "digest": {"sha1": "0" * 40}}]),
        ("subject", [{"name": "app", "digest": {"sha256": IMAGE.hex, "sha512": "0"}}]),
        ("predicate", []),
        ("predicateType", None),
        ("extra", 1),
    ],
)
def test_a_statement_of_another_shape_is_refused(field, value):
    content = json.loads(make_statement([("app", IMAGE)], "t", {})) | {field: value}
    with pytest.raises(CannotEvaluate, match="statement: not of the expected shape"):
        parse_statement(json.dumps(content).encode())
