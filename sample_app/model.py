"""What the service speaks of: rooms, messages, and what can go wrong with them."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Room:
    id: str
    """16 hexadecimal digits, made by the service."""
    name: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name}


@dataclass(frozen=True, kw_only=True)
class Message:
    number: int
    """Counts from 1 in each room, without gaps."""
    author: str
    text: str
    posted: datetime
    """In UTC."""

    @property
    def posted_text(self) -> str:
        """RFC 3339, to the second."""
        return self.posted.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "author": self.author, "text": self.text, "posted": self.posted_text}


class BoardError(Exception):
    """Something that the client is told: ``code`` is stable, ``status`` is the HTTP status."""

    status = 400
    code = "invalid"


class Invalid(BoardError):
    """Input that the schemas in ``validation`` do not allow."""


class NotFound(BoardError):
    status = 404
    code = "not-found"


class Conflict(BoardError):
    status = 409
    code = "conflict"


class UnsupportedMedia(BoardError):
    status = 415
    code = "unsupported-media-type"


class TooMany(BoardError):
    """One client asks too often; ``seconds`` is how long it should wait."""

    status = 429
    code = "too-many-requests"

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(f"too many requests: wait {self.seconds} s")


class Overloaded(BoardError):
    """A bound of the service is reached: rooms, readers."""

    status = 503
    code = "overloaded"
