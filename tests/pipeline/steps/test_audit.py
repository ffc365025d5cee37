"""The audit as a whole: the real pip-audit and our own client against a loopback OSV server."""

import json
import socket

import pytest

from pipeline.advisories.index import ProjectJson
from pipeline.advisories.osv import Osv
from pipeline.advisories.pip_audit import PipAudit
from pipeline.advisories.survey import NO_CANARY
from pipeline.model.errors import Refused
from pipeline.model.outcome import Status
from pipeline.model.predicates import Vulnerabilities, parse_predicate
from pipeline.steps.audit import Sources, audit, base_purls, sources
from tests.support.jobs import SETTINGS, make_job
from tests.support.loopback import Reply, loopback
from tests.support.osv import OsvServer, advisory
from tests.support.supplies import lock_of, locks

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
LOW = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
LOCK = lock_of({"tornado==6.0": "1" * 64, "idna==3.1": "2" * 64})
DEBIAN = "2 Debian packages not audited (no feed configured)"


@pytest.fixture
def job(tmp_path, checks_python):
    return make_job(tmp_path, locks(LOCK, "tornado"), {"checks": checks_python})


@pytest.fixture
def run(job):
    def run(*records, **manners):
        with OsvServer(*records, **manners) as server:
            return run_on(job, server.address)

    return run


def run_on(job, address):
    osv = Osv(address=address, seconds=1)
    pip_audit = PipAudit(python=job.tools["checks"], osv=address, socket_seconds=1)
    return audit(job, Sources(feeds=[pip_audit, osv], fallback=None, records=osv))


def predicate(outcome) -> Vulnerabilities:
    (evidence,) = outcome.evidence
    parsed = parse_predicate(evidence.kind, evidence.predicate)
    assert isinstance(parsed, Vulnerabilities)
    return parsed


def found(outcome, id_):
    (result,) = [item for item in predicate(outcome).scanner.result if item.id == id_]
    return result, result.annotations[0]


def test_a_lock_without_vulnerabilities_is_audited_whole_and_the_debian_packages_are_named_as_unaudited(run):
    outcome = run()
    coverage = predicate(outcome).coverage
    assert outcome.finding == f"2 of 2 packages audited, 0 vulnerabilities; {DEBIAN}"
    assert coverage.audited == ["pkg:pypi/idna@3.1", "pkg:pypi/tornado@6.0"]
    assert sorted(coverage.unaudited) == sorted(set(coverage.locked) - set(coverage.audited))
    assert all(purl.startswith("pkg:deb/debian/") for purl in coverage.unaudited)
    assert coverage.canary
    assert outcome.problems == []


FOREIGN = "registry.example/python@sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("dockerfile", "image", "first"),
    [
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER 1\n", "", "pkg:deb/debian/python3.13-minimal@"),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nUSER 1\n", FOREIGN, "pkg:oci/python@sha256%3Aaaa"),
        (f"ARG BASE_IMAGE={FOREIGN}\nFROM ${{BASE_IMAGE}}\nUSER 1\n", "", "pkg:oci/python@sha256%3Aaaa"),
    ],
)
def test_nobody_is_asked_about_what_the_service_stands_on_and_that_is_what_is_named(tmp_path, dockerfile, image, first):
    files = {"service/Dockerfile": dockerfile, "pipeline.toml": f'{SETTINGS}[base]\nimage = "{image}"\n'}
    found = base_purls(make_job(tmp_path, {**files, **locks(LOCK, "tornado")}))
    assert found[0].startswith(first)


@pytest.fixture(scope="module")
def planted(tmp_path_factory, checks_python):
    """The outcome of one audit in which every sort of advisory is found."""
    job = make_job(tmp_path_factory.mktemp("planted"), locks(LOCK, "tornado"), {"checks": checks_python})
    with OsvServer(
        advisory("PYSEC-1", "idna", fixed="3.7", vector=CRITICAL, aliases=["CVE-2026-1"]),
        advisory("PYSEC-2", "tornado"),
        advisory("PYSEC-3", "tornado", vector=LOW, aliases=["GHSA-3"]),
        advisory("GHSA-3", "tornado", vector=CRITICAL, aliases=["PYSEC-3"]),
        advisory("PYSEC-4", "tornado", vector=CRITICAL, withdrawn="2026-11-05T00:00:00Z"),
        advisory("PYSEC-5", "tornado", fixed="5.9", vector=CRITICAL),
    ) as server:
        return run_on(job, server.address)


def test_one_line_says_how_many_were_found_of_which_severity(planted):
    assert planted.status is Status.WARNED
    assert planted.finding == (
        "2 of 2 packages audited, 3 vulnerabilities (2 critical, 1 unknown); 1 withdrawn advisory ignored; " + DEBIAN
    )
    assert [item.id for item in predicate(planted).scanner.result] == ["PYSEC-1", "PYSEC-2", "PYSEC-3", "PYSEC-4"]


def test_a_critical_in_a_transitive_dependency_is_reported_with_severity_date_and_fix(planted):
    result, says = found(planted, "PYSEC-1")
    assert (says.purl, says.severity, says.direct) == ("pkg:pypi/idna@3.1", "critical", False)
    assert (says.published, says.fixed_in, says.aliases) == ("2026-11-01T08:30:00Z", ["3.7"], ["CVE-2026-1"])
    assert {score.method: score.score for score in result.severity} == {"CVSS_V3": CRITICAL, "gatehouse": "critical"}
    problem = planted.problems[0]
    assert problem.code == "audit.vulnerable"
    assert problem.message == "idna 3.1: PYSEC-1, severity critical (got 3.1, expected 3.7)"


def test_a_direct_dependency_is_marked_and_one_without_a_fix_says_so(planted):
    assert found(planted, "PYSEC-2")[1].direct
    assert "expected a release that fixes it" in planted.problems[1].message
    assert planted.problems[1].fix.startswith("no release fixes it yet")


def test_an_advisory_without_a_vector_is_of_unknown_severity(planted):
    assert found(planted, "PYSEC-2")[1].severity == "unknown"


def test_two_aliases_with_different_severities_are_one_finding_of_the_graver(planted):
    _, says = found(planted, "PYSEC-3")
    assert (says.aliases, says.severity) == (["GHSA-3"], "critical")


def test_a_withdrawn_advisory_is_in_the_evidence_as_withdrawn_and_is_no_problem(planted):
    assert found(planted, "PYSEC-4")[1].withdrawn
    assert [problem.message.split(",")[0] for problem in planted.problems] == [
        "idna 3.1: PYSEC-1",
        "tornado 6.0: PYSEC-2",
        "tornado 6.0: PYSEC-3",
    ]


def test_what_pip_audit_leaves_out_behind_the_first_page_is_found(run):
    outcome = run(*(advisory(f"PYSEC-{number}", "tornado") for number in range(3)), page=1)
    assert [result.id for result in predicate(outcome).scanner.result] == ["PYSEC-0", "PYSEC-1", "PYSEC-2"]
    left_out = [problem.message for problem in outcome.problems if problem.code == "audit.disagreement"]
    assert [message.split(" (")[:2] for message in left_out] == [
        ["pip-audit", "osv): does not report PYSEC-1 of tornado 6.0"],
        ["pip-audit", "osv): does not report PYSEC-2 of tornado 6.0"],
    ]


@pytest.mark.parametrize("manner", ["not-found", "hang"])
def test_a_feed_that_does_not_answer_is_could_not_evaluate_and_never_no_vulnerabilities(run, manner):
    outcome = run(advisory("PYSEC-1", "tornado"), manner=manner)
    coverage = predicate(outcome).coverage
    assert outcome.status is Status.WARNED
    assert outcome.finding.startswith("0 of 2 packages audited; could not evaluate idna 3.1, tornado 6.0; ")
    assert (coverage.audited, coverage.canary) == ([], False)
    assert set(coverage.unaudited) == set(coverage.locked)
    assert [problem.code for problem in outcome.problems] == ["audit.unaudited"] * 2
    assert not any(feed["answered"] for feed in coverage.feeds)


def test_without_a_network_nothing_is_audited_and_every_package_says_why(job):
    with socket.socket() as bound:  # bound and not listening: nothing answers there
        bound.bind(("127.0.0.1", 0))
        outcome = run_on(job, f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert predicate(outcome).coverage.unaudited["pkg:pypi/tornado@6.0"] == (
        "pip-audit (osv): no connection; osv: no connection"
    )


def test_behind_a_feed_that_is_down_the_index_audits_what_is_pinned_at_its_latest_release(job):
    def answer(request):
        version = {"/pypi/pycrypto/json": "2.6.1", "/pypi/tornado/json": "6.0"}.get(request.path, "9.9")
        vulnerable: list[dict[str, object]] = [
            {"id": "PYSEC-2017-94", "aliases": [], "fixed_in": [], "withdrawn": None}
        ]
        found = vulnerable if version == "2.6.1" else []
        return Reply(body=json.dumps({"info": {"name": "x", "version": version}, "vulnerabilities": found}).encode())

    with loopback(answer) as index, OsvServer(manner="error") as down:
        pip_audit = PipAudit(python=job.tools["checks"], osv=down.address)
        asked = Sources(feeds=[pip_audit], fallback=ProjectJson(base=index.origin), records=Osv(address=down.address))
        outcome = audit(job, asked)
    coverage = predicate(outcome).coverage
    assert (coverage.audited, coverage.canary) == (["pkg:pypi/tornado@6.0"], True)
    assert coverage.unaudited["pkg:pypi/idna@3.1"] == (
        "pip-audit (osv): HTTP 500; project JSON: the index speaks of its latest release only, 9.9"
    )
    assert [(feed["name"], feed["answered"]) for feed in coverage.feeds] == [
        ("pip-audit (osv)", False),
        ("project JSON", True),
    ]


def test_a_feed_that_does_not_know_the_canary_has_audited_nothing_yet_what_it_found_stays(run):
    outcome = run(advisory("PYSEC-1", "tornado"), canary=False)
    coverage = predicate(outcome).coverage
    assert (coverage.canary, coverage.audited) == (False, [])
    assert NO_CANARY in coverage.unaudited["pkg:pypi/tornado@6.0"]
    assert found(outcome, "PYSEC-1")


def test_a_lock_that_includes_another_file_is_refused(tmp_path):
    job = make_job(tmp_path, locks(LOCK + "-r other.txt\n"))
    with pytest.raises(Refused) as raised:
        audit(job, Sources(feeds=[], fallback=None, records=Osv(address="http://127.0.0.1:9")))
    assert raised.value.code == "lock.include"


def test_two_audits_differ_in_nothing_but_the_time(job):
    with OsvServer(advisory("PYSEC-1", "tornado", vector=LOW, aliases=["B", "A", "C"])) as server:
        one, other = (run_on(job, server.address).evidence[0].predicate for _ in range(2))
    assert {**one, "metadata": None} == {**other, "metadata": None}


def test_a_configured_server_is_asked_by_pip_audit_and_by_ourselves(tmp_path, checks_python):
    settings = SETTINGS + '[advisories]\nosv = "https://osv.example"\n'
    job = make_job(tmp_path, {"pipeline.toml": settings, **locks(LOCK)}, {"checks": checks_python})
    assert [(feed.name, feed.uri) for feed in sources(job).feeds] == [
        ("pip-audit (osv)", "https://osv.example"),
        ("osv", "https://osv.example"),
    ]


def test_without_one_pip_audit_asks_pypi_and_the_index_is_the_fallback(job):
    chosen = sources(job)
    assert [feed.name for feed in chosen.feeds] == ["pip-audit (pypi)"]
    assert isinstance(chosen.fallback, ProjectJson)
