"""SPDX licence expressions (SPDX v2.3, annex D): whether a list of licences satisfies one."""

from collections.abc import Collection
from functools import lru_cache

from packaging.licenses import canonicalize_license_expression

MAX_EXPRESSION = 2000


@lru_cache(maxsize=1024)
def tokens(expression: str) -> tuple[str, ...]:
    """The words of an expression in SPDX's spelling; ValueError where it is none."""
    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"licence expression of more than {MAX_EXPRESSION} characters")
    canonical = canonicalize_license_expression(expression)
    return tuple(canonical.replace("(", " ( ").replace(")", " ) ").split())


def satisfied(expression: str, allowed: Collection[str]) -> bool:
    """Whether holding licences ``allowed`` is enough: of ``OR`` one side, of ``AND`` both.

    ``allowed`` names licences as SPDX writes them, with their exception where there is one
    (``GPL-2.0-only WITH Classpath-exception-2.0``): an exception is not granted by the bare licence's name.
    Raises ValueError for an expression that is none.
    """
    return _Reading(tokens(expression), allowed).whole()


def named(expression: str) -> list[str]:
    """Every licence that an expression names, sorted, with its exception; ValueError for one that is none."""
    reading = _Reading(tokens(expression), ())
    reading.whole()
    return sorted(reading.seen)


class _Reading:
    """Recursive descent over the words; ``AND`` binds closer than ``OR``, ``WITH`` closest."""

    def __init__(self, words: tuple[str, ...], allowed: Collection[str]) -> None:
        self.words = list(reversed(words))
        self.allowed = allowed
        self.seen: set[str] = set()

    def whole(self) -> bool:
        result = self._either()
        if self.words:
            raise ValueError(f"licence expression goes on with {self.words[-1]!r}")
        return result

    def _next(self, word: str) -> bool:
        if self.words and self.words[-1] == word:
            self.words.pop()
            return True
        return False

    def _either(self) -> bool:
        result = self._both()
        while self._next("OR"):
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._one()
        while self._next("AND"):
            result = self._one() and result
        return result

    def _one(self) -> bool:
        if self._next("("):
            result = self._either()
            if not self._next(")"):
                raise ValueError("licence expression with an open parenthesis")
            return result
        if not self.words:
            raise ValueError("licence expression ends too early")
        licence = self.words.pop()
        if self._next("WITH"):
            licence = f"{licence} WITH {self.words.pop()}"
        self.seen.add(licence)
        return licence in self.allowed
