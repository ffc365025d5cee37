"""A ledger that somebody else can write to: read whole, or refused with the number of the entry."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate.memory import recall, recall_head
from pipeline.model.digests import Digest
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import parse_predicate
from pipeline.model.statement import make_statement
from pipeline.promotion.ledger import parse_ledger
from tests.support.fuzzing import changed, fuzzed, nothing_written, only_documented, overwritten

IMAGES = ["1" * 64, "2" * 64]
PROMOTION = {
    "environment": "development",
    "sequence": 1,
    "image": IMAGES[0],
    "version": "1.0",
    "commit": "a" * 40,
    "verdict": "d" * 64,
    "time": "2026-11-20T10:00:00Z",
    "requester": "somebody",
}


@pytest.fixture(scope="module")
def lines(rekor_v1) -> list[bytes]:
    """A good chain of two."""
    made: list[bytes] = []
    for sequence, image in enumerate(IMAGES, 1):
        previous = {"previous": hashlib.sha256(made[-1]).hexdigest()} if made else {}
        predicate = {**PROMOTION, "sequence": sequence, "image": image, **previous}
        statement = make_statement([("app", Digest(image))], SHAPES[Kind.PROMOTION].predicate_type, predicate)
        made.append(rekor_v1.sign(statement))
    return made


@pytest.fixture(scope="module")
def read(policy, roots):
    """Reads the bytes of a ledger; what it accepts is a beginning of the good chain."""

    def call(content: bytes) -> None:
        with only_documented(), nothing_written():
            ledger = parse_ledger(content, policy.environment("development"), policy, roots)
            assert [entry.predicate.image for entry in ledger.entries] == IMAGES[: len(ledger.entries)]

    return call


def _content(lines) -> bytes:
    return b"".join(one + b"\n" for one in lines)


def test_the_good_chain_is_read(policy, roots, lines):
    assert len(parse_ledger(_content(lines), policy.environment("development"), policy, roots).entries) == 2


@fuzzed
@given(data=st.data())
def test_a_ledger_with_other_bytes(read, lines, data):
    read(data.draw(overwritten(_content(lines))))


@fuzzed
@given(data=st.data(), number=st.integers(0, 1))
def test_an_entry_with_other_fields(read, lines, data, number):
    entry = json.dumps(data.draw(changed(json.loads(lines[number])))).encode()
    read(_content([entry if place == number else line for place, line in enumerate(lines)]))


@fuzzed
@given(data=st.data())
def test_entries_in_any_order_and_number(read, lines, data):
    read(_content(data.draw(st.lists(st.sampled_from([*lines, b"", b"{}", b"[]"]), max_size=5))))


@fuzzed
@given(data=st.data())
def test_what_a_signed_entry_says(data):
    predicate = data.draw(changed(PROMOTION))
    with only_documented(), nothing_written():
        parse_predicate(Kind.PROMOTION, predicate)


MEMORY = {
    "sequences": {"store": {"1" * 64: {"local https://local.gatehouse.invalid/developer": 2}}},
    "heads": {"development": {"sequence": 2, "digest": "2" * 64}},
    "revoked": {"development": {"1" * 64: "leaked"}},
    "lists": {"1" * 64: {"local https://local.gatehouse.invalid/developer": 2}},
}


@fuzzed
@given(data=st.data())
def test_what_the_gate_remembered(stored, tmp_path_factory, data):
    state = tmp_path_factory.getbasetemp() / "memory"
    state.mkdir(exist_ok=True)
    (state / "memory.json").write_text(json.dumps(data.draw(changed(MEMORY))))
    with only_documented(), nothing_written():
        recall(state, stored.store, stored.image.digest)
        recall_head(state, "", "development")
