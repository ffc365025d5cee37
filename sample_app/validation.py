"""Every input of the service, parsed by strict schemas in this one place.

Texts are allow-lists: characters by Unicode category, and lengths after normalisation (NFC).
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from sample_app.model import Invalid

MAX_NAME = 64
MAX_AUTHOR = 40
MAX_TEXT = 2000
MAX_PAGE = 200
MAX_NUMBER = 2**31 - 1

#: Letters, marks, numbers, punctuation, symbols and the space: no control, format (bidi overrides), surrogate,
#: private or unassigned characters. Cf leaves out the joiner of emoji families and of some scripts on purpose.
_CATEGORIES = frozenset("LMNPS")
_WHOLE = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, kw_only=True)
class NewRoom:
    name: str


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    author: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Messages with a number above ``after``, at most ``limit``: the newest where ``after`` is None."""

    after: int | None = None
    limit: int = 50


def _allowed(character: str, *, lines: bool) -> bool:
    return character == " " or (lines and character == "\n") or unicodedata.category(character)[0] in _CATEGORIES


def _text(value: object, field: str, longest: int, *, lines: bool = False) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{field}: not a text")
    if len(value) > 4 * longest:
        raise Invalid(f"{field}: longer than {longest} characters")
    clean = unicodedata.normalize("NFC", value.replace("\r\n", "\n") if lines else value).strip()
    if not clean:
        raise Invalid(f"{field}: empty")
    if len(clean) > longest:
        raise Invalid(f"{field}: longer than {longest} characters")
    if not all(_allowed(character, lines=lines) for character in clean):
        raise Invalid(f"{field}: holds a character that is not allowed")
    return clean


def _fields(value: Mapping[str, object], names: tuple[str, ...]) -> None:
    missing, unknown = [name for name in names if name not in value], sorted(set(value) - set(names))
    if missing:
        raise Invalid(f"{missing[0]}: missing")
    if unknown:
        raise Invalid(f"{unknown[0]!r:.40}: unknown field")


def new_room(value: Mapping[str, object]) -> NewRoom:
    _fields(value, ("name",))
    return NewRoom(name=_text(value["name"], "name", MAX_NAME))


def new_message(value: Mapping[str, object]) -> NewMessage:
    _fields(value, ("author", "text"))
    return NewMessage(
        author=_text(value["author"], "author", MAX_AUTHOR),
        text=_text(value["text"], "text", MAX_TEXT, lines=True),
    )


def _numbers(arguments: Mapping[str, list[bytes]], allowed: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    values: dict[str, int] = {}
    for name, given in arguments.items():
        if name not in allowed:
            raise Invalid(f"{name!r:.40}: unknown parameter")
        low, high = allowed[name]
        text = given[0].decode("ascii", "replace")
        if len(given) != 1 or not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise Invalid(f"{name}: not one whole number from {low} to {high}")
        values[name] = int(text)
    return values


def page(arguments: Mapping[str, list[bytes]]) -> Page:
    """The query ``?after=N&limit=N``, each at most once."""
    return Page(**_numbers(arguments, {"after": (0, MAX_NUMBER), "limit": (1, MAX_PAGE)}))


def after(arguments: Mapping[str, list[bytes]]) -> int | None:
    """The query ``?after=N``; None where it is not given."""
    return _numbers(arguments, {"after": (0, MAX_NUMBER)}).get("after")


def no_arguments(arguments: Mapping[str, list[bytes]]) -> None:
    """For addresses that take no query."""
    if arguments:
        raise Invalid(f"{min(arguments)!r:.40}: unknown parameter")


def form(arguments: Mapping[str, list[bytes]]) -> dict[str, object]:
    """A form's fields, each given once; the XSRF token is left out (Tornado has checked it)."""
    values: dict[str, object] = {}
    for name, given in arguments.items():
        if name == "_xsrf":
            continue
        if len(given) != 1:
            raise Invalid(f"{name!r:.40}: given more than once")
        try:
            values[name] = given[0].decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid(f"{name!r:.40}: not UTF-8") from None
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _no_constant(_: str) -> NoReturn:
    raise ValueError


_decode: Callable[[str], Any] = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant).decode


def json_object(body: bytes | str) -> dict[str, object]:
    """A JSON object (RFC 8259) in UTF-8, without duplicate keys, NaN or infinities."""
    try:
        value = _decode(body.decode("utf-8") if isinstance(body, bytes) else body)
    except (ValueError, RecursionError):
        raise Invalid("body: not one well-formed JSON object") from None
    if not isinstance(value, dict):
        raise Invalid("body: not one well-formed JSON object")
    return value
