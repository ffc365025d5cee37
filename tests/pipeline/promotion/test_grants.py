"""Who may grant what to whom, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.kinds import Kind
from pipeline.promotion.grants import Asked, find_grant, read_grant_file
from pipeline.signing.identities import LOCAL_IDENTITY


@pytest.fixture(scope="module")
def grant(two_releases):
    return two_releases.grant


@pytest.fixture(scope="module")
def whole(grant):
    return grant()


@pytest.fixture(scope="module")
def asking(two_releases):
    ledger, roots = two_releases.ledger(), two_releases.gate().roots

    def ask(*grants, policy=two_releases.policy, **changes):
        asked = Asked(
            action="rollback",
            ledger=ledger,
            image=two_releases.digest("1.0").hex,
            requester=LOCAL_IDENTITY,
            signer=LOCAL_IDENTITY,
            now=datetime.now(UTC),
        )
        return find_grant(grants, replace(asked, **changes), policy, roots)

    return ask


def refused(asking, *grants, **changes):
    with pytest.raises(Refused) as error:
        asking(*grants, **changes)
    return error.value


def test_a_grant_that_fits_counts(asking, grant):
    found = asking(grant())
    assert (found.person.identity, found.predicate.reason) == ("rita@example.org", "1.1 loses messages")


def test_none_is_refused_with_what_to_ask_for(asking):
    error = refused(asking)
    assert error.code == "grant.missing"
    assert "scripts/gatehouse grant rollback development --image sha256:" in error.fix
    assert f"--requester {LOCAL_IDENTITY} " in error.fix


@pytest.mark.parametrize(
    ("code", "fragment", "granted"),
    [
        ("grant.requester", "for somebody else (got https://github.com/eve", {"requester": "https://github.com/eve"}),
        ("grant.other", "expected rollback of", {"action": "revocation"}),
        ("grant.other", "got rollback of", {"version": "1.1"}),
        ("grant.other", "in laboratory, expected rollback", {"environments": ("laboratory",)}),
        ("grant.signer", "by nobody whom the policy names (got identity (got eve@example.org", {"by": "eve"}),
    ],
)
def test_a_grant_of_something_else_does_not_count(asking, grant, code, fragment, granted):
    error = refused(asking, grant(**granted))
    assert (error.code, fragment in error.message) == (code, True), error.message


def test_who_may_not_grant_says_less_than_who_may(asking, grant):
    stranger, other = grant(by="eve"), grant(requester="tom")
    assert refused(asking, stranger, other).code == refused(asking, other, stranger).code == "grant.requester"


def test_of_several_grants_the_one_that_fits_counts(asking, grant):
    found = asking(grant(by="eve"), b"no bundle", grant(requester="x"), grant(by="tom"))
    assert found.person.identity == "tom@example.org"


@pytest.mark.parametrize("asker", ["rita@example.org", "https://github.com/rita-l", "RITA@example.org"])
def test_nobody_grants_what_they_ask_for(asking, grant, asker):
    """Attack: ask under the name that one has on GitHub."""
    error = refused(asking, grant(requester=asker), requester=asker)
    assert (error.code, error.message) == (
        "grant.self",
        "grant: by who asks for it (got rita@example.org, expected another person)",
    )


def test_who_has_no_login_in_the_policy_grants_nothing_that_a_login_asks_for(asking, grant):
    """Attack: nobody knows that tom is https://github.com/tom-t."""
    asker = "https://github.com/tom-t"
    error = refused(asking, grant(by="tom", requester=asker), requester=asker)
    assert (error.code, "by somebody of no known login (got tom@example.org" in error.message) == ("grant.self", True)


def test_who_signs_the_entry_does_not_grant_it_either(asking, grant):
    """Attack: say that somebody else asked."""
    asker = "https://github.com/tom"
    assert refused(asking, grant(requester=asker), requester=asker, signer="rita@example.org").code == "grant.self"


def test_names_are_one_name_however_they_are_written(asking, grant):
    assert asking(grant(requester="https://github.com/Tom"), requester="https://github.com/tom")


def test_an_expired_grant_does_not_count(asking, grant):
    error = refused(asking, grant(hours=1), now=datetime.now(UTC) + timedelta(hours=2))
    assert (error.code, "grant: does not count now (got " in error.message) == ("grant.expired", True)


def test_a_grant_from_the_future_does_not_count(asking, grant):
    assert refused(asking, grant(), now=datetime.now(UTC) - timedelta(hours=2)).code == "grant.expired"


def test_a_grant_that_lives_too_long_does_not_count(asking, grant, two_releases):
    strict = two_releases.policy.succession.model_copy(update={"grant_days": 2})
    error = refused(asking, grant(hours=100), policy=replace(two_releases.policy, succession=strict))
    assert (error.code, error.message) == ("grant.long", "grant: for too long (got 4.2 days, expected at most 2 days)")


def test_where_the_policy_names_nobody_nobody_grants(asking, grant, two_releases):
    def bare(one):
        kinds = {kind: names for kind, names in one.signers.kinds.items() if kind != Kind.GRANT}
        return one.model_copy(update={"signers": one.signers.model_copy(update={"kinds": kinds})})

    policy = two_releases.policy
    policy = replace(policy, environments=tuple(bare(one) for one in policy.environments))
    error = refused(asking, grant(), policy=policy)
    assert (error.code, "nobody may grant a rollback there" in error.message) == ("grant.nobody", True)


def test_a_person_of_a_root_that_does_not_count_there_does_not_count(asking, grant, two_releases):
    rita = two_releases.policy.signers["rita"].model_copy(update={"root": "public"})
    policy = replace(two_releases.policy, signers={**two_releases.policy.signers, "rita": rita})
    error = refused(asking, grant(), policy=policy)
    assert (error.code, "trust root (got local, expected public)" in error.message) == ("grant.signer", True)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"hours": 0}, "--hours"),
        ({"hours": 24 * 8}, "--hours"),
        ({"reason": "  "}, "--reason"),
        ({"reason": "a\nb"}, "--reason"),
        ({"reason": "x" * 1001}, "--reason"),
        ({"requester": ""}, "--requester"),
    ],
)
def test_a_grant_that_could_never_count_is_not_signed(grant, changes, option):
    with pytest.raises(Misuse) as error:
        grant(**changes)
    assert (error.value.code, error.value.message.startswith(option)) == ("grant.arguments", True)


def test_a_file_holds_one_grant():
    assert read_grant_file(b"{}\n", "grant.json") == b"{}"
    for content in (b"", b"\n", b"{}\n{}\n"):
        with pytest.raises(CannotEvaluate) as error:
            read_grant_file(content, "grant.json")
        assert error.value.code == "grant.unreadable"


@given(noise=st.binary(max_size=80), at=st.floats(0, 1))
def test_bytes_written_over_a_grant_never_make_another_one(asking, two_releases, whole, noise, at):
    start = int(at * len(whole))
    changed = whole[:start] + noise + whole[start + len(noise) :]
    try:
        found = asking(changed, noise)
    except Refused:
        return
    assert found.predicate == asking(whole).predicate
