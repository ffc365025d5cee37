"""What a verifier remembers: lists of the stores that it saw, and those that ledgers tell of."""

from pathlib import Path

from pipeline.gate.evidence import Memory
from pipeline.gate.memory import recall, remember_ledger
from pipeline.model.digests import Digest
from pipeline.store.layout import OciLayout
from pipeline.store.registry import Registry

IMAGE = Digest("1" * 64)


def test_what_a_ledger_says_of_an_images_lists_counts_in_every_registry_and_in_no_folder(tmp_path: Path):
    for lists in ({"attest": 3}, {"attest": 2, "reproduce": 1}):
        remember_ledger(tmp_path, "", "staging", None, revoked={}, lists={IMAGE.hex: lists})
    registry, folder = Registry("127.0.0.1:9/app"), OciLayout(tmp_path / "store")
    assert recall(tmp_path, registry, IMAGE) == Memory(sequences={"attest": 3, "reproduce": 1})
    assert recall(tmp_path, registry, Digest("2" * 64)) == Memory()
    assert recall(tmp_path, folder, IMAGE) == Memory()
