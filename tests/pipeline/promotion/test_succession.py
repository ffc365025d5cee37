"""What may follow what: no old release with known holes comes back, and no other line takes over."""

from dataclasses import replace

import pytest

from pipeline.gate.environments import Succession
from pipeline.model.errors import Refused
from pipeline.model.predicates import PromotionPredicate
from pipeline.promotion.ledger import Entry, Ledger
from pipeline.promotion.succession import check_order, check_succession, is_running

A, B, C = "a" * 64, "b" * 64, "c" * 64
HOTFIX = "refs/heads/hotfix/1.x"


class Line:
    """A history in which commits descend from each other in the order given."""

    def __init__(self, *commits):
        self.commits = commits

    def descends(self, commit, ancestor):
        if commit not in self.commits or ancestor not in self.commits:
            return False
        return self.commits.index(commit) >= self.commits.index(ancestor)


def ledger(*ran, environment="production"):
    """``ran`` are (image, version, commit)."""
    entries = [
        Entry(
            predicate=PromotionPredicate(
                environment=environment,
                sequence=number,
                previous=None,
                image=image,
                version=version,
                commit=commit,
                verdict="d" * 64,
                time="2026-11-20T10:00:00Z",
                requester="somebody",
            ),
            line=b"",
            digest="e" * 64,
        )
        for number, (image, version, commit) in enumerate(ran, 1)
    ]
    return Ledger(environment=environment, entries=tuple(entries))


@pytest.fixture
def check(policy):
    def call(ran, image, version, commit="two", *, ref="refs/heads/main", environment="production", **succession):
        changed = replace(policy, succession=Succession(**succession))
        check_succession(ran, image, version, commit, ref, changed, Line("one", "two", "three"))

    return call


def test_the_first_release_follows_nothing(check):
    check(ledger(), A, "1.0")


@pytest.mark.parametrize("version", ["1.1", "1.0.post1", "2.0rc1", "1!0.1"])
def test_a_higher_version_on_a_descending_commit_may_follow(check, version):
    check(ledger((A, "1.0", "one")), B, version)


@pytest.mark.parametrize("version", ["0.9", "1.0rc1", "1.0.dev3", "0!0.9.9"])
def test_an_older_version_is_refused_however_well_it_is_attested(check, version):
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "one")), B, version)
    assert error.value.code == "promotion.not-newer"
    assert error.value.message == (
        f"production: {version.removeprefix('0!')} is not newer than what runs there "
        f"(got {version.removeprefix('0!')}, expected more than 1.0)"
    )
    assert f"scripts/gatehouse rollback production --to sha256:{B}" in error.value.fix


@pytest.mark.parametrize("version", ["1.0", "1.0.0", "v1.0"])
def test_the_same_version_with_another_digest_is_refused(check, version):
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "one")), B, version)
    assert error.value.code == "promotion.same-version"
    assert "was another image there (got bbbbbbbbbbbb, expected aaaaaaaaaaaa)" in error.value.message


def test_a_version_that_ran_before_a_rollback_stays_taken(check):
    """Attack: have the old release run, then promote other bytes under the version that was rolled back from."""
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "one"), (B, "1.1", "two"), (A, "1.0", "one")), C, "1.1", "three")
    assert error.value.code == "promotion.same-version"


def test_what_was_rolled_back_from_may_be_promoted_again(check):
    check(ledger((A, "1.0", "one"), (B, "1.1", "two"), (A, "1.0", "one")), B, "1.1")


def test_a_commit_of_another_line_is_refused(check):
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "three")), B, "1.1", "two")
    assert error.value.code == "promotion.not-descended"
    assert error.value.message == (
        "production: 1.1 does not descend from what runs there (got commit two of refs/heads/main, "
        "expected a descendant of three)"
    )


def test_a_hotfix_branch_that_the_policy_names_need_not_descend(check):
    check(ledger((A, "1.0", "three")), B, "1.0.1", "two", ref=HOTFIX, hotfix=(HOTFIX,))
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "three")), B, "1.0.1", "two", ref=HOTFIX)
    assert error.value.code == "promotion.not-descended"


def test_a_hotfix_has_to_be_newer_all_the_same(check):
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "three")), B, "0.9.1", "two", ref=HOTFIX, hotfix=(HOTFIX,))
    assert error.value.code == "promotion.not-newer"


def test_nothing_that_names_no_branch_is_a_hotfix(check):
    with pytest.raises(Refused, match="of no branch"):
        check(ledger((A, "1.0", "three")), B, "1.1", "two", ref="", hotfix=(HOTFIX,))


@pytest.mark.parametrize("version", ["one", "", "1..0"])
def test_what_is_no_version_cannot_be_compared(check, version):
    with pytest.raises(Refused) as error:
        check(ledger((A, "1.0", "one")), B, version)
    assert error.value.code == "promotion.unversioned"
    assert "expected versions as PEP 440 writes them" in error.value.message


def test_in_an_unordered_environment_anything_follows_anything(check):
    check(ledger((A, "1.0", "three"), environment="development"), B, "0.1", "one", unordered=("development",))


def test_an_environment_is_not_skipped():
    before = ledger((A, "1.0", "one"), environment="staging")
    check_order(before, "production", A)
    check_order(None, "development", B)
    with pytest.raises(Refused) as error:
        check_order(before, "production", B)
    assert (error.value.code, error.value.message) == (
        "promotion.skipped",
        f"production: sha256:{B} was not promoted to staging (got no entry in its ledger, expected one)",
    )


def test_what_runs_is_the_last_promotion():
    ran = ledger((A, "1.0", "one"), (B, "1.1", "two"))
    assert (is_running(ran, B), is_running(ran, A), is_running(ledger(), A)) == (True, False, False)
