import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.advisories.interface import NoAnswer, Pin
from pipeline.advisories.pip_audit import UNKNOWN_RELEASE, PipAudit, read_report
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import Completed
from tests.support.osv import OsvServer, advisory

TORNADO, OTHER = Pin("tornado", "6.0"), Pin("zope-interface", "5.0")
CLEAN = {"dependencies": [{"name": "tornado", "version": "6.0", "vulns": []}], "fixes": []}
TRACEBACK = b"Traceback (most recent call last):\n  File ...\n"


def report(document, exit_code=0):
    return read_report(Completed(exit_code, json.dumps(document).encode(), b""))


def vulnerable(**changes):
    found = {"id": "PYSEC-1", "fix_versions": ["6.1"], "aliases": [], "description": "bad"}
    return {"dependencies": [{"name": "tornado", "version": "6.0", "vulns": [found | changes]}], "fixes": []}


def unreadable(completed):
    with pytest.raises(CannotEvaluate) as raised:
        read_report(completed)
    assert raised.value.code == "audit.unreadable"
    return raised.value.message


def test_a_whole_report_that_agrees_with_the_exit_code_is_read():
    assert report(CLEAN).dependencies[0].vulns == []
    assert report(vulnerable(), 1).dependencies[0].vulns


@pytest.mark.parametrize(("document", "exit_code"), [(CLEAN, 1), (vulnerable(), 0)])
def test_a_report_that_contradicts_the_exit_code_is_unreadable(document, exit_code):
    message = unreadable(Completed(exit_code, json.dumps(document).encode(), b""))
    assert f"exit code {exit_code} with a report that says otherwise" in message


@pytest.mark.parametrize(
    "stdout",
    [
        json.dumps(CLEAN).encode()[:-9],
        b"<!doctype html><title>Sign in</title>",
        b"No known vulnerabilities found",
        b"[]",
        json.dumps(CLEAN | {"ignored": ["PYSEC-1"]}).encode(),
        b'{"dependencies": [], "dependencies": [], "fixes": []}',
        b'{"dependencies": [{"name": "tornado"}], "fixes": []}',
        b'{"dependencies": [{"name": "tornado", "version": "6.0"}], "fixes": []}',
        b'{"dependencies": [{"name": "a", "version": "1", "vulns": [], "skip_reason": "why"}], "fixes": []}',
    ],
)
def test_anything_but_one_whole_report_is_unreadable(stdout):
    unreadable(Completed(0, stdout, b""))


@pytest.mark.parametrize(
    ("exit_code", "stderr"),
    [
        (0, b"No known vulnerabilities found"),
        (1, b""),
        (1, TRACEBACK + b"KeyError: 'vulns'"),
        (1, TRACEBACK + b"ModuleNotFoundError: No module named 'pip_audit'"),
        (1, b"ERROR:pip_audit._cli:invalid requirements input: requirements.txt"),
        (2, b"usage: pip-audit"),
        (-9, b""),
    ],
)
def test_a_crash_without_report_is_unreadable_whatever_its_exit_code(exit_code, stderr):
    unreadable(Completed(exit_code, b"", stderr))


def test_a_killed_run_is_unreadable_even_with_a_report():
    assert "exit code -9" in unreadable(Completed(-9, json.dumps(CLEAN).encode(), b""))


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (TRACEBACK + b"requests.exceptions.ConnectionError: HTTPConnectionPool(...)", "no connection"),
        (TRACEBACK + b"requests.exceptions.ReadTimeout: read timeout=10", "no answer in time"),
        (TRACEBACK + b"requests.exceptions.SSLError: CERTIFICATE_VERIFY_FAILED", "its certificate was not accepted"),
        (TRACEBACK + b"requests.exceptions.HTTPError: 503 Server Error\n\npip_audit...ServiceError", "HTTP 503"),
        (b"ERROR:pip_audit._cli:Tip: your network may be blocking this service.", "no connection"),
        (b"ERROR:pip_audit._cli:a: Dependency not found on PyPI and could not be audited: a (1)", UNKNOWN_RELEASE),
    ],
)
def test_a_feed_that_did_not_answer_is_no_answer_and_no_crash(stderr, reason):
    with pytest.raises(NoAnswer, match=reason):
        read_report(Completed(1, b"", stderr))


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(-15, 3))
def test_no_bytes_make_a_report_out_of_nothing(stdout, stderr, exit_code):
    with pytest.raises((CannotEvaluate, NoAnswer)):
        read_report(Completed(exit_code, stdout, stderr))


def test_it_audits_what_it_is_asked_and_nothing_else(checks_python):
    with OsvServer(advisory("PYSEC-1", "tornado", fixed="6.1", aliases=["CVE-1"])) as server:
        answer = PipAudit(python=checks_python, osv=server.address).ask([TORNADO, OTHER])
    assert answer.answered
    assert answer.audited == {TORNADO, OTHER}
    (found,) = answer.advisories
    assert found.pin == TORNADO
    assert (found.ids, found.fixed_in) == (frozenset({"PYSEC-1", "CVE-1"}), frozenset({"6.1"}))


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("not-found", "HTTP 404"),
        ("error", "HTTP 500"),
        ("html", "answered something that is not JSON"),
    ],
)
def test_a_feed_that_answers_badly_audits_nothing(checks_python, manner, reason):
    with OsvServer(manner=manner) as server:
        answer = PipAudit(python=checks_python, osv=server.address).ask([TORNADO])
    assert (answer.answered, answer.audited, dict(answer.unaudited)) == (False, frozenset(), {TORNADO: reason})


def test_a_feed_that_takes_too_long_in_all_is_stopped(checks_python):
    with OsvServer(manner="hang") as server:
        answer = PipAudit(python=checks_python, osv=server.address, seconds=1).ask([TORNADO])
    assert answer.note == "no full answer in time"


def script(folder: Path, text: str) -> Path:
    """A program that stands where the scanners' interpreter is."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_an_answer_about_other_packages_is_refused(tmp_path):
    tool = PipAudit(python=script(tmp_path, f"echo '{json.dumps(CLEAN)}'"))
    with pytest.raises(CannotEvaluate) as raised:
        tool.ask([TORNADO, OTHER])
    assert raised.value.code == "audit.wrong-set"
    assert raised.value.message.endswith("(got tornado 6.0, expected tornado 6.0, zope-interface 5.0)")


def test_an_answer_about_no_package_is_refused(tmp_path):
    tool = PipAudit(python=script(tmp_path, """echo '{"dependencies": [], "fixes": []}'"""))
    with pytest.raises(CannotEvaluate) as raised:
        tool.ask([TORNADO])
    assert raised.value.code == "audit.wrong-set"
    assert "(got none, expected tornado 6.0)" in raised.value.message


# What pip-audit 2.10.1 does on an index without data per release: strict stops at the first, lax names each.
NO_DATA = """case "$*" in
*--strict*) echo 'ERROR:pip_audit._cli:x: Dependency not found on PyPI and could not be audited: x (1)' >&2; exit 1;;
*) echo '{"dependencies": [{"name": "tornado", "version": "6.0", "vulns": []},
    {"name": "zope-interface", "skip_reason": "Dependency not found"}], "fixes": []}';;
esac"""


def test_where_strict_stops_each_release_without_data_is_named(tmp_path):
    answer = PipAudit(python=script(tmp_path, NO_DATA)).ask([TORNADO, OTHER])
    assert answer.audited == {TORNADO}
    assert dict(answer.unaudited) == {OTHER: UNKNOWN_RELEASE}
