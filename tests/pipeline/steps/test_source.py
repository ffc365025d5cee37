"""What the forge says of a commit, asked of a server that answers as GitHub does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.model.errors import CannotEvaluate, GatehouseError, Misuse, Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Status
from pipeline.model.predicates import SourcePredicate, parse_predicate
from pipeline.steps import source
from pipeline.steps.job import Job
from tests.support import forge as support
from tests.support.forge import TOKEN, Hub, person, reviewed_commit
from tests.support.jobs import make_job
from tests.support.loopback import Reply

HEAD, OTHER = "c" * 40, "d" * 40


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return make_job(tmp_path_factory.mktemp("clone"), {"service/__init__.py": ""})


@pytest.fixture
def hub(local: Job) -> Iterator[Hub]:
    with support.hub() as found:
        reviewed_commit(found, local.source.commit, local.source.tree, head=HEAD)
        yield found


@pytest.fixture
def job(local: Job, hub: Hub) -> Job:
    return replace(local, forge=hub.forge())


def read(job: Job) -> SourcePredicate:
    outcome = source.run(job)
    [evidence] = outcome.evidence
    assert evidence.kind is Kind.SOURCE
    predicate = parse_predicate(Kind.SOURCE, evidence.predicate)
    assert isinstance(predicate, SourcePredicate)
    return predicate


def refusal(job: Job) -> GatehouseError:
    with pytest.raises(GatehouseError) as caught:
        source.run(job)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_without_a_forge_it_is_skipped_and_says_why(local: Job):
    outcome = source.run(local)
    assert (outcome.status, outcome.evidence) == (Status.SKIPPED, [])
    assert "only a CI job can say who reviewed a commit" in outcome.finding


def test_a_reviewed_change_is_told_with_its_author_reviewer_and_head(job: Job):
    found = read(job)
    assert (found.commit, found.tree, found.repository) == (job.source.commit, job.source.tree, "team/noticeboard")
    assert found.change is not None
    assert (found.change.number, found.change.author, found.change.authors) == (7, "author", ["author"])
    assert [(r.reviewer, r.state, r.head) for r in found.change.reviews] == [("reviewer", "APPROVED", HEAD)]
    assert found.change.head == HEAD
    assert found.tag is None


def test_the_finding_is_one_line_for_people(job: Job):
    assert source.run(job).finding == f"{job.source.commit[:12]} on main: change 7, 1 approvals"


def test_the_rules_of_the_branch_have_a_digest_that_does_not_hang_on_their_order(job: Job, hub: Hub):
    before = read(job).branch
    assert before.rules == ["non_fast_forward", "pull_request"]
    hub.answers["/rules/branches/main"].reverse()
    assert read(job).branch.digest == before.digest
    hub.answers["/rules/branches/main"][1]["parameters"] = {"required_approving_review_count": 0}
    assert read(job).branch.digest != before.digest


@pytest.mark.parametrize(
    ("status", "contains"), [("identical", True), ("behind", True), ("ahead", False), ("diverged", False)]
)
def test_a_commit_is_on_the_branch_or_not(job: Job, hub: Hub, status: str, contains: bool):
    hub.answers[f"/compare/main...{job.source.commit}"] = {"status": status}
    assert read(job).branch.contains is contains


class TestReviews:
    def said(self, *reviews: tuple[str, str, str | None]) -> list[dict[str, Any]]:
        return [{"user": person(who), "state": state, "commit_id": head} for who, state, head in reviews]

    def read(self, job: Job, hub: Hub, *reviews: tuple[str, str, str | None]) -> list[tuple[str, str, str | None]]:
        hub.answers["/pulls/7/reviews"] = self.said(*reviews)
        change = read(job).change
        assert change is not None
        return [(one.reviewer, one.state, one.head) for one in change.reviews]

    def test_each_reviewers_last_word_counts(self, job: Job, hub: Hub):
        assert self.read(job, hub, ("ann", "APPROVED", HEAD), ("ann", "CHANGES_REQUESTED", HEAD)) == [
            ("ann", "CHANGES_REQUESTED", HEAD)
        ]

    def test_a_comment_takes_no_approval_back(self, job: Job, hub: Hub):
        assert self.read(job, hub, ("ann", "APPROVED", HEAD), ("ann", "COMMENTED", OTHER)) == [
            ("ann", "APPROVED", HEAD)
        ]

    def test_an_approval_keeps_the_commit_that_it_was_given_for(self, job: Job, hub: Hub):
        assert self.read(job, hub, ("ann", "APPROVED", OTHER)) == [("ann", "APPROVED", OTHER)]

    def test_a_reviewer_whose_account_is_gone_is_unknown(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/reviews"] = [{"user": None, "state": "APPROVED", "commit_id": HEAD}]
        change = read(job).change
        assert change is not None
        assert change.reviews[0].reviewer == source.NOBODY

    def test_what_is_no_hash_is_refused_before_it_is_evidence(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/reviews"] = [{"user": person("ann"), "state": "APPROVED", "commit_id": "main"}]
        assert refusal(job).code == "source.unreadable"

    def test_more_than_a_page_is_read_whole(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/reviews"] = self.said(*((f"r{n:03}", "APPROVED", HEAD) for n in range(203)))
        change = read(job).change
        assert change is not None
        assert len(change.reviews) == 203


class TestChange:
    def test_everybody_who_wrote_a_part_is_an_author(self, job: Job, hub: Hub):
        first = hub.answers["/pulls/7/commits"][0]
        hub.answers["/pulls/7/commits"] += [first | {"author": person("second"), "committer": person("third")}]
        change = read(job).change
        assert change is not None
        assert change.authors == ["author", "second", "third"]

    def test_a_commit_by_no_account_has_an_unknown_author(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/commits"][0]["author"] = None
        change = read(job).change
        assert change is not None
        assert change.authors == [source.NOBODY]

    @pytest.mark.parametrize(
        "changed",
        [{"merged_at": None}, {"merge_commit_sha": OTHER}, {"base": {"ref": "other"}}],
        ids=["not merged", "merged as another commit", "merged elsewhere"],
    )
    def test_a_change_that_did_not_make_the_commit_is_none(self, job: Job, hub: Hub, changed: dict[str, Any]):
        hub.answers[f"/commits/{job.source.commit}/pulls"][0] |= changed
        assert read(job).change is None

    def test_a_commit_that_was_pushed_has_no_change(self, job: Job, hub: Hub):
        hub.answers[f"/commits/{job.source.commit}/pulls"] = []
        assert read(job).change is None
        assert source.run(job).finding.endswith("no change that was reviewed")


class TestTag:
    @pytest.fixture
    def tagged(self, local: Job, hub: Hub) -> Job:
        hub.answers["/git/ref/tags/v1.0.0"] = {"ref": "refs/tags/v1.0.0", "object": {"type": "tag", "sha": OTHER}}
        hub.answers[f"/git/tags/{OTHER}"] = {
            "object": {"type": "commit", "sha": local.source.commit},
            "verification": {"verified": True, "reason": "valid"},
        }
        return replace(local, forge=hub.forge("refs/tags/v1.0.0"))

    def test_a_signed_tag_is_told_with_what_it_points_to(self, tagged: Job):
        tag = read(tagged).tag
        assert tag is not None
        assert (tag.name, tag.commit, tag.signed, tag.reason) == ("v1.0.0", tagged.source.commit, True, "valid")

    def test_a_tag_whose_signature_does_not_hold_is_unsigned(self, tagged: Job, hub: Hub):
        hub.answers[f"/git/tags/{OTHER}"]["verification"] = {"verified": False, "reason": "unknown_key"}
        tag = read(tagged).tag
        assert tag is not None
        assert (tag.signed, tag.reason) == (False, "unknown_key")

    def test_a_lightweight_tag_is_unsigned(self, tagged: Job, hub: Hub):
        hub.answers["/git/ref/tags/v1.0.0"]["object"] = {"type": "commit", "sha": tagged.source.commit}
        tag = read(tagged).tag
        assert tag is not None
        assert (tag.signed, tag.reason) == (False, "not an annotated tag")

    def test_a_name_is_quoted_into_the_address(self, local: Job, hub: Hub):
        error = refusal(replace(local, forge=hub.forge("refs/tags/../../../other/repo")))
        assert error.code == "source.unknown"
        assert hub.server is not None
        assert hub.server.requests[-1].path.endswith("/git/ref/tags/..%2F..%2F..%2Fother%2Frepo")


class TestRefusals:
    def test_another_tree_than_the_forges_is_refused(self, job: Job, hub: Hub):
        hub.answers[f"/commits/{job.source.commit}"]["commit"]["tree"]["sha"] = OTHER
        error = refusal(job)
        assert isinstance(error, Refused)
        assert error.code == "source.differs"
        assert error.message.startswith("source: not what the forge has (got commit ")

    @pytest.mark.parametrize(
        ("reply", "code", "message"),
        [
            (Reply(404, b"{}"), "source.unknown", "not found (got HTTP 404, expected it in team/noticeboard)"),
            (Reply(403, b"{}"), "source.forbidden", "no access (got HTTP 403, expected 200)"),
            (Reply(502, b"bad"), "source.unreachable", "no answer (got HTTP 502, expected HTTP 200 within 30 seconds)"),
            (Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), "source.unreachable", "no answer (got HTTP 302"),
            (Reply(200, b"<html>"), "source.unreadable", "expected one JSON document)"),
            (Reply(200, b'{"sha": 1}'), "source.unreadable", "expected GitHub's documented answer)"),
            (Reply(200, b"", raw=b"garbage\r\n\r\n"), "source.unreachable", "no answer (got ConnectionError"),
        ],
        ids=["unknown", "forbidden", "down", "redirect", "no JSON", "other JSON", "no HTTP"],
    )
    def test_an_answer_that_is_none_cannot_be_evaluated(
        self, job: Job, hub: Hub, reply: Reply, code: str, message: str
    ):
        hub.answers[f"/commits/{job.source.commit}"] = reply
        error = refusal(job)
        assert isinstance(error, CannotEvaluate)
        assert error.code == code
        assert message in error.message

    def test_a_list_without_end_is_refused(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/reviews"] = hub.answers["/pulls/7/reviews"] * 2001
        assert refusal(job).code == "source.too-many"

    def test_an_object_where_a_list_belongs_is_refused(self, job: Job, hub: Hub):
        hub.answers["/pulls/7/reviews"] = {"message": "surprise"}
        error = refusal(job)
        assert (error.code, error.message) == (
            "source.unreadable",
            "GitHub /pulls/7/reviews: not readable (got dict, expected a list)",
        )

    @pytest.mark.parametrize("api", ["", "http://api.example", "ftp://api.example", "https://"])
    def test_a_token_goes_to_no_address_in_the_clear(self, job: Job, api: str):
        assert job.forge is not None
        error = refusal(replace(job, forge=replace(job.forge, api=api)))
        assert isinstance(error, Misuse)
        assert error.code == "source.api"

    @pytest.mark.parametrize("repository", ["", "team", "../x", "team/a/b", "team/a?b"])
    def test_a_name_that_is_no_repository_is_refused(self, job: Job, repository: str):
        assert job.forge is not None
        error = refusal(replace(job, forge=replace(job.forge, repository=repository)))
        assert isinstance(error, Misuse)
        assert error.code == "source.repository"

    def test_a_server_that_is_not_there_is_unreachable(self, job: Job):
        assert job.forge is not None
        error = refusal(replace(job, forge=replace(job.forge, api="http://127.0.0.1:1")))
        assert error.code == "source.unreachable"


def test_the_token_shows_in_no_text_of_the_forge(job: Job):
    assert TOKEN not in repr(job) + str(job.forge)


def _edge(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Callable[[], Any]:
    from pipeline.commands import edge  # noqa: PLC0415

    for name in ("GITHUB_ACTIONS", "GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_REF"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return edge.forge


def test_the_command_line_takes_the_forge_from_the_job(monkeypatch: pytest.MonkeyPatch):
    found = _edge(
        monkeypatch,
        GITHUB_ACTIONS="true",
        GITHUB_TOKEN=TOKEN,
        GITHUB_API_URL="https://api.example",
        GITHUB_REPOSITORY="team/x",
        GITHUB_REF="refs/heads/main",
    )()
    assert (found.api, found.repository, found.ref) == ("https://api.example", "team/x", "refs/heads/main")


def test_a_job_without_a_token_has_no_forge(monkeypatch: pytest.MonkeyPatch):
    assert _edge(monkeypatch, GITHUB_ACTIONS="true")() is None


def test_a_token_outside_a_job_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert _edge(monkeypatch, GITHUB_TOKEN=TOKEN)() is None
