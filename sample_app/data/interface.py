"""What the services ask of a store."""

from datetime import datetime
from typing import Protocol

from sample_app.model import Message, Room
from sample_app.validation import NewMessage, Page


class Repository(Protocol):
    """All methods are coroutines, so that a database can take the place of memory."""

    async def rooms(self) -> list[Room]:
        """All rooms, by name."""
        ...

    async def room(self, room_id: str) -> Room:
        """Raises NotFound."""
        ...

    async def add_room(self, room: Room) -> None:
        """Raises Conflict where the name is taken (in any case), Overloaded where there are too many."""
        ...

    async def messages(self, room_id: str, page: Page) -> list[Message]:
        """Oldest first; raises NotFound."""
        ...

    async def add_message(self, room_id: str, new: NewMessage, posted: datetime) -> Message:
        """The message with its number; raises NotFound."""
        ...

    async def ready(self) -> bool:
        """Whether the store answers."""
        ...
