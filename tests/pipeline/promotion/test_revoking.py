"""Revoking: an entry of the ledger, after which nothing lets the image run there again."""

import pytest

from pipeline.gate.evidence import Memory
from pipeline.gate.gathering import gather, read_image
from pipeline.gate.judging import judge
from pipeline.gate.memory import recall
from pipeline.model.errors import Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import RevocationPredicate, dump
from pipeline.model.statement import make_statement
from pipeline.promotion.revoking import revoke
from pipeline.promotion.rolling_back import roll_back
from pipeline.promotion.telling import lines
from pipeline.store.referrers import attach
from tests.support.promotions import HERE, entries


def revoked(ran, version="1.0", environment=HERE, **changes):
    grant = ran.grant("revocation", version, reason="the build machine was not ours", environments=(environment,))
    return revoke(ran.gate(**changes), ran.digest(version), environment, [grant])


def judged(ran, version, memory=None):
    store = ran.store
    _, image = read_image(store, ran.images[version])
    evidence = gather(store, image, ran.gate().roots)
    known = recall(ran.state, store, image.digest) if memory is None else memory
    return judge(image, evidence, ran.policy, HERE, ran.gate().now, known)


def test_it_is_an_entry_like_any_other(ran):
    done = revoked(ran)
    assert (done.sequence, done.written, done.runs) == (3, True, False)
    ledger = ran.ledger()
    assert list(entries(ledger))[-1] == ("RevocationPredicate", 3)
    assert ledger.revoked == {ran.digest("1.0").hex: "the build machine was not ours"}
    assert (ran.ran(), ran.tag()) == (["1.0", "1.1"], ran.images["1.1"])


def test_again_changes_nothing_and_needs_no_grant(ran):
    revoked(ran)
    files = ran.files()
    again = revoke(ran.gate(), ran.digest("1.0"), HERE)
    assert (again.written, again.sequence, ran.files()) == (False, 3, files)


def test_a_ledger_that_was_cut_short_is_not_written_on(ran):
    """Attack: begin another chain while somebody hurries."""
    ledger = ran.state / "ledger" / f"{HERE}.jsonl"
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    (ran.state / "memory.json").unlink()
    before = ran.files()
    with pytest.raises(Refused) as error:
        revoke(ran.gate(), ran.digest("1.2"), HERE, [ran.grant("revocation", "1.2")])
    assert (error.value.code, ran.files()) == ("ledger.older-than-known", before)


def test_what_runs_still_is_said_so(ran):
    assert revoked(ran, "1.1").runs
    assert list(lines(ran.ledger()))[-1].endswith("runs and is revoked: roll back")


def test_without_a_grant_it_is_refused(ran):
    with pytest.raises(Refused) as error:
        revoke(ran.gate(), ran.digest("1.0"), HERE)
    assert error.value.code == "grant.missing"
    with pytest.raises(Refused, match="grant: for something else"):
        revoke(ran.gate(), ran.digest("1.0"), HERE, [ran.grant("rollback")])
    assert ran.ledger().revoked == {}


def test_no_rollback_to_it(ran):
    revoked(ran)
    with pytest.raises(Refused) as error:
        roll_back(ran.gate(), ran.digest("1.0"), HERE, lambda *_: [], [ran.grant()])
    assert error.value.code == "image.revoked"
    assert ran.ran() == ["1.0", "1.1"]


def test_no_promotion_of_it(ran):
    revoked(ran, "1.2")
    done = ran.promote("1.2")
    assert (done.entry, [one.code for one in done.judgement.refusals]) == (None, ["image.revoked"])
    assert "(got 'the build machine was not ours', expected no revocation)" in done.judgement.refusals[0].message
    assert ran.ran() == ["1.0", "1.1"]


def test_whoever_reads_the_images_evidence_refuses_it(ran):
    """Without ledger and memory: the entry is attached to the image too, and the verdict names it as an input."""
    revoked(ran)
    judgement = judged(ran, "1.0", Memory())
    assert [one.code for one in judgement.refusals] == ["image.revoked"]
    assert ran.ledger().entries[-1].digest in {one.digest for one in judgement.inputs}


def test_who_remembers_it_refuses_it_without_the_attached_entry(ran):
    """Attack: take the revocation off the image."""
    revoked(ran)
    assert judged(ran, "1.1").passed
    _, image = read_image(ran.store, ran.images["1.0"])
    attached = ran.ledger().entries[-1].digest
    evidence = [one for one in gather(ran.store, image, ran.gate().roots) if one.digest != attached]
    known = recall(ran.state, ran.store, image.digest)
    found = judge(image, evidence, ran.policy, HERE, ran.gate().now, known)
    assert [one.code for one in found.refusals] == ["image.revoked"]


def test_it_holds_in_its_environment_alone(ran):
    revoked(ran)
    store = ran.store
    _, image = read_image(store, ran.images["1.0"])
    evidence = gather(store, image, ran.gate().roots)
    known = recall(ran.state, store, image.digest)
    assert judge(image, evidence, ran.policy, "laboratory", ran.gate().now, known).passed


def test_a_strangers_revocation_stops_nobody(ran):
    """Attack: keep a release from running by attaching a revocation of one's own."""
    predicate = RevocationPredicate(
        environment=HERE,
        sequence=3,
        image=ran.digest("1.1").hex,
        reason="x",
        time="2026-11-20T10:00:00Z",
        requester="eve",
        grant="e" * 64,
    )
    statement = make_statement(
        [("noticeboard", ran.digest("1.1"))], SHAPES[Kind.REVOCATION].predicate_type, dump(predicate)
    )
    attach(ran.store, ran.descriptor("1.1"), ran.world.sign(statement, sub="https://evil.example"), ran.gate().now)
    assert judged(ran, "1.1").passed
    assert not ran.promote("1.1").written


def test_an_image_that_is_in_no_store_can_be_revoked(ran):
    ran.images["gone"] = f"sha256:{'f' * 64}"
    assert revoked(ran, "gone").written
    assert ran.ledger().revoked == {"f" * 64: "the build machine was not ours"}
