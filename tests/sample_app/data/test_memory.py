"""The store in memory: bounded, and it says what is not there."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from sample_app.data.memory import MemoryRepository
from sample_app.model import BoardError, Conflict, NotFound, Overloaded, Room
from sample_app.validation import NewMessage, Page

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOM = "0123456789abcdef"


def repository(*names: str, max_rooms: int = 10, max_messages: int = 3) -> MemoryRepository:
    made = MemoryRepository(max_rooms=max_rooms, max_messages=max_messages)
    for number, name in enumerate(names):
        asyncio.run(made.add_room(Room(id=f"{number}", name=name)))
    return made


def numbers(made: MemoryRepository, page: Page) -> list[int]:
    return [message.number for message in asyncio.run(made.messages("0", page))]


def fill(made: MemoryRepository, count: int) -> None:
    for number in range(count):
        asyncio.run(made.add_message("0", NewMessage(author="Ann", text=f"{number}"), NOW))


def test_rooms_come_by_name():
    assert [room.name for room in asyncio.run(repository("b", "A", "c").rooms())] == ["A", "b", "c"]


def test_a_name_is_taken_in_any_case():
    with pytest.raises(Conflict, match="name: taken by another room"):
        repository("Straße", "STRASSE")


def test_rooms_are_bounded():
    with pytest.raises(Overloaded, match="no more than 1 rooms"):
        repository("a", "b", max_rooms=1)


def test_messages_count_from_one_and_the_oldest_are_dropped():
    made = repository("a", max_messages=3)
    fill(made, 5)
    assert numbers(made, Page()) == [3, 4, 5]


def test_a_page_is_the_newest_or_what_comes_after_a_number():
    made = repository("a", max_messages=10)
    fill(made, 6)
    assert numbers(made, Page(limit=2)) == [5, 6]
    assert numbers(made, Page(after=1, limit=2)) == [2, 3]
    assert numbers(made, Page(after=6)) == []


def test_a_message_tells_its_time_in_utc():
    made = repository("a")
    fill(made, 1)
    (message,) = asyncio.run(made.messages("0", Page()))
    assert message.as_json() == {"number": 1, "author": "Ann", "text": "0", "posted": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize("ask", ["room", "messages", "add_message"])
def test_a_room_that_is_not_there_is_not_found(ask):
    made: Any = repository("a")
    more = {"room": (), "messages": (Page(),), "add_message": (NewMessage(author="a", text="b"), NOW)}[ask]
    with pytest.raises(NotFound, match="room: not found") as refusal:
        asyncio.run(getattr(made, ask)(ROOM, *more))
    assert isinstance(refusal.value, BoardError)
    assert (refusal.value.status, refusal.value.code) == (404, "not-found")


def test_it_is_always_ready():
    assert asyncio.run(repository().ready()) is True
