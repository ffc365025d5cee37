"""The chain: every change to it, anywhere, is noticed and named."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.gate.gathering import load_roots
from pipeline.gate.memory import recall_head, remember_ledger
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, GatehouseError, Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.statement import make_statement
from pipeline.promotion.ledger import Ledger, check_known, head_of, ledger_bytes, parse_ledger, read_ledger
from pipeline.promotion.ledger_store import LocalLedger

IMAGES = ["1" * 64, "2" * 64, "3" * 64]


def line(world, image, sequence, previous, *, subject=None, environment="development", **claims):
    predicate = {
        "environment": environment,
        "sequence": sequence,
        **({"previous": previous} if previous else {}),
        "image": image,
        "version": "1.0",
        "commit": "a" * 40,
        "verdict": "d" * 64,
        "time": "2026-11-20T10:00:00Z",
        "requester": "somebody",
    }
    subjects = [("noticeboard", Digest(subject or image))]
    return world.sign(make_statement(subjects, SHAPES[Kind.PROMOTION].predicate_type, predicate), **claims)


@pytest.fixture(scope="module")
def lines(rekor_v1):
    """A good chain of three."""
    made, previous = [], None
    for sequence, image in enumerate(IMAGES, 1):
        made.append(line(rekor_v1, image, sequence, previous))
        previous = hashlib.sha256(made[-1]).hexdigest()
    return made


@pytest.fixture
def parse(stored, policy):
    roots = load_roots(stored.state, stored.policies)

    def call(lines) -> Ledger:
        content = b"".join(one + b"\n" for one in lines)
        return parse_ledger(content, policy.environment("development"), policy, roots)

    return call


def refused(parse, lines) -> Refused:
    with pytest.raises(Refused) as error:
        parse(lines)
    return error.value


def test_a_good_chain_is_read_oldest_first(parse, lines):
    ledger = parse(lines)
    assert [one.predicate.image for one in ledger.entries] == IMAGES
    assert ledger.head is not None
    assert (ledger.head.predicate.sequence, ledger.holds(IMAGES[0]), ledger.holds("9" * 64)) == (3, True, False)


@pytest.fixture
def read(stored, policy):
    """The ledger as it is in the state folder, held against the memory, as every promotion does."""

    def call() -> Ledger:
        roots, known = load_roots(stored.state, stored.policies), recall_head(stored.state, "", "development")
        ledger = read_ledger(LocalLedger(stored.state), "development", policy, roots, known)
        check_known(ledger, known)
        return ledger

    return call


@pytest.fixture
def write(stored, policy):
    def call(content: bytes, *, known: Ledger | None = None):
        LocalLedger(stored.state).write({"development.jsonl": content}, "")
        if known:
            remember_ledger(
                stored.state, "", "development", head_of(known, policy), revoked=known.revoked, lists=known.lists
            )

    return call


def test_no_file_is_an_empty_ledger(read):
    ledger = read()
    assert (ledger.entries, ledger.head, ledger.running) == ((), None, None)


def test_what_was_written_is_read_again(read, write, parse, lines):
    write(ledger_bytes(parse(lines)))
    assert read() == parse(lines)


def test_a_line_cut_out_breaks_the_chain_there(parse, lines):
    error = refused(parse, [lines[0], lines[2]])
    assert error.code == "ledger.broken"
    assert error.message.startswith("ledger development: chain broken at entry 2 (got development 3 after ")


def test_lines_that_change_places_break_the_chain(parse, lines):
    assert "chain broken at entry 1" in refused(parse, [lines[1], lines[0]]).message


def test_a_line_that_is_there_twice_breaks_the_chain(parse, lines):
    assert "chain broken at entry 2" in refused(parse, [lines[0], lines[0]]).message


def test_a_fork_breaks_the_chain(parse, lines, rekor_v1):
    fork = line(rekor_v1, IMAGES[2], 3, hashlib.sha256(lines[0]).hexdigest())
    assert "chain broken at entry 3" in refused(parse, [*lines[:2], fork]).message


def test_an_edited_line_is_not_signed(parse, lines):
    error = refused(parse, [lines[0], lines[1].replace(b'"sig":"ME', b'"sig":"MF'), lines[2]])
    assert error.code == "ledger.signature"
    assert error.message.startswith("ledger development: entry 2 not signed by who may promote (got ")


def test_an_entry_of_another_environment_breaks_the_chain(parse, rekor_v1):
    other = line(rekor_v1, IMAGES[0], 1, None, environment="production")
    assert "got production 1 after nothing, expected development 1 after nothing" in refused(parse, [other]).message


def test_an_entry_about_another_artifact_than_its_image_is_none(parse, rekor_v1):
    other = line(rekor_v1, IMAGES[0], 1, None, subject="9" * 64)
    error = refused(parse, [other])
    assert (error.code, f"about another image (got {'9' * 12}, expected {'1' * 12})" in error.message) == (
        "ledger.signature",
        True,
    )


def test_an_entry_by_who_may_not_promote_is_refused(parse, rekor_v1):
    other = line(rekor_v1, IMAGES[0], 1, None, sub="https://evil.example")
    error = refused(parse, [other])
    assert (error.code, "identity (got https://evil.example" in error.message) == ("ledger.signature", True)


def test_a_signed_statement_of_another_kind_is_no_entry(parse, rekor_v1):
    other = rekor_v1.sign(make_statement([("x", Digest(IMAGES[0]))], SHAPES[Kind.SIGNATURE].predicate_type, {}))
    error = refused(parse, [other])
    assert (error.code, "statement: no entry" in error.message) == ("ledger.signature", True)


def test_an_entry_is_held_against_the_environment_that_it_is_for(stored, policy, lines):
    """What the local signer may write into development's ledger, it may not write into production's."""
    roots = load_roots(stored.state, stored.policies)
    with pytest.raises(Refused, match=r"trust root \(got local, expected public\)"):
        parse_ledger(lines[0] + b"\n", policy.environment("production"), policy, roots)


def test_a_file_that_is_cut_off_is_broken(read, write, lines):
    write(b"".join(one + b"\n" for one in lines)[:-20])
    with pytest.raises(Refused, match=r"chain broken at entry 3 \(got a line that is cut off") as error:
        read()
    assert error.value.code == "ledger.broken"


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_chain_that_was_cut_short_is_refused_by_who_saw_the_longer_one(read, write, parse, lines, kept):
    write(b"".join(one + b"\n" for one in lines[:kept]), known=parse(lines))
    with pytest.raises(Refused, match=r"that this clone's memory knows \(got nothing as entry 3, expected ") as error:
        read()
    assert error.value.code == "ledger.older-than-known"


def test_a_chain_that_was_begun_anew_is_refused_by_who_saw_the_other(read, write, parse, lines, rekor_v1):
    write(line(rekor_v1, IMAGES[1], 1, None) + b"\n", known=parse(lines[:1]))
    with pytest.raises(Refused, match="not the chain that"):
        read()


def test_what_was_verified_before_is_verified_by_its_hashes(read, write, parse, lines, monkeypatch):
    from pipeline.gate import verification  # noqa: PLC0415

    known = parse(lines)
    write(ledger_bytes(known), known=known)
    monkeypatch.delattr(verification, "verify_bundle")
    assert read() == known


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "edit", [lambda line: line.replace(b'"sig":"ME', b'"sig":"MF'), lambda _: b"[]", lambda _: b""]
)
def test_an_entry_that_was_edited_since_it_was_verified_is_noticed(read, write, parse, lines, number, edit):
    """Attack: edit what the verifier does not verify again, also so that it says the same."""
    edited = [edit(line) if at == number else line for at, line in enumerate(lines)]
    assert edited != lines
    write(b"".join(one + b"\n" for one in edited), known=parse(lines))
    with pytest.raises(Refused) as error:
        read()
    assert error.value.code in ("ledger.broken", "ledger.signature", "ledger.older-than-known")


def test_another_policy_verifies_everything_anew(stored, policy, parse, lines):
    """Whoever may promote today counts, not who might when it was read last."""
    known = head_of(parse(lines), policy)
    here = policy.environment("development")
    kinds = {**here.signers.kinds, Kind.PROMOTION: ("promote",)}
    strict = here.model_copy(update={"signers": here.signers.model_copy(update={"kinds": kinds})})
    changed = replace(policy, digest="f" * 64, environments=(strict, *policy.environments[1:]))
    content = b"".join(one + b"\n" for one in lines)
    with pytest.raises(Refused, match="entry 1 not signed by who may promote"):
        parse_ledger(content, strict, changed, load_roots(stored.state, stored.policies), known)


def test_a_folder_in_its_place_cannot_be_read(stored, read):
    (stored.state / "ledger" / "development.jsonl").mkdir(parents=True)
    with pytest.raises(CannotEvaluate) as error:
        read()
    assert error.value.code == "ledger.unreadable"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=60), at=st.floats(0, 1))
def test_bytes_written_over_a_ledger_are_noticed_or_change_nothing(stored, policy, lines, noise, at):
    content = b"".join(one + b"\n" for one in lines)
    start = int(at * len(content))
    changed = content[:start] + noise + content[start + len(noise) :]
    roots = load_roots(stored.state, stored.policies)
    try:
        ledger = parse_ledger(changed, policy.environment("development"), policy, roots)
    except GatehouseError:
        return
    assert [one.predicate.image for one in ledger.entries] == IMAGES[: len(ledger.entries)]
