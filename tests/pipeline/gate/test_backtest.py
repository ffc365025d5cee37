"""A changed policy replayed: what turns is what the judge says by each policy at the release's own time."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.gate.backtest import Judge, backtest
from pipeline.model.errors import CannotEvaluate
from pipeline.report import backtest_forms
from pipeline.report.terminal import Terminal
from pipeline.store.interface import Readable
from pipeline.store.layout import OciLayout
from pipeline.store.transfer import push_archive
from tests.support import release
from tests.support.images import write_archive
from tests.support.signing import World
from tests.support.stored import Stored

WIDE = Terminal(width=200, colour=False, utf8=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, rekor_v1: World, root: Path) -> Stored:
    """Two releases: 1.0 with a coverage of 97.5 %, 2.0 with one of 85 %, which has two tags."""
    folder = tmp_path_factory.mktemp("backtest")
    first = Stored.make(folder, rekor_v1, root)
    first.attest(release.predicates())
    write_archive(folder / "second.tar", content=b"print(2)\n", labels={"org.opencontainers.image.version": "2.0"})
    image = push_archive(folder / "second.tar", first.store, "v2")
    first.store.tag("latest", image)
    less = release.predicates()
    less["tests"]["gatehouse_measures"]["coverage_percent"] = 85.0
    Stored(first.store, first.state, first.policies, image, first.signer).attest(less)
    return first


def changed(policies, target, old, new, file="environments.toml"):
    shutil.copytree(policies, target)
    text = (target / file).read_text()
    assert old in text
    (target / file).write_text(text.replace(old, new))
    return target


def replay(stored, after, *references, environments=("development",), before=None, store: Readable | None = None):
    one, other = (Judge.of(folder, stored.state) for folder in (before or stored.policies, after))
    return backtest(store or stored.store, references, one, other, environments)


@pytest.fixture
def stricter(stored, tmp_path):
    return changed(stored.policies, tmp_path / "stricter", "coverage_percent = 80", "coverage_percent = 90")


def test_the_same_policy_turns_nothing(stored):
    found = replay(stored, stored.policies, environments=())
    assert (found.releases, found.judged, found.flips, found.unread) == (2, 6, [], [])
    assert found.accepted == {"development": (2, 2), "staging": (0, 0), "production": (0, 0)}


def test_a_stricter_limit_turns_the_release_that_does_not_meet_it_and_says_why(stored, stricter):
    (flip,) = replay(stored, stricter).flips
    assert (flip.tags, flip.environment) == (("latest", "v2"), "development")
    assert (flip.before.result, flip.after.result) == ("PASSED", "FAILED")
    assert [one.code for one in flip.reasons] == ["tests.coverage"]
    assert "got 85, expected at least 90 percent" in flip.reasons[0].message


def test_a_looser_limit_turns_it_back_and_says_what_refuses_no_longer(stored, stricter):
    found = replay(stored, stored.policies, before=stricter)
    (flip,) = found.flips
    assert (flip.before.result, flip.after.result) == ("FAILED", "PASSED")
    assert [one.code for one in flip.reasons] == ["tests.coverage"]
    assert found.codes == {"tests.coverage": 1}


def test_a_release_is_judged_as_of_its_own_time(stored, stricter, tmp_path):
    """Judged today both policies would find it too old. Its time is a whole second, so perhaps the next one."""
    short = changed(stored.policies, tmp_path / "short", "default = 2160", "default = 1")
    assert replay(stored, short).flips == []
    (flip,) = replay(stored, stricter).flips
    assert timedelta(seconds=-1) <= datetime.now(UTC) - flip.at < timedelta(hours=1)


def test_other_reasons_for_the_same_verdict_are_counted(stored, tmp_path):
    named = changed(stored.policies, tmp_path / "named", 'repository = ""', 'repository = "acme/app"')
    found = replay(stored, named, environments=("staging",))
    assert (found.flips, found.other_reasons) == ([], 2)


def test_roots_of_the_changed_policy_are_its_own(stored, tmp_path):
    """A root that the new policy brings makes evidence count that nobody could verify before."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before, after = Judge.of(stored.policies, elsewhere), Judge.of(stored.policies, stored.state)
    assert before.trusts != after.trusts
    found = backtest(stored.store, ["v1"], before, after, ["development"])
    assert [(flip.before.result, flip.after.result) for flip in found.flips] == [("FAILED", "PASSED")]


def test_named_releases_alone_are_replayed(stored, stricter):
    assert replay(stored, stricter, "v1").flips == []
    found = replay(stored, stricter, "v2", "latest")
    assert (found.releases, len(found.flips)) == (1, 1)


def test_what_cannot_be_read_is_told_and_does_not_stop_the_rest(stored, stricter):
    found = replay(stored, stricter, "v2", "v9", f"sha256:{'0' * 64}")
    assert (found.releases, len(found.flips)) == (1, 1)
    assert [(one.reference[:9], one.error.code) for one in found.unread] == [
        ("v9", "store.missing"),
        ("sha256:00", "store.missing"),
    ]


def test_an_image_without_evidence_has_no_time_to_judge_at(stored, tmp_path, stricter):
    store = OciLayout(tmp_path / "bare")
    write_archive(tmp_path / "bare.tar")
    push_archive(tmp_path / "bare.tar", store, "bare")
    found = replay(stored, stricter, store=store)
    assert [one.error.code for one in found.unread] == ["backtest.unsigned"]


def test_a_store_without_a_release_and_an_unknown_environment_are_refused(stored, stricter, tmp_path):
    with pytest.raises(CannotEvaluate) as empty:
        replay(stored, stricter, store=OciLayout(tmp_path / "nothing"))
    assert empty.value.code == "backtest.empty"
    with pytest.raises(CannotEvaluate) as unknown:
        replay(stored, stricter, environments=("moon",))
    assert unknown.value.code == "policy.environment"


def test_tags_of_referrers_are_no_releases(stored, stricter):
    assert any(tag.startswith("sha256-") for tag in stored.store.tags())
    assert replay(stored, stricter).unread == []


def test_the_text_and_the_data_say_the_same(stored, stricter):
    found = replay(stored, stricter, "v1", "v2", "v9")
    text = backtest_forms.as_text(found, WIDE)
    assert text.startswith("2 releases, 2 verdicts, 1 turns\n")
    assert "development: accepted 2, now 1\n" in text
    assert "turned by tests.coverage: 1\n" in text
    assert "  because: tests.coverage: tests: coverage is too low (got 85, expected at least 90 percent)\n" in text
    assert "not judged: v9: store.missing" in text
    read = json.loads(backtest_forms.as_json(found))
    assert read["format"] == "gatehouse-backtest/1"
    assert read["accepted"] == {"development": {"before": 2, "after": 1}}
    assert [(one["before"], one["after"], one["reasons"][0]["code"]) for one in read["flips"]] == [
        ("PASSED", "FAILED", "tests.coverage")
    ]
    assert [one["code"] for one in read["unread"]] == ["store.missing"]
