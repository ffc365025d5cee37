"""From a store to a judgement: the image resolved once, every bundle read, and nothing forgotten."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.gate.evidence import Flaw, Piece
from pipeline.gate.gathering import gather, load_roots, read_image
from pipeline.gate.memory import recall, remember
from pipeline.gate.verify_command import verify_image
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.store.layout import OciLayout
from tests.support import release
from tests.support.signing import world
from tests.support.stored import Stored


@pytest.fixture
def stored(tmp_path, rekor_v1, root):
    return Stored.make(tmp_path, rekor_v1, root)


def verify(stored, reference=None, environment="development", at=None):
    reference = reference or str(stored.image.digest)
    at = at or datetime.now(UTC)
    return verify_image(stored.store, reference, environment, stored.policies, at, stored.state)


def recent():
    """Predicates that pass today, whenever the tests run."""
    return release.predicates()


def test_a_stored_release_passes(stored):
    stored.attest(recent())
    judgement = verify(stored)
    assert (judgement.result, judgement.refusals, judgement.warnings) == ("PASSED", (), ())
    assert len(judgement.inputs) == len(recent()) + 1


def test_a_tag_is_resolved_to_its_digest(stored):
    stored.attest(recent())
    assert verify(stored, "v1").image == stored.image.digest


def test_an_image_of_two_platforms_asks_for_both(tmp_path, rekor_v1, root):
    stored = Stored.make(tmp_path, rekor_v1, root, platforms=("amd64", "arm64"))
    stored.attest(recent())
    assert [one.message for one in verify(stored).refusals] == [
        "sbom linux/arm64: no evidence (got none, expected it from an allowed signer)"
    ]


def test_the_images_labels_are_read(stored):
    _, facts = read_image(stored.store, "v1")
    assert facts.labels == {"org.opencontainers.image.version": "1.0"}
    assert facts.platforms == {"linux/amd64": stored.image.digest}


def test_an_image_that_is_not_there_cannot_be_evaluated(stored):
    with pytest.raises(CannotEvaluate) as error:
        verify(stored, f"sha256:{'0' * 64}")
    assert error.value.code == "store.missing"


def test_a_bundle_that_does_not_verify_is_a_flaw_and_not_an_error(stored):
    bundles = stored.attest(recent())
    document = json.loads(bundles["tests"])
    document["verificationMaterial"]["tlogEntries"] = []
    stored.attach(json.dumps(document).encode())
    _, facts = read_image(stored.store, "v1")
    evidence = gather(stored.store, facts, load_roots(stored.state, stored.policies))
    assert [type(one) for one in evidence].count(Flaw) == 1
    assert [type(one) for one in evidence].count(Piece) == len(bundles)
    judgement = verify(stored)
    assert ([one.code for one in judgement.refusals], judgement.exit_code) == (["bundle.malformed"], 3)


def test_another_clones_evidence_on_the_same_image_is_ignored(stored, tmp_path):
    stored.attest(recent())
    failing = recent()["tests"] | {"result": "FAILED"}
    _, facts = read_image(stored.store, "v1")
    with world(tmp_path / "other") as other:
        stored.attach(other.sign(release.statement("tests", failing, facts)))
    judgement = verify(stored)
    assert (judgement.passed, [one.code for one in judgement.warnings]) == (True, ["evidence.foreign"])


def test_the_highest_list_is_remembered_when_it_is_taken_away(stored):
    bundles = stored.attest(recent())
    _, facts = read_image(stored.store, "v1")
    digests = {name: Digest.of(bundle).hex for name, bundle in bundles.items() if name != "evidence-list"}
    previous = Digest.of(bundles["evidence-list"]).hex
    successor = release.evidence_list(digests, sequence=2, previous=previous)
    attached = stored.attach(stored.signer.sign(release.statement("evidence-list", successor, facts)))
    assert verify(stored).passed
    assert list(recall(stored.state, stored.store, stored.image.digest).sequences.values()) == [2]
    _take_away(stored, attached.digest)
    assert [one.code for one in verify(stored).refusals] == ["list.older-than-known"]


def test_a_second_store_begins_with_lists_of_its_own(stored):
    stored.attest(recent())
    judgement = verify(stored)
    later = replace(judgement, sequences={by: number + 6 for by, number in judgement.sequences.items()})
    remember(stored.state, OciLayout(stored.state / "elsewhere"), later)
    assert verify(stored).passed
    remember(stored.state, stored.store, later)
    assert [one.code for one in verify(stored).refusals] == ["list.older-than-known"]


def _take_away(stored, manifest):
    """As somebody with write access to a registry would: out of the list of referrers."""
    tag = f"sha256-{stored.image.digest.hex}"
    found = stored.store.resolve(tag)
    index = json.loads(stored.store.manifest(found.digest))
    index["manifests"] = [one for one in index["manifests"] if one["digest"] != str(manifest)]
    stored.store.put_manifest(json.dumps(index).encode(), found.media_type, tag)


def test_a_list_by_a_stranger_is_not_remembered(stored, tmp_path):
    stored.attest(recent())
    _, facts = read_image(stored.store, "v1")
    high = release.evidence_list({}, sequence=99)
    stored.attach(stored.signer.world.sign(release.statement("evidence-list", high, facts), sub="https://evil.example"))
    verify(stored)
    assert list(recall(stored.state, stored.store, stored.image.digest).sequences.values()) == [1]


def test_a_damaged_memory_stops_the_gate(stored):
    stored.attest(recent())
    (stored.state / "memory.json").write_text('{"sequences": ')
    with pytest.raises(CannotEvaluate) as error:
        verify(stored)
    assert error.value.code == "memory.unreadable"


def test_a_damaged_trust_root_stops_the_gate(stored):
    (stored.state / "sigstore" / "trusted_root.json").write_text("{}")
    with pytest.raises(CannotEvaluate) as error:
        verify(stored)
    assert error.value.code == "trust.unreadable"


@pytest.mark.parametrize("year", [1, 9999])
def test_a_time_at_the_end_of_the_calendar_is_a_misuse(stored, year):
    with pytest.raises(Misuse) as error:
        verify(stored, at=datetime(year, 1, 1, tzinfo=UTC))
    assert error.value.code == "verify.time"
