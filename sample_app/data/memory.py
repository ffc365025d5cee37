"""Rooms and messages in memory, bounded; they are gone when the process ends."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from sample_app.model import Conflict, Message, NotFound, Overloaded, Room
from sample_app.validation import NewMessage, Page


@dataclass
class _Shelf:
    room: Room
    messages: deque[Message]
    last: int = 0


class MemoryRepository:
    """Repository of one process. Its methods never wait, so each is atomic on the event loop."""

    def __init__(self, *, max_rooms: int, max_messages: int) -> None:
        self._max_rooms = max_rooms
        self._max_messages = max_messages
        self._shelves: dict[str, _Shelf] = {}

    async def rooms(self) -> list[Room]:
        return sorted((shelf.room for shelf in self._shelves.values()), key=lambda room: room.name.casefold())

    async def room(self, room_id: str) -> Room:
        return self._shelf(room_id).room

    async def add_room(self, room: Room) -> None:
        if any(shelf.room.name.casefold() == room.name.casefold() for shelf in self._shelves.values()):
            raise Conflict("name: taken by another room")
        if len(self._shelves) >= self._max_rooms:
            raise Overloaded(f"no more than {self._max_rooms} rooms")
        self._shelves[room.id] = _Shelf(room, deque(maxlen=self._max_messages))

    async def messages(self, room_id: str, page: Page) -> list[Message]:
        kept = list(self._shelf(room_id).messages)
        if page.after is None:
            return kept[-page.limit :]
        return [message for message in kept if message.number > page.after][: page.limit]

    async def add_message(self, room_id: str, new: NewMessage, posted: datetime) -> Message:
        shelf = self._shelf(room_id)
        shelf.last += 1
        message = Message(number=shelf.last, author=new.author, text=new.text, posted=posted)
        shelf.messages.append(message)
        return message

    async def ready(self) -> bool:
        return True

    def _shelf(self, room_id: str) -> _Shelf:
        try:
            return self._shelves[room_id]
        except KeyError:
            raise NotFound("room: not found") from None
