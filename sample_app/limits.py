"""Token buckets: how often one client may ask, and who one client is."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sample_app.model import TooMany
from sample_app.settings import Network

#: Clients remembered at once; the one that asked longest ago is forgotten first, when its bucket is full anyway.
MAX_CLIENTS = 20_000
#: One household or machine has a whole /64 of addresses (RFC 6177): each would be a bucket of its own.
_IPV6_PREFIX = 64


class Buckets:
    """A bucket for each client: ``burst`` tokens at most, ``rate`` new ones a second. Never waits, so it is atomic."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, cost: float = 1) -> None:
        """Raises TooMany with the seconds to wait; a refused request costs nothing."""
        now = self._clock()
        tokens, filled = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - filled) * self._rate)
        allowed = tokens >= cost
        self._buckets[client] = (tokens - cost if allowed else tokens, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooMany((cost - tokens) / self._rate)


def client_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the peer's own, or, where that is a trusted proxy, what the proxy says.

    ``forwarded`` are the values of ``X-Forwarded-For``, whose last address the nearest proxy wrote; those before it
    anybody may have written, so that the first one from the right that is no proxy of ours counts.
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    client = peer
    while hops and _within(client, trusted):
        client = hops.pop()
    return _bucket_name(client, peer)


def _within(text: str, networks: Sequence[Network]) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _bucket_name(client: str, peer: str) -> str:
    address = _address(client)
    if address is None:  # a header that is none: the proxy answers for it
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, _IPV6_PREFIX), strict=False))
    return str(address)
