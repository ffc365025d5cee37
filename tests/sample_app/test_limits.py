"""Token buckets, and whose bucket a request takes from."""

import json
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app import limits
from sample_app.limits import Buckets, client_of
from sample_app.model import TooMany

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(buckets: Buckets, client: str = "a") -> bool:
    try:
        buckets.take(client)
    except TooMany:
        return False
    return True


def test_a_burst_is_allowed_and_then_as_many_as_come_in(clock: Clock):
    buckets = Buckets(rate=2, burst=3, clock=clock)
    assert [taken(buckets) for _ in range(4)] == [True, True, True, False]
    clock.now = 0.5
    assert [taken(buckets) for _ in range(2)] == [True, False]


def test_a_full_bucket_takes_no_more(clock: Clock):
    buckets = Buckets(rate=2, burst=3, clock=clock)
    clock.now = 1000
    assert [taken(buckets) for _ in range(4)] == [True, True, True, False]


def test_who_is_refused_is_told_how_long_to_wait(clock: Clock):
    buckets = Buckets(rate=0.1, burst=1, clock=clock)
    buckets.take("a")
    with pytest.raises(TooMany, match=r"^too many requests: wait 10 s$") as caught:
        buckets.take("a")
    assert (caught.value.status, caught.value.code, caught.value.seconds) == (429, "too-many-requests", 10)


def test_one_client_takes_nothing_from_another(clock: Clock):
    buckets = Buckets(rate=1, burst=1, clock=clock)
    assert [taken(buckets, name) for name in "aab"] == [True, False, True]


def test_no_more_clients_are_remembered_than_there_is_room_for(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    buckets = Buckets(rate=1, burst=1, clock=clock)
    assert [taken(buckets, name) for name in "abab"] == [True, True, False, False]
    taken(buckets, "c")
    assert taken(buckets, "a")


@given(st.lists(st.floats(0, 5), max_size=50))
def test_over_any_time_no_more_is_taken_than_burst_and_rate_allow(waits: list[float]):
    clock = Clock()
    buckets = Buckets(rate=2, burst=3, clock=clock)
    count = 0
    for wait in waits:
        clock.now += wait
        count += taken(buckets)
    assert count <= 3 + 2 * clock.now + 1e-6


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nobody"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, "], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", [], "2001:db8:1:2::/64"),
    ],
)
def test_the_client_is_who_the_nearest_proxy_of_ours_names(peer: str, forwarded: list[str], client: str):
    assert client_of(peer, forwarded, PROXIES) == client


def test_a_request_too_many_is_told_when_to_come_back(run):
    async def test(app):
        assert (await app.api("/api/rooms"))[0] == 200
        refused = await app.fetch("/api/rooms")
        assert (refused.code, refused.headers["Retry-After"]) == (429, "1")
        assert json.loads(refused.body) == {
            "error": {"code": "too-many-requests", "message": "too many requests: wait 1 s"}
        }

    run(test, request_burst=1, requests_per_second=1)


def test_probes_are_never_refused(run):
    async def test(app):
        for _ in range(3):
            assert (await app.fetch("/healthz")).code == 200
            assert (await app.fetch("/readyz")).code == 200

    run(test, request_burst=1, requests_per_second=1)


def test_messages_over_a_websocket_count_too(run):
    async def test(app):
        room = await app.room()  # 1
        live = await app.live(room)  # 2
        for _ in range(2):
            await live.write_message('{"author": "a", "text": "b"}')
        answers = [json.loads(await live.read_message()) for _ in range(2)]
        assert sorted(next(iter(answer)) for answer in answers) == ["error", "message"]
        assert {"error": {"code": "too-many-requests", "message": "too many requests: wait 1 s"}} in answers

    run(test, request_burst=3, requests_per_second=1)


def test_another_client_behind_a_trusted_proxy_has_a_bucket_of_its_own(run):
    async def test(app):
        codes = [
            (await app.fetch("/api/rooms", headers={"X-Forwarded-For": client})).code
            for client in ("198.51.100.1", "198.51.100.1", "198.51.100.2")
        ]
        assert codes == [200, 429, 200]

    run(test, request_burst=1, requests_per_second=1, trusted_proxies=(ip_network("127.0.0.0/8"),))


def test_without_a_trusted_proxy_nobody_can_say_who_they_are(run):
    async def test(app):
        codes = [
            (await app.fetch("/api/rooms", headers={"X-Forwarded-For": client})).code
            for client in ("198.51.100.1", "198.51.100.2")
        ]
        assert codes == [200, 429]

    run(test, request_burst=1, requests_per_second=1)
