import json

import pytest

from pipeline.advisories.index import ProjectJson
from pipeline.advisories.interface import Pin
from tests.support.loopback import Reply, loopback

TORNADO = Pin("tornado", "6.6.1")
OTHER_SHAPE = "the index's project JSON has another shape"
LATEST = {
    "info": {"name": "tornado", "version": "6.6.1", "author": "Facebook"},
    "releases": {},
    "vulnerabilities": [
        {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["6.7"], "withdrawn": None, "details": "..."},
        {"id": "PYSEC-2", "aliases": [], "fixed_in": [], "withdrawn": "2026-01-01T00:00:00Z"},
    ],
}


def ask(reply, pin=TORNADO):
    with loopback(lambda request: reply if request.path == "/pypi/tornado/json" else Reply(404)) as server:
        return ProjectJson(base=server.origin, seconds=0.3).ask([pin])


def as_json(document):
    return Reply(200, json.dumps(document).encode())


def test_the_latest_release_is_audited_with_its_advisories():
    answer = ask(as_json(LATEST))
    assert answer.audited == {TORNADO}
    live, withdrawn = answer.advisories
    assert (live.ids, live.fixed_in, live.withdrawn) == ({"PYSEC-1", "CVE-1"}, {"6.7"}, False)
    assert withdrawn.withdrawn


def test_an_older_release_stays_unaudited_whatever_the_document_says():
    old = Pin("tornado", "6.5")
    answer = ask(as_json(LATEST), old)
    assert dict(answer.unaudited) == {old: "the index speaks of its latest release only, 6.6.1"}
    assert (answer.answered, answer.audited, answer.advisories) == (False, frozenset(), ())


def test_a_document_that_does_not_speak_of_vulnerabilities_audits_nothing():
    answer = ask(as_json({"info": LATEST["info"]}))
    assert dict(answer.unaudited) == {TORNADO: OTHER_SHAPE}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(404), "the index has no project JSON for it"),
        (Reply(503), "the index did not answer: HTTP 503"),
        (Reply(200, b"<html>sign in</html>"), "the index did not answer: answered something that is not JSON"),
        (
            as_json({**LATEST, "info": {"name": "tornado", "version": "newest"}}),
            OTHER_SHAPE,
        ),
        (as_json([]), OTHER_SHAPE),
        (Reply(200, hang=2), "the index did not answer: no answer in time"),
    ],
)
def test_a_bad_answer_leaves_the_package_unaudited(reply, reason):
    answer = ask(reply)
    assert dict(answer.unaudited) == {TORNADO: reason}
    assert not answer.answered
