"""Going back: with somebody else's grant, against today's advisories, never to what was revoked."""

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from pipeline.gate.judgement import Finding
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.model.predicates import PromotionPredicate
from pipeline.promotion.granting import attach_grant
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.rolling_back import roll_back
from pipeline.signing.identities import LOCAL_IDENTITY
from tests.support.promotions import HERE


def nothing_new(*_):
    """Advisories that know nothing."""
    return []


def back(ran, *grants, version="1.0", today=nothing_new, **changes):
    return roll_back(ran.gate(**changes), ran.digest(version), HERE, today, grants)


def refused(ran, *grants, **changes):
    """The refusal, after which everything is as it was."""
    before, tag = ran.files(), ran.tag()
    with pytest.raises(Refused) as error:
        back(ran, *grants, **changes)
    assert (ran.files(), ran.tag(), ran.ran()) == (before, tag, ["1.0", "1.1"])
    return error.value


def test_a_granted_rollback_is_an_entry_like_any_other(ran):
    bundle = ran.grant()
    done = back(ran, bundle)
    assert (done.written, ran.ran(), ran.tag()) == (True, ["1.0", "1.1", "1.0"], ran.images["1.0"])
    entry = ran.ledger().last_promotion.predicate
    assert isinstance(entry, PromotionPredicate)
    statement = base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])
    assert (entry.sequence, entry.grant) == (3, hashlib.sha256(statement).hexdigest())
    assert (entry.reason, entry.requester) == ("1.1 loses messages", LOCAL_IDENTITY)
    assert ran.files()[f"grants/{entry.grant}.json"] == bundle + b"\n"
    assert ran.images["1.0"].encode() in ran.files()[f"overlays/{HERE}/kustomization.yaml"]


def test_a_grant_on_the_image_is_found_there(ran):
    attach_grant(ran.gate(), ran.digest("1.0"), ran.grant())
    assert back(ran).written


def test_again_changes_nothing(ran):
    back(ran, ran.grant())
    files = ran.files()
    again = back(ran)
    assert (again.written, ran.files(), ran.tag()) == (False, files, ran.images["1.0"])


def test_forward_again_by_promotion(ran):
    back(ran, ran.grant())
    assert ran.promote("1.1").written
    assert ran.ran() == ["1.0", "1.1", "1.0", "1.1"]


def test_without_a_grant_it_is_refused(ran):
    error = refused(ran)
    assert error.code == "grant.missing"
    assert error.message.startswith("rollback of ")
    assert f"expected one for {LOCAL_IDENTITY})" in error.message
    assert "scripts/gatehouse grant rollback development --image sha256:" in error.fix


def test_a_grant_counts_once(ran):
    """Attack: keep a grant, and use it again after the next release."""
    bundle = ran.grant()
    back(ran, bundle)
    ran.promote("1.1")
    with pytest.raises(Refused) as error:
        back(ran, bundle)
    assert error.value.code == "grant.used"
    assert ran.ran() == ["1.0", "1.1", "1.0", "1.1"]


def test_a_grant_written_otherwise_is_the_same_grant(ran):
    """Attack: the signature is over the statement, not over the JSON around it, which anybody may write anew."""
    bundle = ran.grant()
    back(ran, bundle)
    ran.promote("1.1")
    again = json.dumps(json.loads(bundle), separators=(" , ", " : ")).encode()
    assert again != bundle
    with pytest.raises(Refused) as error:
        back(ran, again)
    assert error.value.code == "grant.used"
    assert ran.ran() == ["1.0", "1.1", "1.0", "1.1"]


def test_a_grant_that_does_not_count_changes_nothing(ran):
    assert refused(ran, ran.grant(by="eve")).code == "grant.signer"
    assert refused(ran, ran.grant(requester="rita@example.org"), requester="rita@example.org").code == "grant.self"


def test_what_never_ran_is_no_target(ran):
    error = refused(ran, ran.grant(version="1.2"), version="1.2")
    assert error.code == "rollback.unknown"
    assert "never ran there (got no entry in its ledger, expected one of 1.0 (" in error.message


def test_todays_advisories_refuse_what_was_fine_when_it_ran(ran):
    """Attack 44: roll back to a release whose hole became known since."""
    today = Finding(
        code="vulnerabilities.deadline",
        message="vulnerabilities: past its deadline",
        fix="x",
        kind=Kind.VULNERABILITIES,
    )
    before = ran.files()
    done = back(ran, ran.grant(), today=lambda *_: [today])
    assert (done.entry, done.judgement.result) == (None, "FAILED")
    assert done.judgement.refusals == (today,)
    assert (ran.files(), ran.tag()) == (before, ran.images["1.1"])


def test_the_whole_of_its_evidence_is_judged_again(ran):
    """By today's policy, which asks for more than it did when the image ran."""
    more = tuple(one.model_copy(update={"required": (*one.required, Kind.SOURCE)}) for one in ran.policy.environments)
    bundle, ran.policy = ran.grant(), replace(ran.policy, environments=more)
    done = back(ran, bundle)
    assert (done.entry, [one.code for one in done.judgement.refusals]) == (None, ["evidence.missing"])
    assert ran.ran() == ["1.0", "1.1"]


def test_a_tag_that_was_moved_keeps_nobody_from_going_back(ran):
    ran.store.tag(HERE, ran.descriptor("1.3"))
    assert back(ran, ran.grant()).written
    assert ran.tag() == ran.images["1.0"]


def test_a_shorter_ledger_keeps_everybody_from_going_back(ran):
    """Attack: cut off the newest entry, so that another one runs."""
    lines = ran.files()[f"{HERE}.jsonl"].splitlines(keepends=True)
    LocalLedger(ran.state).write({f"{HERE}.jsonl": lines[0]}, "")
    with pytest.raises(Refused) as error:
        back(ran, ran.grant())
    assert error.value.code == "ledger.older-than-known"
