"""The board: rooms, and messages posted to them."""

import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from sample_app.data.interface import Repository
from sample_app.model import Message, Room
from sample_app.services.live import Hub, Reader
from sample_app.validation import MAX_PAGE, NewMessage, NewRoom, Page


def _now() -> datetime:
    return datetime.now(UTC)


def _room_id() -> str:
    return secrets.token_hex(8)


class Board:
    """What handlers ask for. ``clock`` and ``make_id`` are the tests' to replace."""

    def __init__(
        self,
        repository: Repository,
        hub: Hub,
        *,
        clock: Callable[[], datetime] = _now,
        make_id: Callable[[], str] = _room_id,
    ) -> None:
        self._repository = repository
        self._hub = hub
        self._clock = clock
        self._make_id = make_id

    async def rooms(self) -> list[Room]:
        return await self._repository.rooms()

    async def room(self, room_id: str) -> Room:
        return await self._repository.room(room_id)

    async def create_room(self, new: NewRoom) -> Room:
        room = Room(id=self._make_id(), name=new.name)
        await self._repository.add_room(room)
        return room

    async def messages(self, room_id: str, page: Page) -> list[Message]:
        return await self._repository.messages(room_id, page)

    async def post(self, room_id: str, new: NewMessage) -> Message:
        message = await self._repository.add_message(room_id, new, self._clock())
        self._hub.publish(room_id, message)
        return message

    def subscribe(self, room_id: str) -> Reader:
        return self._hub.subscribe(room_id)

    def unsubscribe(self, room_id: str, reader: Reader) -> None:
        self._hub.unsubscribe(room_id, reader)

    async def follow(self, room_id: str, reader: Reader, after: int | None) -> AsyncIterator[Message]:
        """Each message above ``after`` once, in order: first the stored ones, then live ones.

        ``reader`` subscribed before, so nothing is lost between the two; what comes both ways is told once.
        """
        last = after
        while last is not None:
            stored = await self._repository.messages(room_id, Page(after=last, limit=MAX_PAGE))
            for message in stored:
                last = message.number
                yield message
            if len(stored) < MAX_PAGE:
                break
        async for message in reader:
            if last is None or message.number > last:
                yield message

    async def ready(self) -> bool:
        return await self._repository.ready()
