"""Static files, read once at the start: their bytes, types and digests for subresource integrity."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"

#: A file of any other type stops the start: no guessing, no content sniffing.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class Asset:
    name: str
    content: bytes
    content_type: str
    integrity: str
    """``sha384-<base64>`` (W3C Subresource Integrity)."""

    @property
    def version(self) -> str:
        """Changes with the content: part of the address, so that it can be cached for ever."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @property
    def url(self) -> str:
        return f"/static/{self.version}/{self.name}"


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """File name to Asset; raises ValueError for a file of an unknown type."""
    assets = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in TYPES:
            raise ValueError(f"static file {path.name}: type not known (expected one of {', '.join(TYPES)})")
        content = path.read_bytes()
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        assets[path.name] = Asset(
            name=path.name, content=content, content_type=TYPES[path.suffix], integrity=f"sha384-{digest}"
        )
    return assets
