"""A forecast as text, as data, and for calendars."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from icalendar import Calendar

from pipeline.gate.evidence import Memory
from pipeline.gate.forecast import forecast
from pipeline.gate.policy import load_policy
from pipeline.gate.verify_command import Release
from pipeline.report.forecast_forms import as_calendar, as_json, as_text
from pipeline.report.terminal import Terminal
from tests.support import release

POLICIES = Path(__file__).parents[3] / "policies"
WIDE = Terminal(width=140, colour=False, utf8=True)


@pytest.fixture(scope="module")
def policy():
    return replace(load_policy(POLICIES), repository="acme/app")


def told(policy, *, package="tornado", now=release.NOW):
    predicates = release.predicates()
    found = release.finding("high", "2026-11-19T00:00:00Z", package=package)
    predicates["vulnerabilities"]["scanner"]["result"] = [found]
    labels = {"org.opencontainers.image.title": "noticeboard", "org.opencontainers.image.version": "1.4.0"}
    one = Release(
        image=replace(release.IMAGE, labels=labels),
        evidence=tuple(release.pieces(predicates).values()),
        policy=policy,
        memory=Memory(),
    )
    return forecast(one, now, 120, ("development", "production"))


def test_the_text_says_first_when_it_ends_and_tells_one_cause_once(policy):
    text = as_text(told(policy), WIDE)
    assert "development: accepts today, refuses from 2026-11-27T10:00:01Z on\n" in text
    assert "\n  2026-11-27 10:00 refuses evidence.expired: vulnerabilities: too old (got 2026-11-20T10:00:00Z" in text
    assert "\n                           fix: audit again: `scripts/nox -s audit attest`\n" in text
    assert ", and so are provenance, tests, sast" in " ".join(text.split())
    assert "production: refuses today already (" in text
    assert text.count("2027-02-18 10:00 refuses evidence.expired") == 1


def test_the_data_has_every_event_with_its_verdict(policy):
    read = json.loads(as_json(told(policy)))
    assert (read["format"], read["time"]) == ("gatehouse-forecast/1", "2026-11-20T12:00:00Z")
    development, production = read["environments"]
    assert (development["result"], development["ends"]) == ("PASSED", "2026-11-27T10:00:01Z")
    assert (production["result"], production["ends"]) == ("FAILED", None)
    assert production["refusals"]
    first = development["events"][0]
    assert (first["code"], first["effect"], first["result"]) == ("evidence.expired", "refuses", "FAILED")
    assert set(first) == {"code", "effect", "fix", "kind", "message", "result", "time"}


def entries(forecasted):
    return Calendar.from_ical(as_calendar(forecasted)).walk("VEVENT")


def test_a_calendar_has_an_entry_for_each_cause_with_a_reminder(policy):
    forecasted = told(policy)
    found = entries(forecasted)
    starts = {(str(one["summary"]), one.decoded("dtstart")) for one in found}
    assert (
        "noticeboard 1.4.0 in development: evidence.expired refuses",
        forecasted.outlooks[0].ends,
    ) in starts
    deadline = next(one for one in found if "vulnerabilities.deadline" in one["summary"])
    assert "GHSA-0000" in deadline["description"]
    assert "fix: update the package" in deadline["description"]
    (alarm,) = deadline.walk("VALARM")
    assert alarm.decoded("trigger") == timedelta(days=-7)
    assert len({str(one["uid"]) for one in found}) == len(found)


def test_a_calendar_that_is_fetched_anew_shows_an_entry_once(policy):
    assert as_calendar(told(policy)) == as_calendar(told(policy))
    later = told(policy, now=release.NOW + timedelta(hours=5))
    assert {str(one["uid"]) for one in entries(told(policy))} <= {str(one["uid"]) for one in entries(later)}


def test_a_calendar_keeps_to_the_lines_of_its_format(policy):
    content = as_calendar(told(policy))
    assert content.startswith(b"BEGIN:VCALENDAR\r\n")
    assert content.endswith(b"END:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_nothing_foreign_forges_an_entry_or_a_line(policy):
    hostile = told(policy, package="evil\r\nEND:VEVENT\r\nBEGIN:VEVENT\nSUMMARY:forged\u202e\x1b[2J")
    plain = told(policy)
    assert len(entries(hostile)) == len(entries(plain))
    assert "forged" not in {str(one["summary"]) for one in entries(hostile)}
    text = as_text(hostile, WIDE)
    assert len(text.splitlines()) <= len(as_text(plain, WIDE).splitlines()) + 2
    assert not set(text) & {"\x1b", "\u202e", "\r"}
    assert as_json(hostile).isascii()
