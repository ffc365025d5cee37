"""What memory, registry, tag and overlay know of the ledger, and two that write at once."""

import json
import threading
from dataclasses import replace

import pytest

from pipeline.gate.gathering import read_image
from pipeline.git import git
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.model.kinds import SHAPES, Kind
from pipeline.model.predicates import dump
from pipeline.model.statement import make_statement
from pipeline.promotion import recording
from pipeline.promotion.git_ledger import GitLedger
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.overlays import overlay_path
from pipeline.promotion.promoting import promote
from pipeline.store.layout import OciLayout
from pipeline.store.referrers import attach
from pipeline.store.transfer import copy
from tests.support import release
from tests.support.promotions import HERE
from tests.support.repositories import make_repository


def refused(ran, version="1.2", **changes):
    before, tag = ran.files(), ran.tag()
    with pytest.raises(Refused) as error:
        ran.promote(version, **changes)
    assert (ran.files(), ran.tag()) == (before, tag)
    return error.value


def test_tag_and_overlay_follow_the_entry(ran):
    ran.promote("1.2")
    assert ran.tag() == ran.images["1.2"]
    assert f"digest: {ran.images['1.2']}\n".encode() in ran.files()[overlay_path(HERE)]


def test_a_tag_that_was_moved_is_refused(ran):
    """Attack 37: point the environment's tag at something that was never promoted there."""
    ran.store.tag(HERE, ran.descriptor("1.2"))
    error = refused(ran)
    assert error.code == "promotion.moved"
    assert error.message.startswith("development: the tag development is not what was promoted (got ")
    ran.promote("1.1")  # what the fix says: what runs is set back
    assert ran.tag() == ran.images["1.1"]
    assert ran.promote("1.2").written


def test_an_overlay_that_was_edited_is_refused(ran):
    ledgers = LocalLedger(ran.state)
    for content, got in ((b"digest: sha256:" + b"f" * 64, "no digest"), (b"    digest: sha256:" + b"f" * 64, "f" * 12)):
        ledgers.write({overlay_path(HERE): content + b"\n"}, "")
        assert f"the overlay is not what was promoted (got {got}, expected" in refused(ran).message
    ran.promote("1.1")
    assert ran.promote("1.2").written


def test_a_tag_or_overlay_that_is_not_there_misleads_nobody(ran):
    (ran.state / "ledger" / overlay_path(HERE)).unlink()
    assert ran.promote("1.2").written


def test_a_tag_before_any_promotion_is_refused(ran, tmp_path):
    target = OciLayout(tmp_path / "target")
    copy(ran.store, ran.descriptor("1.3"), target, tag=HERE)
    (ran.state / "ledger" / f"{HERE}.jsonl").unlink()
    (ran.state / "memory.json").unlink()
    with pytest.raises(Refused, match=r"\(got [0-9a-f]{12}, expected nothing\)"):
        ran.promote("1.0", repository=lambda _: target)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_shorter_chain_is_refused_by_what_the_registry_holds(ran, kept):
    """Attack 45: cut the ledger short before somebody who has no memory of it."""
    lines = ran.files()[f"{HERE}.jsonl"].splitlines(keepends=True)
    LocalLedger(ran.state).write({f"{HERE}.jsonl": b"".join(lines[:kept])}, "")
    (ran.state / "memory.json").unlink()
    error = refused(ran)
    assert error.code == "ledger.older-than-known"
    assert "not the chain that its repository knows (got nothing as entry 2, expected" in error.message


def test_strangers_entries_on_an_image_say_nothing(ran):
    """Attack: attach entry 99 of one's own, so that nobody can promote any more."""
    last = ran.ledger().last_promotion.predicate
    forged = dump(last.model_copy(update={"sequence": 99}))
    statement = make_statement([("x", Digest(last.image))], SHAPES[Kind.PROMOTION].predicate_type, forged)
    bundle = ran.world.sign(statement, sub="https://evil.example")
    attach(ran.store, ran.descriptor("1.1"), bundle, ran.gate().now)
    assert ran.promote("1.2").written


def test_an_entry_written_otherwise_is_the_same_entry(ran):
    """Attack: attach an entry once more, with other spaces in it, so that nobody can promote any more."""
    line = ran.ledger().last_promotion.line
    again = json.dumps(json.loads(line), separators=(" , ", " : ")).encode()
    assert again != line
    attach(ran.store, ran.descriptor("1.1"), again, ran.gate().now)
    assert ran.promote("1.2").written


def test_image_and_evidence_are_copied_to_the_environments_repository(ran, tmp_path):
    target = OciLayout(tmp_path / "target")
    ran.promote("1.2", repository=lambda _: target)
    image = ran.digest("1.2")
    assert target.resolve(HERE).digest == image
    there = {one.digest for one in target.referrers(image)}
    assert {one.digest for one in ran.store.referrers(image)} == there


def test_what_the_copy_carries_is_judged_again(ran):
    """Attack: have evidence wait in the environment's repository that speaks against the image."""
    target = ran.target
    made = release.predicates()["tests"] | {"result": "FAILED"}
    copy(ran.store, ran.descriptor("1.2"), target)
    _, image = read_image(target, ran.images["1.2"])
    bundle = ran.world.sign(release.statement("tests", made, image))
    attach(target, target.resolve(ran.images["1.2"]), bundle, ran.gate().now)
    with pytest.raises(Refused) as error:
        ran.promote("1.2", repository=lambda _: target)
    assert error.value.code == "promotion.copy"
    assert "development: what its repository holds does not carry the image (got tests" in error.value.message
    assert ran.ran() == ["1.0", "1.1"]


def test_of_two_in_one_clone_one_waits_and_sees_the_others_entry(ran):
    """The second wants an older image than what the first has promoted meanwhile."""
    waited, told = threading.Event(), []

    def older():
        try:
            ran.promote("1.2", waiting=waited.set)
        except Refused as error:
            told.append(error.code)

    gate = ran.gate()
    with recording.opened_ledger(gate, HERE):
        thread = threading.Thread(target=older)
        thread.start()
        assert waited.wait(10)
    # The lock was the first one's; its promotion comes before the second gets on.
    thread.join(20)
    assert (told, ran.ran()) == ([], ["1.0", "1.1", "1.2"])
    with pytest.raises(Refused, match="is not newer"):
        ran.promote("1.1")


class Overtaking(GitLedger):
    """Lets somebody else's promotion go first, once, between decision and push."""

    def __init__(self, *arguments, other):
        super().__init__(*arguments)
        self.other = other

    def write(self, changes, message):
        if self.other:
            other, self.other = self.other, None
            other()
        super().write(changes, message)


@pytest.fixture
def team(ran, tmp_path):
    """Two machines with a ledger branch that holds what ran."""
    assert git(tmp_path, "init", "-q", "--bare", "remote.git").exit_code == 0
    made = []
    for name in ("one", "two"):
        clone = make_repository(tmp_path / name, {"file": name})
        assert git(clone, "remote", "add", "origin", str(tmp_path / "remote.git")).exit_code == 0
        made.append(clone)
    first = GitLedger(made[0], "origin", "ledger")
    first.refresh()
    first.write(ran.files(), "what ran")
    return made


def on_branch(ran, clone, **changes):
    return ran.gate(ledgers=GitLedger(clone, "origin", "ledger"), state=clone / ".gatehouse", **changes)


def ran_there(ran, clone, environment=HERE):
    with recording.opened_ledger(on_branch(ran, clone), environment) as ledger:
        return [one.version for one in ledger.promotions]


def test_two_machines_at_once_one_wins_and_the_other_is_told(ran, team):
    one, two = team

    def other():
        promote(on_branch(ran, two), ran.images["1.3"], HERE)

    slow = Overtaking(one, "origin", "ledger", other=other)
    with pytest.raises(Refused) as error:
        promote(replace(on_branch(ran, one), ledgers=slow), ran.images["1.2"], HERE)
    assert error.value.code == "ledger.overtaken"
    assert ran_there(ran, one) == ran_there(ran, two) == ["1.0", "1.1", "1.3"]
    with pytest.raises(Refused, match="is not newer"):
        promote(on_branch(ran, one), ran.images["1.2"], HERE)


def test_a_promotion_elsewhere_on_the_branch_is_no_reason_to_decide_anew(ran, team):
    one, two = team

    def other():
        promote(on_branch(ran, two), ran.images["1.0"], "laboratory")

    slow = Overtaking(one, "origin", "ledger", other=other)
    assert promote(replace(on_branch(ran, one), ledgers=slow), ran.images["1.2"], HERE).written
    assert ran_there(ran, two) == ["1.0", "1.1", "1.2"]
    assert ran_there(ran, one, "laboratory")[-1] == "1.0"
    shown = git(two, "show", f"refs/gatehouse/ledger/ledger:{overlay_path(HERE)}").stdout
    assert ran.images["1.2"].encode() in shown


def test_another_machines_ledger_is_remembered_apart_from_the_clones_own(ran, team):
    """A branch that does not hold what the clone's own ledger does is no shorter chain."""
    one, _ = team
    gate = replace(on_branch(ran, one), state=ran.state)
    with recording.opened_ledger(gate, HERE) as ledger:
        assert len(ledger.entries) == 2
    assert ran.promote("1.2").written
    with recording.opened_ledger(gate, HERE) as ledger:
        assert len(ledger.entries) == 2


def test_where_the_registry_fails_after_the_commit_point_the_same_command_completes(ran, monkeypatch):
    real = OciLayout.tag

    def down(store, name, descriptor):
        if name == HERE:
            raise CannotEvaluate("registry.unreachable", "registry: no answer (got nothing, expected one)", fix="wait")
        real(store, name, descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(OciLayout, "tag", down)
        with pytest.raises(CannotEvaluate):
            ran.promote("1.2")
    assert (ran.ran()[-1], ran.tag()) == ("1.2", ran.images["1.1"])
    assert not ran.promote("1.2").written
    assert ran.tag() == ran.images["1.2"]
