"""What a service says that it can do (``[[smoke]]`` in pipeline.toml), asked of the running image, one after the other.

An answer may be kept in part for the exchanges behind it, as cookies are. Standard library only, as ``probes.py``.
"""

import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.runtime.probes import TIMEOUT, Check, Target, request
from pipeline.runtime.websocket import NoWebSocketError, converse

WEBSOCKET = "WEBSOCKET"
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what its answer must be; of a WebSocket the message sent, and what one that comes must hold.

    ``keep`` maps a name to an expression whose one group is found in the answer; ``{name}`` stands for it later on.
    """

    name: str
    method: str = "GET"
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    status: int = 200
    contains: str = ""
    keep: dict[str, str] = field(default_factory=dict)


class _WrongError(Exception):
    """The answer is another one."""


@dataclass(slots=True)
class _Session:
    kept: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str, *, strict: bool = False) -> str:
        """``text`` with what was kept; JSON has braces of its own, an address has none."""
        if strict and (missing := [name for name in _VARIABLE.findall(text) if name not in self.kept]):
            raise _WrongError(f"nothing was kept as {missing[0]}")
        return _VARIABLE.sub(lambda found: self.kept.get(found[1], found[0]), text)

    def headers(self, exchange: Exchange) -> dict[str, str]:
        own = {name: self.fill(value) for name, value in exchange.headers.items()}
        crumbs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**({"Cookie": crumbs} if crumbs else {}), **own}


def hold(target: Target, exchanges: Sequence[Exchange]) -> list[Check]:
    """A check for each; one that gets no answer has failed."""
    session, checks = _Session(), []
    for exchange in exchanges:
        try:
            detail = (_talk if exchange.method == WEBSOCKET else _ask)(target, exchange, session)
            checks.append(Check(f"request {exchange.name}", passed=True, detail=detail))
        except (OSError, http.client.HTTPException) as error:
            detail = f"no answer ({type(error).__name__})"
            checks.append(Check(f"request {exchange.name}", passed=False, detail=detail))
        except (_WrongError, NoWebSocketError) as error:
            detail = f"{exchange.method} {exchange.path} gave {error}"
            checks.append(Check(f"request {exchange.name}", passed=False, detail=detail))
    return checks


def _ask(target: Target, exchange: Exchange, session: _Session) -> str:
    path, body = session.fill(exchange.path, strict=True), session.fill(exchange.body)
    answer = request(target, exchange.method, path, headers=session.headers(exchange), body=body.encode())
    text = answer.body.decode("utf-8", "replace")
    session.cookies |= answer.cookies
    if answer.status != exchange.status:
        raise _WrongError(f"status {answer.status}, not {exchange.status}")
    if session.fill(exchange.contains) not in text:
        raise _WrongError(f"an answer without {exchange.contains!r:.80}")
    for name, expression in exchange.keep.items():
        found = re.search(expression, text)
        if found is None:
            raise _WrongError(f"nothing to keep as {name}")
        session.kept[name] = found[1]
    return f"status {answer.status}"


def _talk(target: Target, exchange: Exchange, session: _Session) -> str:
    converse(
        (target.host, target.port),
        session.fill(exchange.path, strict=True),
        session.headers(exchange),
        session.fill(exchange.body),
        session.fill(exchange.contains),
        seconds=TIMEOUT,
    )
    return "opened, a message came, and closed"
