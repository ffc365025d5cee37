"""Strict documents: JSON that is ambiguous, too large or too deep is refused instead of guessed."""

import json
import math
import re
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.model.errors import CannotEvaluate

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 64

# NOTE: an unclosed string matches up to the end; were it to fail, it would be tried again at each quote: n² steps.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


class Document(BaseModel):
    """Base of every model made from foreign bytes: frozen, strict, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)


D = TypeVar("D", bound=BaseModel)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f"duplicate key {key[:80]!r}")
        seen[key] = value
    return seen


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is too large for a number")
    return number


def _check_depth(content: bytes) -> None:
    if content.count(b"{") + content.count(b"[") <= MAX_DEPTH:
        return  # most documents are small, and what has so few brackets is not deep
    depth = 0
    for bracket in _STRING.sub(b"", content).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"{[" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")


def parse_json(content: bytes, *, what: str, limit: int = MAX_BYTES) -> Any:
    """Parse UTF-8 JSON (RFC 8259) without duplicate keys, NaN, absurd size or depth.

    ``what`` names the document in the error. Raises CannotEvaluate (``document.too-large``,
    ``document.malformed``).
    """
    if len(content) > limit:
        raise CannotEvaluate(
            "document.too-large",
            f"{what}: too large (got {len(content)} bytes, expected at most {limit})",
            fix="make the document again: nothing that the pipeline writes is that large",
        )
    try:
        _check_depth(content)
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_not_a_number,
            # NOTE: 1e999 would come back as infinity, which is above every threshold of a policy.
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise CannotEvaluate(
            "document.malformed",
            f"{what}: not readable (got {error}, expected one unambiguous JSON document)",
            fix="make the document again, or fetch an undamaged copy of it",
        ) from error


def validate(model: type[D], value: Any, *, what: str) -> D:
    """Hold parsed JSON against ``model``; raises CannotEvaluate (``document.shape``) naming each field."""
    try:
        # Strict models refuse the lists and strings that JSON has for tuples, dates and enums,
        # unless told that the value came from JSON.
        return model.model_validate_json(canonical_json(value))
    except UnicodeEncodeError as error:  # "\\ud800" is JSON, half a character, and no UTF-8
        raise CannotEvaluate(
            "document.malformed",
            f"{what}: not readable (got {error.reason}, expected text that is Unicode)",
            fix="make the document again, or fetch an undamaged copy of it",
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg'].lower()}"
            for item in error.errors(include_url=False, include_input=False)[:5]
        )
        raise CannotEvaluate(
            "document.shape",
            f"{what}: not of the expected shape (got {problems}, expected {model.__name__})",
            fix="make the document again with this version of the pipeline",
        ) from error


def parse(model: type[D], content: bytes, *, what: str, limit: int = MAX_BYTES) -> D:
    """``parse_json`` followed by ``validate``."""
    return validate(model, parse_json(content, what=what, limit=limit), what=what)


def canonical_json(value: Any) -> bytes:
    """The one serialisation used where bytes are hashed or compared: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
