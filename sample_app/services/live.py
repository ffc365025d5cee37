"""Live messages: every reader of a room gets each message once, and a slow one is let go."""

import asyncio
from collections.abc import AsyncIterator

from sample_app.model import Message, Overloaded

QUEUE = 64
"""Messages that wait for one reader before it counts as too slow."""


class Reader:
    """One subscriber. Iterate over it for its messages; ``slow`` says that it was let go."""

    def __init__(self) -> None:
        self.slow = False
        # One place more than messages may use: the end always fits.
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE + 1)

    def offer(self, message: Message) -> bool:
        """False where the reader is too slow; it then gets what waits for it and the end."""
        if self._queue.qsize() >= QUEUE:
            self.slow = True
            self._queue.put_nowait(None)
            return False
        self._queue.put_nowait(message)
        return True

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self._queue.get()) is not None:
            yield message


class Hub:
    """Who reads which room."""

    def __init__(self, *, max_readers: int) -> None:
        self._max_readers = max_readers
        self._readers: dict[str, set[Reader]] = {}

    @property
    def count(self) -> int:
        return sum(len(readers) for readers in self._readers.values())

    def subscribe(self, room_id: str) -> Reader:
        """Raises Overloaded where the service has as many readers as it may."""
        if self.count >= self._max_readers:
            raise Overloaded(f"no more than {self._max_readers} readers")
        reader = Reader()
        self._readers.setdefault(room_id, set()).add(reader)
        return reader

    def unsubscribe(self, room_id: str, reader: Reader) -> None:
        readers = self._readers.get(room_id, set())
        readers.discard(reader)
        if not readers:
            self._readers.pop(room_id, None)

    def publish(self, room_id: str, message: Message) -> None:
        for reader in list(self._readers.get(room_id, ())):
            if not reader.offer(message):
                self.unsubscribe(room_id, reader)
