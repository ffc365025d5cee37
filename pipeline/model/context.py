"""What every predicate names beside its result: the source, the locks, the tool and the interpreter."""

from typing import Annotated

from pydantic import Field, StringConstraints

from pipeline.model.documents import Document

GitHash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Source(Document):
    """A git state. ``tree`` is the work tree's own hash, so that it differs from the commit's where ``dirty``."""

    uri: str
    commit: GitHash
    tree: GitHash
    dirty: bool
    committed: int = Field(ge=0)
    """The commit's committer time, in seconds since the epoch."""


class Tool(Document):
    name: str
    version: str


class Context(Document):
    """Stands in every predicate (field ``gatehouse_context``), so that evidence of another tree cannot be mixed in."""

    source: Source
    locks: dict[str, Sha256Hex]
    """Path of each lock file in the tree to the SHA-256 of its content."""
    tool: Tool
    python: str
    """The interpreter that ran the step, ``3.11.7``."""


#: The CycloneDX property in ``metadata.properties`` that holds it as canonical JSON: a BOM takes no other field.
CONTEXT_PROPERTY = "gatehouse:context"
