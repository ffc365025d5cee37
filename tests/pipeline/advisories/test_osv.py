import pytest

from pipeline.advisories.interface import NoAnswer, Pin
from pipeline.advisories.osv import Osv
from tests.support.osv import OsvServer, advisory

TORNADO, ORJSON = Pin("tornado", "6.0"), Pin("orjson", "3.0")


def ids(answer, pin):
    return [item.id for item in answer.advisories if item.pin == pin]


def test_the_ids_that_concern_each_release_are_found():
    with OsvServer(
        advisory("PYSEC-1", "tornado", fixed="6.1"),
        advisory("PYSEC-2", "tornado", fixed="5.9"),
        advisory("PYSEC-3", "orjson"),
    ) as server:
        answer = Osv(address=server.address).ask([TORNADO, ORJSON])
    assert answer.answered
    assert answer.audited == {TORNADO, ORJSON}
    assert (ids(answer, TORNADO), ids(answer, ORJSON)) == (["PYSEC-1"], ["PYSEC-3"])


def test_every_page_is_read():
    many = [advisory(f"PYSEC-{number}", "tornado") for number in range(7)]
    with OsvServer(*many, advisory("PYSEC-9", "orjson"), page=2) as server:
        answer = Osv(address=server.address).ask([TORNADO, ORJSON])
    assert len(ids(answer, TORNADO)) == 7
    assert ids(answer, ORJSON) == ["PYSEC-9"]


def test_pages_without_end_are_no_answer():
    with OsvServer(*[advisory(f"PYSEC-{number}", "tornado") for number in range(120)], page=1) as server:
        answer = Osv(address=server.address).ask([TORNADO])
    assert not answer.answered
    assert answer.note == "more than 100 pages"


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("not-found", "HTTP 404"),
        ("error", "HTTP 500"),
        ("html", "answered something that is not JSON"),
        ("half", "answered something that is not JSON"),
        ("empty", "answered something that is not JSON"),
        ("cut", "the answer broke off"),
        ("other-json", "answered something that is not OSV"),
        ("hang", "no answer in time"),
    ],
)
def test_a_bad_answer_is_none_and_never_no_vulnerabilities(manner, reason):
    with OsvServer(manner=manner) as server:
        answer = Osv(address=server.address, seconds=0.3).ask([TORNADO])
    assert (answer.answered, answer.audited, dict(answer.unaudited)) == (False, frozenset(), {TORNADO: reason})


def test_a_server_that_is_gone_is_no_answer():
    with OsvServer() as server:
        gone = server.address
    assert Osv(address=gone).ask([TORNADO]).note == "no connection"


def test_records_are_followed_through_their_aliases():
    with OsvServer(
        advisory("PYSEC-1", "tornado", aliases=["CVE-1", "CVE-unknown"]),
        advisory("CVE-1", "tornado", aliases=["GHSA-1"]),
        advisory("GHSA-1", "tornado", aliases=["CVE-1"]),
    ) as server:
        assert sorted(Osv(address=server.address).records(["PYSEC-1"])) == ["CVE-1", "GHSA-1", "PYSEC-1"]


def test_a_server_that_fails_over_one_record_has_not_answered():
    with OsvServer(advisory("PYSEC-1", "tornado"), manner="error") as server, pytest.raises(NoAnswer, match="HTTP 500"):
        Osv(address=server.address).records(["PYSEC-1"])


def test_an_id_cannot_lead_to_another_address():
    with OsvServer() as server:
        assert Osv(address=server.address).records(["../../v1/query"]) == {}
