"""Foreign bytes, made from good ones, and what may come of reading them: an answer or an error of ours, nothing else.

document = data.draw(changed(json.loads(good)))           # one to three places of it are something else
content = data.draw(overwritten(good))                    # bytes written over it, left out, doubled
with only_documented(), nothing_written():
    parse(content)
"""

import contextlib
import copy
import os
import re
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from pipeline.model.errors import GatehouseError

#: Goes above ``@given``. The default suite has time for few; the profile of `scripts/nox -s full` says how many.
fuzzed = settings(max_examples=12) if settings.get_current_profile_name() == "default" else settings()

_ROOT = Path(__file__).resolve().parents[2]
_CODE = re.compile(r"^\| `([a-z-]+\.[a-z0-9-]+)`", re.MULTILINE)
_TEXTS = st.sampled_from(["", "\x1b[31m", "../../etc/passwd", "1e999", "9" * 5000, "sha256:" + "a" * 64, "\ud800"])
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    _TEXTS,
    st.builds(list),
    st.builds(dict),
    st.builds(lambda value: [value], st.integers()),
    st.builds(lambda value: {"mediaType": value}, st.text(max_size=5)),
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A copy of a JSON document in which one to three places hold another value, are gone, moved, or there twice."""
    wrapped = {"document": copy.deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        place, key = _somewhere(draw, wrapped)
        match draw(st.integers(0, 4)):
            case 0 | 1:
                place[key] = draw(_VALUES)
            case 2 if place is not wrapped:
                del place[key]
            case 3:
                other, inside = _somewhere(draw, wrapped)
                place[key] = copy.deepcopy(other[inside])
            case _ if isinstance(place, list):
                place.append(copy.deepcopy(place[key]))
            case _:
                place[draw(st.text(max_size=8))] = copy.deepcopy(place[key])
    return wrapped["document"]


def _somewhere(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A container in the document and a key of it, at any depth."""
    place = document
    while True:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            return place, key
        place = inner


@st.composite
def overwritten(draw: st.DrawFn, content: bytes) -> bytes:
    """``content`` with up to three stretches of it overwritten, cut out, doubled, or something put between."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 64)))
        stretch = content[start:end]
        between = draw(st.sampled_from([b"", stretch * 2, stretch[::-1]]) | st.binary(max_size=64))
        content = content[:start] + between + content[end:]
    return content


_SETTINGS = st.sampled_from(
    ["", '""', "-1", "0", "1e400", "nan", "true", "[]", "{}", '"x"', '["x", "x"]', "2026-11-22", "9" * 30, '"\\u0000"']
)


@st.composite
def retold(draw: st.DrawFn, content: str) -> str:
    """A TOML document in which one to three lines are gone, doubled, elsewhere, or give their key another value."""
    lines = content.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        number, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[number].partition("=")
        match draw(st.integers(0, 5)):
            case 0:
                del lines[number]
            case 1:
                lines.insert(other, lines[number])
            case 2:
                lines[number], lines[other] = lines[other], lines[number]
            case _ if equals:
                lines[number] = f"{key}= {draw(_SETTINGS)}\n"
            case _:
                lines[number] = draw(st.text(max_size=20)) + "\n"
    return "".join(lines)


@cache
def _documented() -> frozenset[str]:
    return frozenset(_CODE.findall((_ROOT / "docs" / "codes.md").read_text(encoding="utf-8")))


@contextlib.contextmanager
def only_documented() -> Iterator[None]:
    """Errors of ours are an answer, if they say what they should: a documented code, one printable line, a fix."""
    answer = None
    try:
        yield
    except GatehouseError as error:
        answer = error
    if answer is not None:
        assert answer.code in _documented(), answer.code
        assert answer.fix
        assert "\n" not in answer.message, answer.message


# What a program may do to files (Python's audit events), and how to tell that ``open`` is for writing.
_WRITING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "os.fork", "socket.connect")
_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched: dict[int, list[str]] = {}


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    done = _watched.get(threading.get_ident())
    if done is None:
        return
    if event == "open":
        path, _, flags = arguments
        # Modules that are imported late leave their byte code.
        if flags & _FLAGS and "__pycache__" not in str(path):
            done.append(f"open {path}")
    elif event in _WRITING or event in _PROGRAMS:
        done.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_notice)


@contextlib.contextmanager
def nothing_written(*, calls: bool = False) -> Iterator[None]:
    """No file is written, moved or removed, no program started and, without ``calls``, nobody called by this thread."""
    done = _watched[threading.get_ident()] = []
    try:
        yield
    finally:
        del _watched[threading.get_ident()]
    assert [one for one in done if not (calls and one.startswith("socket.connect"))] == []
