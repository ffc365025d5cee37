"""in-toto Statement v1: which artifacts a predicate speaks of."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from pipeline.model.context import Sha256Hex
from pipeline.model.digests import Digest
from pipeline.model.documents import Document, canonical_json, parse
from pipeline.model.kinds import STATEMENT_TYPE, Kind, kind_of

MAX_STATEMENT_BYTES = 16 * 1024 * 1024


class SubjectDigest(Document):
    sha256: Sha256Hex


class Subject(Document):
    """An artifact by name and digest (in-toto attestation framework, Statement v1, ``subject``)."""

    name: Annotated[str, StringConstraints(max_length=1024)]
    digest: SubjectDigest


class Statement(Document):
    """The payload that is signed. ``predicate`` is parsed by its own model once the kind is known."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[list[Subject], Field(min_length=1, max_length=64)]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any]

    @property
    def kind(self) -> Kind | None:
        return kind_of(self.predicate_type, self.predicate)

    def digests(self) -> list[Digest]:
        return [Digest(subject.digest.sha256) for subject in self.subject]


def make_statement(subjects: Sequence[tuple[str, Digest]], predicate_type: str, predicate: dict[str, Any]) -> bytes:
    """The bytes to sign: ``subjects`` are (name, digest) pairs, the image first."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest.hex}} for name, digest in subjects],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def parse_statement(content: bytes) -> Statement:
    """Read a statement strictly; raises CannotEvaluate (``document.*``)."""
    return parse(Statement, content, what="statement", limit=MAX_STATEMENT_BYTES)
