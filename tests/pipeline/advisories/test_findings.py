from pipeline.advisories.findings import find, in_utc
from pipeline.advisories.interface import Advisory, Pin
from pipeline.advisories.osv import Record
from tests.support.osv import advisory

TORNADO = Pin("tornado", "6.0")
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"


def records(*documents):
    return {document["id"]: Record.model_validate(document) for document in documents}


def test_two_aliases_are_one_finding_with_the_gravest_severity_and_the_earliest_date():
    known = records(
        advisory("PYSEC-1", "tornado", vector=LOW, aliases=["CVE-1"], published="2026-05-02T00:00:00Z"),
        advisory("GHSA-1", "tornado", vector=CRITICAL, aliases=["CVE-1"], published="2026-05-01T00:00:00Z"),
    )
    (finding,) = find([Advisory(pin=TORNADO, id="GHSA-1"), Advisory(pin=TORNADO, id="PYSEC-1")], known)
    assert (finding.id, finding.aliases) == ("PYSEC-1", ("CVE-1", "GHSA-1"))
    assert (finding.severity, finding.published) == ("critical", "2026-05-01T00:00:00Z")
    assert len(finding.vectors) == 2


def test_a_chain_of_aliases_that_comes_in_any_order_is_one_finding():
    a = Advisory(pin=TORNADO, id="A", aliases=frozenset({"X"}))
    b = Advisory(pin=TORNADO, id="B", aliases=frozenset({"Y"}))
    between = Advisory(pin=TORNADO, id="C", aliases=frozenset({"X", "Y"}))
    assert len(find([a, b, between], {})) == len(find([between, b, a], {})) == 1


def test_the_same_advisory_of_two_packages_is_two_findings():
    other = Pin("other", "1")
    assert len(find([Advisory(pin=TORNADO, id="A"), Advisory(pin=other, id="A")], {})) == 2


def test_without_a_record_severity_and_date_are_unknown_and_the_finding_stands():
    (finding,) = find([Advisory(pin=TORNADO, id="A", fixed_in=frozenset({"6.10", "6.9"}))], {})
    assert (finding.severity, finding.published, finding.withdrawn) == ("unknown", None, False)
    assert finding.fixed_in == ("6.9", "6.10")


def test_it_is_withdrawn_only_when_every_advisory_of_it_is():
    gone = advisory("PYSEC-1", "tornado", aliases=["CVE-1"], withdrawn="2026-06-01T00:00:00Z")
    alive = advisory("GHSA-1", "tornado", aliases=["CVE-1"])
    asked = [Advisory(pin=TORNADO, id="PYSEC-1"), Advisory(pin=TORNADO, id="GHSA-1")]
    assert find(asked[:1], records(gone))[0].withdrawn
    assert not find(asked, records(gone, alive))[0].withdrawn


def test_fixes_are_those_of_the_package_itself():
    record = advisory("PYSEC-1", "tornado", fixed="6.5")
    record["affected"] += advisory("PYSEC-1", "other", fixed="9.9")["affected"]
    (finding,) = find([Advisory(pin=TORNADO, id="PYSEC-1")], records(record))
    assert finding.fixed_in == ("6.5",)


def test_times_are_brought_to_utc_and_to_the_second():
    assert in_utc("2026-05-01T02:00:00.5+02:00") == "2026-05-01T00:00:00Z"
    assert in_utc("2026-05-01T00:00:00Z") == "2026-05-01T00:00:00Z"
    assert in_utc("yesterday") is None
