"""What any HTTP service must do, asked from outside: knows a port and a health address, nothing of the service.

Standard library only, so that it also runs inside a network namespace whose file system is gone.
"""

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

TIMEOUT = 10.0
BODY_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the service. ``name`` is stable; ``detail`` says what was seen."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    health: str
    """Path that answers 200 once the service is ready."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case; of a repeated header the last."""
    body: bytes
    cookies: dict[str, str]
    """Name to value of each that is set."""


def request(
    target: Target,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = TIMEOUT,
) -> Answer:
    """One request; raises OSError or http.client.HTTPException where no HTTP answer comes."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout)
    try:
        connection.request(method, path, body=body or None, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        set_ = [line.partition(";")[0].partition("=") for line in response.headers.get_all("Set-Cookie") or ()]
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(BODY_LIMIT),
            {name.strip(): value.strip() for name, _, value in set_},
        )
    finally:
        connection.close()


def wait_healthy(target: Target, seconds: float, alive: Callable[[], bool]) -> Check:
    """Ask for health until it answers 200, the service ends, or ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    seen = "no answer"
    while time.monotonic() < deadline and alive():
        try:
            answer = request(target, "GET", target.health, timeout=2)
            if answer.status == 200:
                return Check("becomes-healthy", passed=True, detail=f"GET {target.health} answered 200")
            seen = f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            seen = type(error).__name__
        time.sleep(0.05)
    ended = "" if alive() else ", and the service ended"
    return Check("becomes-healthy", passed=False, detail=f"GET {target.health} answered 200 never, last {seen}{ended}")


def _health(target: Target) -> str | None:
    status = request(target, "GET", target.health).status
    return None if status == 200 else f"GET {target.health} answered {status}"


def _root(target: Target) -> str | None:
    status = request(target, "GET", "/").status
    return None if status < 500 else f"GET / answered {status}"


def _unknown_address(target: Target) -> str | None:
    status = request(target, "GET", "/gatehouse-smoke-no-such-page").status
    return None if status < 500 else f"GET of an unknown address answered {status}"


def _trace(target: Target) -> str | None:
    status = request(target, "TRACE", "/").status
    return None if status >= 400 else f"TRACE / answered {status}"


def _nosniff(target: Target) -> str | None:
    value = request(target, "GET", "/").headers.get("x-content-type-options", "")
    return None if value.lower() == "nosniff" else f"x-content-type-options is {value!r:.80}"


def _no_traceback(target: Target) -> str | None:
    for path in ("/", "/gatehouse-smoke-no-such-page", "/%00", "/%ff?%ff=%ff"):
        if b"Traceback (most recent call last)" in request(target, "GET", path).body:
            return f"GET {path} answered with a traceback"
    return None


def _malformed(target: Target) -> str | None:
    for garbage in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"\x00" * 64):
        with socket.create_connection((target.host, target.port), timeout=TIMEOUT) as connection:
            connection.sendall(garbage)
    return _health(target)


#: In the order in which they are asked. Each gives None, or what was wrong.
CHECKS: dict[str, Callable[[Target], str | None]] = {
    "health-is-200": _health,
    "root-answers": _root,
    "unknown-address-answers": _unknown_address,
    "trace-is-refused": _trace,
    "no-content-sniffing": _nosniff,
    "no-traceback-is-shown": _no_traceback,
    "survives-malformed-requests": _malformed,
}


def ask(target: Target) -> list[Check]:
    """All of CHECKS; one that gets no answer has failed."""
    checks = []
    for name, check in CHECKS.items():
        try:
            wrong = check(target)
        except (OSError, http.client.HTTPException) as error:
            wrong = f"no HTTP answer ({type(error).__name__})"
        checks.append(Check(name, passed=wrong is None, detail=wrong or "as expected"))
    return checks


def ended(exit_code: int | None, seconds: float) -> Check:
    """The last check: SIGTERM ends the service with exit code 0. None: it had to be killed."""
    name = "ends-cleanly-on-sigterm"
    if exit_code is None:
        return Check(name, passed=False, detail=f"still running {seconds:g} s after SIGTERM")
    return Check(name, passed=exit_code == 0, detail=f"exit code {exit_code}")
