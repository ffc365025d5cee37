"""The ledger remembers with which evidence lists an image was promoted, for machines that never saw them."""

import json
from dataclasses import replace

import pytest

from pipeline.gate.gathering import read_image
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.promotion.promoting import promote
from pipeline.signing.identities import LOCAL_IDENTITY
from pipeline.store.interface import INDEX
from pipeline.store.referrers import fallback_tag
from tests.support import release


class Elsewhere:
    """A store that is no folder of this machine, for whoever asks what it is."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def attested_twice(stored):
    """Evidence with its list, and a second list after it; the second one's descriptor."""
    bundles = {name: Digest.of(bundle).hex for name, bundle in stored.attest(release.predicates()).items()}
    successor = release.evidence_list(
        {name: digest for name, digest in bundles.items() if name != "evidence-list"},
        sequence=2,
        previous=bundles["evidence-list"],
    )
    _, facts = read_image(stored.store, str(stored.image.digest))
    return stored.attach(stored.signer.world.sign(release.statement("evidence-list", successor, facts)))


def _promoted(stored, policy, ledgers=None):
    shared = Elsewhere(stored.store)
    changes = {"ledgers": ledgers} if ledgers else {}
    gate = stored.gate(policy, store=shared, repository=lambda _: shared, **changes)
    return gate, promote(gate, str(stored.image.digest), "development")


def _lists(promotion):
    return promotion.entry.predicate.lists


def _unlist(stored, referrer):
    tag = fallback_tag(stored.image.digest)
    index = json.loads(stored.store.manifest(stored.store.resolve(tag).digest))
    index["manifests"] = [one for one in index["manifests"] if one["digest"] != str(referrer.digest)]
    stored.store.put_manifest(canonical_json(index), INDEX, tag)


def _elsewhere(stored, tmp_path):
    """Another machine that trusts the same root."""
    (tmp_path / "runner" / "sigstore").mkdir(parents=True)
    (tmp_path / "runner" / "sigstore" / "trusted_root.json").write_bytes(stored.signer.trusted_root)
    return replace(stored, state=tmp_path / "runner")


def test_another_machine_is_told_that_the_newest_list_was_taken_away(stored, policy, attested_twice, tmp_path):
    gate, promotion = _promoted(stored, policy)
    assert _lists(promotion) == {f"local {LOCAL_IDENTITY}": 2}
    _unlist(stored, attested_twice)
    _, again = _promoted(_elsewhere(stored, tmp_path), policy, gate.ledgers)
    assert [finding.code for finding in again.judgement.refusals] == ["list.older-than-known"]
    assert "got sequence 1, expected at least 2" in again.judgement.refusals[0].message


def test_with_the_list_there_another_machine_finds_nothing_to_do(stored, policy, attested_twice, tmp_path):
    gate, _ = _promoted(stored, policy)
    _, again = _promoted(_elsewhere(stored, tmp_path), policy, gate.ledgers)
    assert (again.judgement.result, again.written) == ("PASSED", False)


def test_the_lists_of_a_folder_are_nobody_elses(stored, policy, attested_twice):
    assert _lists(promote(stored.gate(policy), str(stored.image.digest), "development")) == {}
