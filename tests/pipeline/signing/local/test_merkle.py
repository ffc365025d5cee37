"""The tree, held against published vectors and an independent verifier."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.signing.local.merkle import Tree

# The test vectors of certificate-transparency-go (testonly/reference_test_vectors).
VECTORS = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
VECTORS += [bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]


def tree_of(entries):
    tree = Tree()
    for entry in entries:
        tree.append(entry)
    return tree


def root_from_proof(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """RFC 9162, section 2.1.3.2, as written there: bottom up, where the tree under test goes top down."""
    first, last, found = index, size - 1, sha256(b"\x00" + entry).digest()
    for sibling in proof:
        if last == 0:
            return None
        if first & 1 or first == last:
            found = sha256(b"\x01" + sibling + found).digest()
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + sibling).digest()
        first, last = first >> 1, last >> 1
    return found if last == 0 else None


def test_roots_are_the_published_ones():
    tree = tree_of(VECTORS)
    assert tree.root(0).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tree.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree.root(3).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert tree.root(8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.data(), st.lists(st.binary(max_size=8), min_size=1, max_size=80))
def test_every_inclusion_proof_leads_to_the_root(data, entries):
    tree = tree_of(entries)
    size = data.draw(st.integers(1, len(entries)))
    index = data.draw(st.integers(0, size - 1))
    assert root_from_proof(entries[index], index, size, tree.inclusion_proof(index, size)) == tree.root(size)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True))
def test_a_proof_of_one_entry_is_none_of_another(entries):
    tree, size = tree_of(entries), len(entries)
    assert root_from_proof(entries[1], 0, size, tree.inclusion_proof(0, size)) != tree.root(size)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40))
def test_roots_asked_for_while_growing_are_those_of_the_grown_tree(entries):
    growing, roots = Tree(), []
    for entry in entries:
        growing.append(entry)
        roots.append(growing.root(len(growing)))
    assert roots == [tree_of(entries).root(size) for size in range(1, len(entries) + 1)]


def test_what_is_not_in_the_tree_has_no_proof():
    tree = tree_of([b"a", b"b"])
    with pytest.raises(ValueError, match="no entry 2"):
        tree.inclusion_proof(2, 2)
    with pytest.raises(ValueError, match="no tree of 3"):
        tree.root(3)
