"""Layers that were made before, by everything that went into them; a damaged one is made again."""

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.files import mark_used, write_atomic
from pipeline.image.layer import LEVEL, Packed, Tree, pack, sha256
from pipeline.model.documents import Document, canonical_json, parse
from pipeline.model.errors import GatehouseError


class _Record(Document):
    digest: str
    diff_id: str


#: The composer and the modules of this folder that it stands on, all of which decide what is in an image.
MAKERS = (
    *("archive", "base_layer", "bytecode", "composer", "context", "debs", "dockerfile", "foreign_base"),
    *("foundation", "layer", "layer_cache", "lower_layers", "soundness", "wheel_files", "wheels"),
)


def code_digest(modules: Sequence[str] = MAKERS) -> str:
    """SHA-256 of the modules that make images: the composer's version. A change makes every layer anew."""
    folder = Path(__file__).parent
    return sha256(b"\0".join((folder / f"{name}.py").read_bytes() for name in modules))


class LayerCache:
    """A folder of compressed layers, each below its digest, and of records from key to digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fixed = [code_digest(), zlib.ZLIB_RUNTIME_VERSION, LEVEL]

    def key(self, ingredients: Mapping[str, Any]) -> str:
        return hashlib.sha256(canonical_json([self._fixed, ingredients])).hexdigest()

    def get(self, key: str) -> Packed | None:
        """The layer of ``key``, None where it is absent or not what its record says."""
        try:
            named = self._folder / f"{key}.json"
            record = parse(_Record, named.read_bytes(), what="record of a layer")
            kept = self._folder / record.digest.removeprefix("sha256:")
            content = kept.read_bytes()
        except (OSError, GatehouseError):
            return None
        mark_used(named, kept)
        return Packed(content, record.digest, record.diff_id) if sha256(content) == record.digest else None

    def get_or_make(self, key: str, make: Callable[[], Tree], *, time: int) -> Packed:
        found = self.get(key)
        if found is None:
            found = pack(make(), time=time)
            write_atomic(self._folder / found.digest.removeprefix("sha256:"), found.content)
            record = _Record(digest=found.digest, diff_id=found.diff_id)
            write_atomic(self._folder / f"{key}.json", canonical_json(record.model_dump()))
        return found
