"""SHA-256 digests as OCI writes them: ``sha256:`` and 64 lower-case hexadecimal digits."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest (OCI image specification, ``descriptor.md``, "Digests")."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.hex):
            raise ValueError(f"digest: not 64 lower-case hexadecimal digits (got {self.hex[:80]!r})")

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(hashlib.sha256(content).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256:<hex>``; ValueError for any other algorithm or form."""
        algorithm, _, value = text.partition(":")
        if algorithm != "sha256":
            raise ValueError(f"digest: not a sha256 digest (got {text[:80]!r})")
        return cls(value)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]
