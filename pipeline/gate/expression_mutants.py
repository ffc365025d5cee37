"""Small mistakes in a CEL expression, one at a time: what a careless change of a rule may look like."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)
_OTHERS = {
    "==": ("!=",), "!=": ("==",), "<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"),
    "&&": ("||",), "||": ("&&",), "!": ("",),
    "true": ("false",), "false": ("true",), "all": ("exists",), "exists": ("all",),
}  # fmt: skip
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def mutants(expression: str) -> Iterator[str]:
    """``expression`` with one mistake: another operator, number or text, or one side of ``&&`` or ``||`` decided.

    They need not compile. None is ``expression`` itself, and none comes twice.
    """
    tokens = list(_tokens(expression))
    seen = {expression}
    for start, end, new in [*_exchanged(tokens), *_decided(tokens, len(expression))]:
        mutant = expression[:start] + new + expression[end:]
        if mutant not in seen:
            seen.add(mutant)
            yield mutant


def _tokens(expression: str) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(expression):
        text = match[0]
        depth -= text in _CLOSING and match.lastgroup == "sign"
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), text, match.start(), depth)
        depth += text in _OPENING and match.lastgroup == "sign"


def _exchanged(tokens: list[_Token]) -> Iterator[tuple[int, int, str]]:
    for token in tokens:
        if token.kind == "number":
            news: tuple[str, ...] = (f"({token.text} + 1)", f"({token.text} - 1)")
        elif token.kind == "text":
            news = (f"{token.text[:-1]}~{token.text[-1]}",)
        else:
            news = _OTHERS.get(token.text, ())
        yield from ((token.start, token.end, new) for new in news)


def _decided(tokens: list[_Token], length: int) -> Iterator[tuple[int, int, str]]:
    """Each operand of ``&&`` and ``||`` as ``true`` and as ``false``."""
    for place, token in enumerate(tokens):
        if token.text in ("&&", "||"):
            for start, end in (_before(tokens, place), _behind(tokens, place, length)):
                yield from ((start, end, word) for word in ("true", "false"))


def _ends(token: _Token, operator: _Token) -> bool:
    """Whether ``token`` ends an operand of ``operator``: it binds less closely, or encloses it."""
    if token.depth < operator.depth:
        return True
    closer = ("&&", "||", "?", ":", ",") if operator.text == "&&" else ("||", "?", ":", ",")
    return token.depth == operator.depth and token.text in closer


def _before(tokens: list[_Token], place: int) -> tuple[int, int]:
    first = place
    while first > 0 and not _ends(tokens[first - 1], tokens[place]):
        first -= 1
    return tokens[first].start, tokens[place - 1].end


def _behind(tokens: list[_Token], place: int, length: int) -> tuple[int, int]:
    last = place
    while last + 1 < len(tokens) and not _ends(tokens[last + 1], tokens[place]):
        last += 1
    return tokens[place + 1].start, tokens[last].end if last + 1 < len(tokens) else length
