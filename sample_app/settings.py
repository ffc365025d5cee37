"""Settings from environment variables, strict: a wrong or unknown one stops the start."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "NOTICEBOARD_"
LOG_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """One line: which variable, what it holds and what it should."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each field is the variable ``NOTICEBOARD_<NAME>``.

    NOTE: Kubernetes adds variables such as NOTICEBOARD_PORT=tcp://10.0.0.1:80 for a Service called
    ``noticeboard``. They are refused here; set ``enableServiceLinks: false`` in the pod.
    """

    address: str = "127.0.0.1"
    """An IP address; the image sets the one for all interfaces."""
    port: int = 8888
    """0 takes a free one, which the log names."""
    log_level: str = "info"
    drain_seconds: int = 10
    """How long a stop waits for requests under way."""
    max_rooms: int = 200
    max_messages: int = 500
    """Kept in each room; older ones are dropped."""
    max_readers: int = 1000
    """WebSockets open at once."""
    requests_per_second: int = 50
    """What one client may ask for over time; a message over a WebSocket counts too."""
    request_burst: int = 200
    """What one client may ask for at once."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose word on the client's address counts, with commas: 10.0.0.0/8,fd00::/8."""


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _log_level(text: str) -> str:
    if text not in LOG_LEVELS:
        raise ValueError
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(high))) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return parse


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))


_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "address": (_address, "an IPv4 or IPv6 address"),
    "port": (_whole(0, 65535), "a whole number from 0 to 65535"),
    "log_level": (_log_level, f"one of {', '.join(LOG_LEVELS)}"),
    "drain_seconds": (_whole(0, 300), "a whole number from 0 to 300"),
    "max_rooms": (_whole(1, 10_000), "a whole number from 1 to 10000"),
    "max_messages": (_whole(1, 10_000), "a whole number from 1 to 10000"),
    "max_readers": (_whole(1, 100_000), "a whole number from 1 to 100000"),
    "requests_per_second": (_whole(1, 100_000), "a whole number from 1 to 100000"),
    "request_burst": (_whole(1, 100_000), "a whole number from 1 to 100000"),
    "trusted_proxies": (_networks, "networks with commas between them, such as 10.0.0.0/8"),
}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that ``environment`` gives; raises SettingsError for the first wrong or unknown variable."""
    values: dict[str, Any] = {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX).lower()
        if name not in _PARSERS or variable != variable.upper():
            known = ", ".join(PREFIX + field.name.upper() for field in fields(Settings))
            raise SettingsError(f"{variable}: unknown setting (expected one of {known})")
        parse, expected = _PARSERS[name]
        try:
            values[name] = parse(environment[variable])
        except ValueError:
            raise SettingsError(
                f"{variable}: wrong value (got {environment[variable]!r:.80}, expected {expected})"
            ) from None
    return Settings(**values)
