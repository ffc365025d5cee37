"""The board, and the live messages that it publishes."""

import asyncio
from datetime import UTC, datetime

import pytest

from sample_app.data.memory import MemoryRepository
from sample_app.model import Overloaded
from sample_app.services.board import Board
from sample_app.services.live import QUEUE, Hub
from sample_app.validation import NewMessage, NewRoom, Page

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def board(*, max_readers: int = 10, max_messages: int = 1000) -> tuple[Board, Hub]:
    hub = Hub(max_readers=max_readers)
    repository = MemoryRepository(max_rooms=10, max_messages=max_messages)
    return Board(repository, hub, clock=lambda: NOW, make_id=lambda: "room"), hub


async def post(made: Board, *texts: str) -> None:
    for text in texts:
        await made.post("room", NewMessage(author="Ann", text=text))


async def opened(**limits: int) -> tuple[Board, Hub]:
    made, hub = board(**limits)
    await made.create_room(NewRoom(name="Lobby"))
    return made, hub


def test_a_posted_message_has_the_clocks_time():
    async def main() -> None:
        made, _ = await opened()
        message = await made.post("room", NewMessage(author="Ann", text="hello"))
        assert (message.number, message.posted) == (1, NOW)
        assert await made.messages("room", Page()) == [message]
        assert [room.id for room in await made.rooms()] == ["room"]

    asyncio.run(main())


def test_identifiers_of_rooms_are_not_to_be_guessed():
    async def main() -> None:
        made = Board(MemoryRepository(max_rooms=2, max_messages=1), Hub(max_readers=1))
        one, other = await made.create_room(NewRoom(name="a")), await made.create_room(NewRoom(name="b"))
        assert len(one.id) == len(other.id) == 16
        assert one.id != other.id
        message = await made.post(one.id, NewMessage(author="Ann", text="x"))
        assert message.posted.tzinfo is UTC

    asyncio.run(main())


def test_a_reader_gets_stored_messages_then_live_ones_each_once_and_in_order():
    async def main() -> None:
        made, _ = await opened()
        await post(made, *"ab")
        reader = made.subscribe("room")
        await post(made, "c")  # comes both ways: stored, and live
        seen = []
        async for message in made.follow("room", reader, after=0):
            seen.append(message.number)
            if message.number == 3:
                await post(made, "d")
            if message.number == 4:
                break
        assert seen == [1, 2, 3, 4]

    asyncio.run(main())


def test_a_reader_that_asks_for_nothing_stored_gets_live_messages_only():
    async def main() -> None:
        made, _ = await opened()
        await post(made, "old")
        reader = made.subscribe("room")
        await post(made, "new")
        async for message in made.follow("room", reader, after=None):
            assert message.text == "new"
            break

    asyncio.run(main())


def test_more_stored_messages_than_a_page_come_all():
    async def main() -> None:
        made, _ = await opened()
        await post(made, *(str(number) for number in range(450)))
        reader = made.subscribe("room")
        count = 0
        async for message in made.follow("room", reader, after=0):
            count += 1
            assert message.number == count
            if count == 450:
                break

    asyncio.run(main())


def test_a_slow_reader_is_let_go_and_the_others_are_not():
    async def main() -> None:
        made, hub = await opened()
        slow = made.subscribe("room")
        await post(made, *("x" for _ in range(QUEUE)))
        quick = made.subscribe("room")
        await post(made, "one too many")
        assert (slow.slow, quick.slow, hub.count) == (True, False, 1)
        assert len([message async for message in slow]) == QUEUE

    asyncio.run(main())


def test_readers_are_bounded_and_a_place_comes_free_again():
    async def main() -> None:
        made, hub = await opened(max_readers=1)
        reader = made.subscribe("room")
        with pytest.raises(Overloaded, match="no more than 1 readers"):
            made.subscribe("room")
        made.unsubscribe("room", reader)
        made.unsubscribe("room", reader)
        assert hub.count == 0
        made.subscribe("room")

    asyncio.run(main())


def test_hundreds_of_writers_lose_no_message():
    async def main() -> None:
        made, _ = await opened()
        await asyncio.gather(*(post(made, str(number)) for number in range(300)))
        stored = [
            message for start in (0, 200) for message in await made.messages("room", Page(after=start, limit=200))
        ]
        assert [message.number for message in stored] == list(range(1, 301))
        assert {message.text for message in stored} == {str(number) for number in range(300)}

    asyncio.run(main())
