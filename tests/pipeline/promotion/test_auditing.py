"""Today's advisories about an image: asked by its own signed evidence, refused by the environment's own rules."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.advisories.interface import Pin
from pipeline.advisories.osv import Osv
from pipeline.gate.gathering import gather, read_image
from pipeline.gate.identity import Identity
from pipeline.model.context import Source
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence
from pipeline.promotion.auditing import contents_of, todays_findings
from pipeline.promotion.rolling_back import roll_back
from pipeline.promotion.today import today_of
from pipeline.steps.audit import Sources
from pipeline.steps.job import Job
from tests.support import release
from tests.support.evidence import SETTINGS
from tests.support.osv import OsvServer, advisory
from tests.support.promotions import HERE

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HOLE = advisory("PYSEC-2026-1", "tornado", fixed="6.6", vector=CRITICAL, published="2026-10-01T00:00:00Z")


def evidence(ran, version="1.0"):
    _, image = read_image(ran.store, ran.images[version])
    return image, gather(ran.store, image, ran.gate().roots)


def test_what_is_in_the_image_is_what_its_last_audit_says(ran):
    locked, context = contents_of(evidence(ran)[1], ran.policy, ran.here)
    assert (list(locked.pins), list(locked.unfed)) == ([Pin("tornado", "6.5")], [])
    assert context.source.commit == release.COMMIT


def test_an_image_without_an_audit_that_counts_there_cannot_be_asked_about(ran):
    """The developer's own audit says nothing in production."""
    for found, here in (((), ran.here), (evidence(ran)[1], ran.policy.environment("production"))):
        with pytest.raises(CannotEvaluate) as error:
            contents_of(found, ran.policy, here)
        assert error.value.code == "rollback.contents"
        assert "(got no audit by an allowed signer, expected an audit)" in error.value.message


@pytest.mark.parametrize(("published", "codes"), [("2026-01-01T00:00:00Z", ["vulnerabilities.deadline"]), (None, [])])
def test_the_environments_own_deadlines_decide(ran, published, codes):
    image, _ = evidence(ran)
    now = ran.gate().now
    predicate = release.scanned_at(release.predicates(), now)["vulnerabilities"]
    predicate["scanner"]["result"] = [release.finding("critical", published or f"{now:%Y-%m-%dT%H:%M:%SZ}")]
    made = Evidence(kind=Kind.VULNERABILITIES, predicate=predicate)
    identity = Identity(issuer="https://issuer.example", san="somebody")
    found = todays_findings(made, image, identity, ran.policy, ran.here, now)
    assert [one.code for one in found] == codes


@pytest.fixture
def today(ran, checks_python):
    """What ``rollback`` asks with, on a feed with these records: our own client against a real server."""

    def make(server, **options):
        osv = Osv(address=server.address, seconds=5)
        settings = SETTINGS.model_copy(update={"advisories": SETTINGS.advisories.model_copy(update={"osv": "x"})})
        source = Source(uri="git+file:local", commit="f" * 40, tree="f" * 40, dirty=False, committed=0)
        job = Job(
            root=ran.folder, settings=settings, source=source, tools={"checks": checks_python}, now=ran.gate().now
        )
        return today_of(job, Sources(feeds=[osv], fallback=None, records=osv), **options)

    return make


def back(ran, asked, **changes):
    return roll_back(ran.gate(**changes), ran.digest("1.0"), HERE, asked, [ran.grant()])


def test_a_hole_that_became_known_since_refuses_the_rollback(ran, today):
    """Attack 44, with the feed, the client, the rules and the signatures real."""
    with OsvServer(HOLE) as server:
        done = back(ran, today(server))
    assert (done.entry, ran.ran()) == (None, ["1.0", "1.1"])
    assert "vulnerabilities.deadline" in [one.code for one in done.judgement.refusals]


def test_where_nothing_is_known_the_audit_is_attached_and_the_rollback_goes_on(ran, today):
    before = len(evidence(ran)[1])
    with OsvServer() as server:
        assert back(ran, today(server)).written
    _, after = evidence(ran)
    added = [one.kind for one in after if one.kind in (Kind.VULNERABILITIES, Kind.EVIDENCE_LIST)]
    assert sorted(added) == [Kind.EVIDENCE_LIST] * 2 + [Kind.VULNERABILITIES] * 2
    assert len(after) == before + 4  # those two, the verdict anew or not, the entry


def test_an_audit_that_may_not_be_signed_here_refuses_all_the_same(ran, today):
    with OsvServer(HOLE) as server:
        done = back(ran, today(server, sign=False))
    assert done.entry is None
    assert [one.kind for one in evidence(ran)[1]].count(Kind.VULNERABILITIES) == 1


def test_a_feed_that_is_down_is_no_yes(ran, today):
    """Development warns of it; an environment that does not, refuses."""
    strict = ran.here.model_copy(update={"warns": ()})
    others = [one for one in ran.policy.environments if one.name != HERE]
    bundle_first = replace(ran.policy, environments=(others[0], strict, *others[1:]))
    with OsvServer() as server:
        asked = today(server, sign=False)
    ran.policy = bundle_first
    done = back(ran, asked)
    assert done.entry is None
    codes = {one.code for one in done.judgement.refusals}
    assert codes & {"vulnerabilities.feed-down", "vulnerabilities.unaudited"}, codes
    assert ran.ran() == ["1.0", "1.1"]


def test_stale_evidence_does_not_carry_a_rollback(ran, today):
    later = ran.gate().now + timedelta(days=8)
    with OsvServer() as server:
        asked = today(server, sign=False)
        bundle = ran.grant(hours=24 * 7)
        ran.policy = replace(ran.policy, succession=ran.policy.succession.model_copy(update={"grant_days": 30}))
        long = ran.grant(hours=24 * 20)
        done = roll_back(ran.gate(now=later), ran.digest("1.0"), HERE, asked, [bundle, long])
    assert "evidence.expired" in [one.code for one in done.judgement.refusals]
