"""Promotion judges again, signs what it found, and writes one entry; what it refuses leaves the ledger as it was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.gate.environments import Succession
from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.model.digests import Digest
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.promotion.ledger import read_ledger
from pipeline.promotion.ledger_store import LocalLedger
from pipeline.promotion.promoting import VERSION_LABEL, promote
from tests.support import release
from tests.support.stored import Stored


@pytest.fixture
def good(stored):
    stored.attest(release.predicates())
    return stored


def promoted(stored, policy, environment="development", now=None):
    return promote(stored.gate(policy, now), str(stored.image.digest), environment)


def attached(stored, kind):
    _, facts = read_image(stored.store, str(stored.image.digest))
    evidence = gather(stored.store, facts, load_roots(stored.state, stored.policies))
    return [one for one in evidence if one.kind == kind]


def ledger(stored, policy, environment="development"):
    return read_ledger(LocalLedger(stored.state), environment, policy, load_roots(stored.state, stored.policies))


def ledger_path(state, environment):
    return state / "ledger" / f"{environment}.jsonl"


def second(stored, policy):
    """Another image in the same store and state folder, attested."""
    other = Stored.make(stored.state.parent, stored.signer.world, stored.policies.parent, content=b"other")
    other.attest(release.predicates())
    return other


def test_a_good_release_is_promoted_with_a_signed_verdict_and_an_entry(good, policy):
    promotion = promoted(good, policy)
    assert (promotion.judgement.result, promotion.written, promotion.signed) == ("PASSED", True, 2)
    entry = ledger(good, policy).head
    assert entry is not None
    assert (entry.predicate.sequence, entry.predicate.previous, entry.predicate.version) == (1, None, "1.0")
    assert (entry.predicate.image, entry.predicate.commit) == (good.image.digest.hex, release.COMMIT)
    (verdict,) = attached(good, Kind.VERDICT)
    assert entry.predicate.verdict == verdict.digest
    assert verdict.predicate.verification_result == "PASSED"
    assert [one.digest for one in attached(good, Kind.PROMOTION)] == [entry.digest]


def test_a_strangers_provenance_puts_no_commit_into_the_ledger(good, policy):
    """Attack: attach provenance of another commit until one comes first in the order of digests."""
    own = min(one.digest for one in attached(good, Kind.PROVENANCE))
    predicate = release.predicates()["provenance"]
    predicate["gatehouse_context"] = release.context(commit="e" * 40)
    _, facts = read_image(good.store, str(good.image.digest))
    statement = release.statement("provenance", predicate, facts)
    for _ in range(500):
        bundle = good.signer.world.sign(statement, sub="https://evil.example")
        if Digest.of(bundle).hex < own:
            break
    good.attach(bundle)
    assert next(one.digest for one in attached(good, Kind.PROVENANCE)) == Digest.of(bundle).hex
    entry = promoted(good, policy).entry
    assert entry is not None
    assert entry.predicate.commit == release.COMMIT


def test_a_head_that_a_crash_kept_from_being_remembered_is_remembered_by_the_next_promotion(good, policy):
    """Attack: cut off the entry whose promotion ended before the memory was written."""
    promoted(good, policy)
    (good.state / "memory.json").unlink()
    promoted(good, policy)
    ledger_path(good.state, "development").unlink()
    with pytest.raises(Refused) as error:
        promoted(good, policy)
    assert error.value.code == "ledger.older-than-known"


def test_the_same_digest_again_changes_nothing_and_signs_nothing(good, policy):
    promoted(good, policy)
    before = ledger_path(good.state, "development").read_bytes(), good.signer.signed
    again = promoted(good, policy)
    assert (again.written, again.signed) == (False, 0)
    assert (ledger_path(good.state, "development").read_bytes(), good.signer.signed) == before
    assert len(attached(good, Kind.VERDICT)) == len(attached(good, Kind.PROMOTION)) == 1


def test_after_twenty_hours_the_verdict_is_signed_anew_and_the_ledger_stays(good, policy):
    promoted(good, policy)
    later = promoted(good, policy, now=datetime.now(UTC) + timedelta(hours=21))
    assert (later.written, later.signed) == (False, 1)
    assert len(attached(good, Kind.VERDICT)) == 2


def test_a_refused_image_gets_a_signed_failed_verdict_and_no_entry(stored, policy):
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    stored.attest(predicates)
    promotion = promoted(stored, policy)
    assert (promotion.entry, promotion.written) == (None, False)
    (verdict,) = attached(stored, Kind.VERDICT)
    assert (verdict.predicate.verification_result, verdict.predicate.refusals) == ("FAILED", ["tests.result"])
    assert not ledger_path(stored.state, "development").exists()
    assert attached(stored, Kind.PROMOTION) == []


def test_refused_again_is_not_signed_again(stored, policy):
    predicates = release.predicates()
    predicates["tests"]["result"] = "FAILED"
    stored.attest(predicates)
    promoted(stored, policy)
    assert promoted(stored, policy).signed == 0


def test_a_second_image_follows_the_first_in_the_chain(good, policy):
    first = promoted(good, policy).entry
    other = second(good, policy)
    entry = promoted(other, policy).entry
    assert (entry.predicate.sequence, entry.predicate.previous) == (2, first.digest)
    assert [one.predicate.image for one in ledger(good, policy).entries] == [
        good.image.digest.hex,
        other.image.digest.hex,
    ]


def test_staging_before_development_is_refused(good, policy):
    with pytest.raises(Refused) as error:
        promoted(good, policy, "staging")
    assert (error.value.code, error.value.message) == (
        "promotion.skipped",
        f"staging: {good.image.digest} was not promoted to development (got no entry in its ledger, expected one)",
    )
    assert good.signer.signed == 0


def test_production_after_development_alone_is_refused(good, policy):
    promoted(good, policy)
    with pytest.raises(Refused, match="was not promoted to staging"):
        promoted(good, policy, "production")


def _in_two_steps(policy):
    """The shipped policy with an environment before development, so that development is not the first."""
    first = policy.environments[0]
    return replace(
        policy,
        environments=(first.model_copy(update={"name": "laboratory"}), *policy.environments),
        succession=Succession(unordered=("laboratory",)),
    )


def test_past_the_first_environment_another_image_has_to_be_newer(good, policy):
    """Attack: promote an older signed release again, whose holes are known."""
    both = _in_two_steps(policy)
    promoted(good, both, "laboratory")
    promoted(good, both)
    labels = {VERSION_LABEL: "0.9"}
    other = Stored.make(good.state.parent, good.signer.world, good.policies.parent, content=b"other", labels=labels)
    other.attest(release.predicates())
    promoted(other, both, "laboratory")
    signed = good.signer.signed
    with pytest.raises(Refused) as error:
        promoted(other, both)
    assert error.value.code == "promotion.not-newer"
    assert len(ledger(good, both).entries) == 1
    assert good.signer.signed == signed
    assert good.store.resolve("development").digest == good.image.digest
    assert not promoted(good, both).written


def test_an_image_that_names_no_version_is_refused(tmp_path, rekor_v1, root, policy):
    stored = Stored.make(tmp_path, rekor_v1, root, labels={"other": "label"})
    stored.attest(release.predicates())
    with pytest.raises(Refused) as error:
        promoted(stored, policy)
    assert error.value.code == "promotion.unversioned"
    assert not ledger_path(stored.state, "development").exists()


def test_a_stored_verdict_is_never_an_input(good, policy):
    """A PASSED verdict from before does not carry an image whose evidence was taken away since."""
    promoted(good, policy)
    strict = replace(policy, rules=tuple(policy.rules), environments=_asking_for_source(policy))
    again = promoted(good, strict)
    assert [one.code for one in again.judgement.refusals] == ["evidence.missing"]
    assert again.entry is None


def _asking_for_source(policy):
    first, *others = policy.environments
    return (first.model_copy(update={"required": (*first.required, Kind.SOURCE)}), *others)


def test_an_entry_by_who_may_not_promote_is_not_written(good, policy):
    good.signer.claims = {"sub": "https://evil.example"}
    with pytest.raises(Refused) as error:
        promoted(good, policy)
    assert error.value.code == "ledger.signature"
    assert (
        "identity (got https://evil.example, expected https://local.gatehouse.invalid/developer)" in error.value.message
    )
    assert not ledger_path(good.state, "development").exists()
