"""An append-only Merkle tree (RFC 6962, section 2.1) over SHA-256."""

from hashlib import sha256


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two smaller than ``size`` (``k`` in RFC 6962)."""
    return 1 << (size - 1).bit_length() - 1


class Tree:
    """Leaves in memory, full subtrees remembered: roots and proofs cost O(log n) hashes."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._full: dict[tuple[int, int], bytes] = {}

    def __len__(self) -> int:
        return len(self._leaves)

    def append(self, entry: bytes) -> int:
        """Add an entry and give its index."""
        self._leaves.append(leaf_hash(entry))
        return len(self._leaves) - 1

    def root(self, size: int) -> bytes:
        """MTH(D[size]), the root over the first ``size`` entries."""
        self._check(size)
        return self._range(0, size) if size else sha256().digest()

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """PATH(index, D[size]): the siblings from the leaf upwards."""
        self._check(size)
        if not 0 <= index < size:
            raise ValueError(f"no entry {index} in a tree of {size}")
        return self._path(index, 0, size)

    def _check(self, size: int) -> None:
        if not 0 <= size <= len(self._leaves):
            raise ValueError(f"no tree of {size} entries in a log of {len(self._leaves)}")

    def _range(self, low: int, high: int) -> bytes:
        if high - low == 1:
            return self._leaves[low]
        known = self._full.get((low, high))
        if known is not None:
            return known
        middle = low + _split(high - low)
        found = _node_hash(self._range(low, middle), self._range(middle, high))
        if high - middle == middle - low:  # a full subtree never changes again
            self._full[low, high] = found
        return found

    def _path(self, index: int, low: int, high: int) -> list[bytes]:
        if high - low == 1:
            return []
        middle = low + _split(high - low)
        if index < middle:
            return [*self._path(index, low, middle), self._range(middle, high)]
        return [*self._path(index, middle, high), self._range(low, middle)]
