"""A forecast for people, for programs, and for calendars."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from pipeline import __version__
from pipeline.gate.forecast import Event, Forecast, Outlook
from pipeline.gate.judgement import Finding, rfc3339
from pipeline.model.digests import Digest
from pipeline.report.terminal import Terminal, hanging
from pipeline.report.text import as_ascii, printable

FORMAT = "gatehouse-forecast/1"
_TITLE = "org.opencontainers.image.title"
_VERSION = "org.opencontainers.image.version"
#: How long before an event a calendar reminds of it.
_REMINDER = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """Events of one code at one moment, told together: they have one cause as a rule."""

    at: datetime
    refuses: bool
    code: str
    passed: bool | None
    findings: tuple[Finding, ...]

    @property
    def effect(self) -> str:
        return "refuses" if self.refuses else "warns"


def together(outlook: Outlook) -> list[Day]:
    """Of the same minute: evidence that was signed in one run ends second by second."""

    def cause(event: Event) -> tuple[datetime, bool, str, bool | None]:
        return event.at.replace(second=0), not event.refuses, event.finding.code, event.passed

    days = []
    for _, group in groupby(sorted(outlook.events, key=lambda event: (*cause(event)[:3], event.at)), cause):
        events = list(group)
        first = events[0]
        findings = tuple(event.finding for event in events)
        days.append(
            Day(at=first.at, refuses=first.refuses, code=first.finding.code, passed=first.passed, findings=findings)
        )
    return days


def name_of(forecast: Forecast) -> str:
    labels = forecast.release.image.labels
    return f"{labels.get(_TITLE, '')} {labels.get(_VERSION, '')}".strip() or "image"


def as_text(forecast: Forecast, terminal: Terminal) -> str:
    lines = [
        f"{printable(name_of(forecast))} {forecast.release.image.digest}",
        f"if nobody does anything, from {rfc3339(forecast.now)} to {rfc3339(forecast.until)}:",
    ]
    for outlook in forecast.outlooks:
        lines += ["", *_outlook(outlook, terminal)]
    text = "\n".join(lines) + "\n"
    return text if terminal.utf8 else as_ascii(text)


def _outlook(outlook: Outlook, terminal: Terminal) -> Iterator[str]:
    yield from hanging(f"{outlook.environment}: ", _headline(outlook), terminal, 0)
    for day in together(outlook):
        label = f"{day.at:%Y-%m-%d %H:%M} {day.effect:7} "
        yield from hanging(label, f"{day.code}: {_told(day)}", terminal)
        fixes = dict.fromkeys(finding.fix for finding in day.findings)
        for fix in fixes:
            yield from hanging("fix: ", fix, terminal, 2 + len(label))


def _headline(outlook: Outlook) -> str:
    if not outlook.today.passed:
        codes = sorted({finding.code for finding in outlook.today.refusals})
        return f"refuses today already ({', '.join(codes)}); what comes besides:"
    if outlook.ends is None:
        return "accepts today, and until the end"
    return f"accepts today, refuses from {rfc3339(outlook.ends)} on"


def _told(day: Day) -> str:
    """The first message, and the subjects of the others."""
    subjects = [finding.message.partition(": ")[0] for finding in day.findings]
    others = f", and so are {', '.join(subjects[1:])}" if len(subjects) > 1 else ""
    return f"{day.findings[0].message}{others}"


def as_json(forecast: Forecast) -> bytes:
    """``gatehouse-forecast/1``: fields are added, never changed or removed. ASCII."""
    document = {
        "format": FORMAT,
        "image": str(forecast.release.image.digest),
        "policy": f"sha256:{forecast.release.policy.digest}",
        "time": rfc3339(forecast.now),
        "until": rfc3339(forecast.until),
        "environments": [_outlook_json(outlook) for outlook in forecast.outlooks],
    }
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()


def _outlook_json(outlook: Outlook) -> dict[str, Any]:
    return {
        "environment": outlook.environment,
        "result": outlook.today.result,
        "refusals": [finding.to_json() for finding in outlook.today.refusals],
        "ends": None if outlook.ends is None else rfc3339(outlook.ends),
        "events": [
            {
                "time": rfc3339(event.at),
                "effect": "refuses" if event.refuses else "warns",
                "result": None if event.passed is None else "PASSED" if event.passed else "FAILED",
                **event.finding.to_json(),
            }
            for event in outlook.events
        ],
    }


def as_calendar(forecast: Forecast) -> bytes:
    """For calendars, as RFC 5545 has it: an entry for each cause and moment; the same forecast gives the same bytes.

    An entry keeps its UID from one forecast to the next, so that a calendar that is fetched anew shows it once.
    """
    from icalendar import Calendar  # noqa: PLC0415 - only this form needs it

    calendar = Calendar()
    calendar.add("prodid", f"-//Gatehouse {__version__}//forecast//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", f"{printable(name_of(forecast))}: what ends")
    for outlook in forecast.outlooks:
        for day in together(outlook):
            calendar.add_component(_entry(forecast, outlook, day))
    return bytes(calendar.to_ical())


def _entry(forecast: Forecast, outlook: Outlook, day: Day) -> Any:
    from icalendar import Event as Entry  # noqa: PLC0415 - only this form needs it

    what = f"{printable(name_of(forecast))} in {outlook.environment}: {day.code} {day.effect}"
    told = [line for finding in day.findings for line in (printable(finding.message), f"fix: {printable(finding.fix)}")]
    same = f"{forecast.release.image.digest} {outlook.environment} {rfc3339(day.at)} {day.effect} {day.code}"
    entry = Entry()
    entry.add("uid", f"{Digest.of(same.encode()).hex[:32]}@gatehouse.dev")
    entry.add("dtstamp", forecast.now.replace(microsecond=0))
    entry.add("dtstart", day.at)
    entry.add("summary", what)
    entry.add("description", "\n".join([*told, str(forecast.release.image.digest)]))
    entry.add("categories", [outlook.environment, day.effect])
    entry.add("transp", "TRANSPARENT")
    entry.add_component(_reminder(what))
    return entry


def _reminder(what: str) -> Any:
    from icalendar import Alarm  # noqa: PLC0415 - only this form needs it

    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", what)
    alarm.add("trigger", -_REMINDER)
    return alarm
