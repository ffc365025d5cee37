"""Copying content of any size in pieces while its digest and size are checked."""

import hashlib
from typing import IO, BinaryIO

from pipeline.store.interface import Descriptor, other_bytes

PIECE = 1024 * 1024


def copy_checked(source: BinaryIO, target: IO[bytes] | None, descriptor: Descriptor, *, where: str) -> None:
    """Copy ``source`` from where it stands into ``target`` (None: only check).

    Raises Refused (``store.digest``) where it is not exactly what ``descriptor`` names, having read one piece more
    than its size at most.
    """
    state, size = hashlib.sha256(), 0
    while piece := source.read(PIECE):
        size += len(piece)
        if size > descriptor.size:
            raise other_bytes(descriptor.digest, where=where, got=f"more than {descriptor.size} bytes")
        state.update(piece)
        if target is not None:
            target.write(piece)
    if size != descriptor.size or state.hexdigest() != descriptor.digest.hex:
        raise other_bytes(descriptor.digest, where=where, got=f"{size} bytes, sha256:{state.hexdigest()}")
