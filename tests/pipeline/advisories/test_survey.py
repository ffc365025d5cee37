from dataclasses import dataclass, field

import pytest

from pipeline.advisories.interface import CANARY, Advisory, Answer, Pin, silent
from pipeline.advisories.survey import NO_CANARY, survey

A, B = Pin("a", "1"), Pin("b", "2")


@dataclass
class Told:
    """A feed that audits ``knows`` and reports ``bad``; ``down`` answers nothing at all."""

    name: str = "told"
    uri: str = "https://feed.example"
    knows: tuple[Pin, ...] = (A, B)
    bad: tuple[Pin, ...] = (CANARY,)
    down: str = ""
    asked: list[list[Pin]] = field(default_factory=list)

    def ask(self, pins):
        self.asked.append(list(pins))
        if self.down:
            return silent(self, pins, self.down)
        return Answer(
            feed=self.name,
            uri=self.uri,
            answered=True,
            audited=frozenset(pins) & {*self.knows, CANARY},
            unaudited={pin: "not known here" for pin in pins if pin not in {*self.knows, CANARY}},
            advisories=tuple(Advisory(pin=pin, id="PYSEC-2017-94") for pin in pins if pin in self.bad),
        )


def test_what_a_feed_that_reports_the_canary_answers_is_audited():
    seen = survey([A, B], [Told()], None)
    assert (seen.audited, dict(seen.unaudited), seen.canary) == (frozenset({A, B}), {}, True)


def test_the_canary_is_asked_apart_from_the_packages():
    feed = Told()
    survey([A, B], [feed], None)
    assert sorted(feed.asked) == [[A, B], [CANARY]]


def test_a_feed_that_does_not_report_the_canary_has_audited_nothing_but_what_it_found_stays():
    seen = survey([A, B], [Told(bad=(A,))], None)
    assert (seen.audited, seen.canary) == (frozenset(), False)
    assert dict(seen.unaudited) == {A: f"told: {NO_CANARY}", B: f"told: {NO_CANARY}"}
    assert [advisory.pin for advisory in seen.answers[0].advisories] == [A]


def test_a_feed_that_does_not_answer_leaves_every_package_unaudited_with_its_reason():
    seen = survey([A, B], [Told(down="HTTP 500")], None)
    assert dict(seen.unaudited) == {A: "told: HTTP 500", B: "told: HTTP 500"}
    assert not seen.canary
    assert not seen.answers[0].answered


def test_the_fallback_is_asked_about_what_is_left_only():
    fallback = Told(name="fallback")
    seen = survey([A, B], [Told(knows=(A,))], fallback)
    assert sorted(fallback.asked) == [[B], [CANARY]]
    assert seen.audited == {A, B}


def test_the_fallback_is_not_asked_when_nothing_is_left():
    fallback = Told()
    survey([A, B], [Told()], fallback)
    assert fallback.asked == []


def test_of_two_full_feeds_both_must_have_audited_a_package():
    seen = survey([A, B], [Told(name="one"), Told(name="two", knows=(A,))], None)
    assert seen.audited == {A}
    assert dict(seen.unaudited) == {B: "two: not known here"}


def test_what_no_one_could_say_carries_every_reason():
    seen = survey([A], [Told(name="one", down="HTTP 500")], Told(name="two", knows=()))
    assert seen.unaudited[A] == "one: HTTP 500; two: not known here"


def test_a_tool_that_crashes_stops_the_survey():
    class Crashing(Told):
        def ask(self, pins):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        survey([A], [Crashing()], None)
