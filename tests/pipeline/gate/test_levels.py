"""Levels follow from who signed and what was found, and one that somebody claims counts for nothing."""

from dataclasses import replace

import pytest

from pipeline.gate.exceptions import PolicyException
from pipeline.gate.levels import DEADLINES_MET, HARDENED, HARDENING_ATTRIBUTES, OWN, REPRODUCED
from pipeline.gate.signers import GithubSigner
from pipeline.image.hardening import ATTRIBUTES
from tests.support import release

BUILD = ".github/workflows/build.yml"
CALLER = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
BUILDER = "https://gatehouse.dev/builders/composer/github"


def build_level(judgement):
    assert judgement.passed, judgement.refusals
    return judgement.levels[0]


@pytest.fixture
def building(policy):
    """The policy of a team whose build.yml builds by itself, at one reviewed commit, and signs the provenance."""
    builder = GithubSigner.model_validate(
        {
            "type": "github",
            "root": "public",
            "workflow": BUILD,
            "ref": "refs/heads/main",
            "triggers": ("push",),
            "digests": ("f" * 40,),
            "builder": BUILDER,
        }
    )
    staging = policy.environment("staging")
    signers = staging.signers.model_copy(update={"kinds": {**staging.signers.kinds, "provenance": ("build",)}})
    return replace(
        policy,
        signers={**policy.signers, "build": builder},
        environments=(staging.model_copy(update={"signers": signers}),),
    )


def built_by(workflow=BUILD, **changes):
    """A hosted release whose provenance ``workflow`` signed, called by release.yml."""
    made = release.hosted()
    identity = release.github(workflow, **{"caller": CALLER, **changes})
    made["provenance"] = release.piece(
        "provenance", release.predicates()["provenance"], root="public", identity=identity
    )
    digests = {name: one.digest for name, one in made.items() if name != "evidence-list"}
    made["evidence-list"] = release.piece(
        "evidence-list", release.evidence_list(digests), root="public", identity=release.github()
    )
    return made


def test_a_machine_that_vouches_for_itself_reaches_level_1(judged):
    assert build_level(judged(release.pieces())) == "SLSA_BUILD_LEVEL_1"


def test_a_hosted_workflow_that_signs_what_jobs_hand_to_it_reaches_level_2(judged):
    assert build_level(judged(release.hosted(caller=CALLER), "staging")) == "SLSA_BUILD_LEVEL_2"


def test_a_reviewed_workflow_that_builds_by_itself_reaches_level_3(judged, building):
    assert build_level(judged(built_by(), "staging", policy=building)) == "SLSA_BUILD_LEVEL_3"


@pytest.mark.parametrize(
    "caller", ["", f"https://github.com/acme/app/{BUILD}@refs/heads/main", f"https://github.com/acme/app/{BUILD}@x"]
)
def test_a_builder_that_no_other_workflow_called_stays_at_level_2(judged, building, caller):
    assert build_level(judged(built_by(caller=caller), "staging", policy=building)) == "SLSA_BUILD_LEVEL_2"


def test_a_workflow_that_is_another_builder_than_its_provenance_names_stays_at_level_2(judged, building):
    other = building.signers["build"].model_copy(update={"builder": "https://gatehouse.dev/builders/engine/github"})
    policy = replace(building, signers={**building.signers, "build": other})
    assert build_level(judged(built_by(), "staging", policy=policy)) == "SLSA_BUILD_LEVEL_2"


def test_a_builder_at_a_commit_that_nobody_reviewed_is_not_even_trusted(judged, building):
    judgement = judged(built_by(workflow_digest="0" * 40), "staging", policy=building)
    assert {finding.code for finding in judgement.refusals} == {"signer.untrusted"}


def test_what_somebodys_machine_built_stays_at_level_1_although_a_hosted_workflow_signed_it(judged):
    """Attack: hand an image from a laptop to the workflow that signs."""
    predicates = release.predicates()
    predicates["provenance"]["runDetails"]["builder"]["id"] = "https://gatehouse.dev/builders/composer/local"
    assert build_level(judged(release.hosted(predicates))) == "SLSA_BUILD_LEVEL_1"


def test_of_two_provenances_the_lower_level_counts(judged):
    made = release.pieces(listed=False)
    made["hosted"] = release.piece(
        "provenance", release.predicates()["provenance"], root="public", identity=release.github()
    )
    digests = {name: one.digest for name, one in made.items() if name != "hosted"}
    listed = release.evidence_list(digests)
    listed["references"].append({**listed["references"][1], "digest": {"sha256": made["hosted"].digest}})
    made["evidence-list"] = release.piece("evidence-list", listed)
    assert build_level(judged(made)) == "SLSA_BUILD_LEVEL_1"


def test_a_builder_is_named_with_its_reviewed_digests_or_not_at_all():
    with pytest.raises(ValueError, match="should name the reviewed digests of a workflow that is a builder"):
        GithubSigner.model_validate_json(
            f'{{"type": "github", "root": "public", "workflow": "{BUILD}", "ref": "refs/heads/main", '
            f'"triggers": ["push"], "builder": "{BUILDER}"}}'
        )


# Our own levels


def test_a_release_with_everything_has_all_of_our_own_levels(judged):
    assert judged(release.pieces()).levels[1:] == OWN


def test_no_level_of_ours_takes_a_name_of_slsas():
    assert not [name for name in OWN if name.startswith("SLSA_")]


def test_every_property_that_the_image_step_looks_for_counts_towards_hardened():
    assert set(ATTRIBUTES) == HARDENING_ATTRIBUTES


@pytest.mark.parametrize(
    ("name", "level"),
    [("reproduction", REPRODUCED), (f"hardening@{release.PLATFORM}", HARDENED), ("vulnerabilities", DEADLINES_MET)],
)
def test_without_its_evidence_a_level_is_not_reached(judged, policy, name, level):
    predicates = release.predicates()
    del predicates[name]
    kind = name.partition("@")[0]
    development = policy.environment("development")
    required = tuple(one for one in development.required if one != kind)
    lenient = replace(policy, environments=(development.model_copy(update={"required": required}),))
    judgement = judged(release.pieces(predicates), policy=lenient)
    assert judgement.passed
    assert level not in judgement.levels
    assert len(judgement.levels) == 3


def test_a_property_that_this_environment_does_not_ask_for_is_still_one_of_hardened(judged):
    predicates = release.predicates()
    hardening = predicates[f"hardening@{release.PLATFORM}"]
    hardening["attributes"] = [one for one in hardening["attributes"] if one["attribute"] != "NO_SHELL"]
    judgement = judged(release.pieces(predicates))
    assert judgement.passed
    assert HARDENED not in judgement.levels


def test_a_property_under_conditions_is_none(judged):
    predicates = release.predicates()
    predicates[f"hardening@{release.PLATFORM}"]["attributes"][0]["conditions"] = {"when": "asked nicely"}
    assert HARDENED not in judged(release.pieces(predicates)).levels


def test_a_reproduction_in_which_nothing_passed_reproduced_nothing(judged):
    predicates = release.predicates()
    predicates["reproduction"]["passedTests"] = []
    judgement = judged(release.pieces(predicates))
    assert judgement.passed
    assert REPRODUCED not in judgement.levels


def test_a_warning_about_the_audit_leaves_the_deadlines_unproved(judged):
    predicates = release.predicates()
    predicates["vulnerabilities"]["gatehouse_coverage"]["unaudited"] = {"pkg:deb/debian/libc6@2": "no feed"}
    judgement = judged(release.pieces(predicates))
    assert judgement.passed
    assert DEADLINES_MET not in judgement.levels


def test_a_policy_that_asks_about_no_deadline_proves_none(judged, policy):
    lenient = replace(policy, rules=tuple(one for one in policy.rules if one.rule.id != "vulnerabilities.deadline"))
    assert DEADLINES_MET not in judged(release.pieces(), policy=lenient).levels


def test_a_stranger_can_take_no_level_away(judged):
    evil = release.github(".github/workflows/other.yml")
    failed = {**release.predicates()["reproduction"], "result": "FAILED"}
    stranger = release.piece("reproduction", failed, identity=evil, root="public")
    judgement = judged({**release.pieces(), "stranger": stranger})
    assert judgement.levels[1:] == OWN


def test_what_only_a_superseded_list_names_reaches_nothing(judged):
    made = release.pieces()
    digests = {name: one.digest for name, one in made.items() if name not in ("evidence-list", "reproduction")}
    successor = release.evidence_list(digests, sequence=2, previous=made["evidence-list"].digest)
    made["successor"] = release.piece("evidence-list", successor)
    judgement = judged(made)
    assert judgement.passed
    assert REPRODUCED not in judgement.levels


def test_an_exception_that_excuses_a_deadline_meets_none(judged, policy):
    predicates = release.predicates()
    predicates["vulnerabilities"]["scanner"]["result"] = [release.finding("high", "2020-01-01T00:00:00Z")]
    excused = PolicyException(
        id="EX-1",
        code="vulnerabilities.deadline",
        finding="GHSA-0000",
        environments=("development",),
        owner="rita@example.org",
        reason="the part of it that is vulnerable is not in use here",
        ticket="ACME-1",
        created=release.NOW.date(),
        expires=release.NOW.date(),
    )
    judgement = judged(release.pieces(predicates), policy=replace(policy, exceptions=(excused,)))
    assert judgement.passed
    assert judgement.exceptions == ("EX-1",)
    assert DEADLINES_MET not in judgement.levels
