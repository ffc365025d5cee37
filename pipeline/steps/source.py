"""The ``source`` step: what the forge says of the commit, its change, its reviews, its tag and its branch.

1. The commit is the one that is built, tree and all.
2. It is on the protected branch.
3. The rules of that branch, as a digest that policy may pin.
4. The change that brought it, who wrote it, and each reviewer's last word with the commit that it was said of.
5. For a tag: what it points to, and whether its signature was verified.

Nothing is judged here but what would make the evidence speak of something else: rules do that.
"""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import ConfigDict, Field

from pipeline import __version__
from pipeline.model.context import GitHash
from pipeline.model.digests import Digest
from pipeline.model.documents import canonical_json
from pipeline.model.errors import Refused
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Outcome, Status
from pipeline.model.predicates import Change, Line, Protection, Review, SignedTag, SourcePredicate, dump
from pipeline.steps.forge import Answer, Forge, GitHub
from pipeline.steps.job import Job

NOBODY = "unknown"
"""Stands for an author whom the forge cannot name: GitHub says null for an address of no account."""
_TAG = "refs/tags/"
#: A review that was only written counts for nothing, and leaves the reviewer's earlier word as it was.
_DECISIVE = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


class _Person(Answer):
    login: Line


class _Hash(Answer):
    sha: GitHash


class _Verification(Answer):
    verified: bool
    reason: Line


class _GitCommit(Answer):
    tree: _Hash


class _Commit(Answer):
    sha: GitHash
    commit: _GitCommit
    author: _Person | None = None
    committer: _Person | None = None


class _Comparison(Answer):
    status: Literal["identical", "behind", "ahead", "diverged"]


class _Rule(Answer):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    type: Line


class _Base(Answer):
    ref: str


class _Pull(Answer):
    number: int = Field(ge=1)
    user: _Person | None
    head: _Hash
    base: _Base
    merge_commit_sha: GitHash | None
    merged_at: str | None


class _Review(Answer):
    user: _Person | None
    state: str
    commit_id: GitHash | None


class _Object(Answer):
    type: str
    sha: GitHash


class _Ref(Answer):
    object: _Object


class _Tag(Answer):
    object: _Object
    verification: _Verification = Field(default_factory=lambda: _Verification(verified=False, reason="absent"))


def run(job: Job) -> Outcome:
    """SKIPPED outside a job that has a forge. Raises Refused (``source.*``), Misuse and CannotEvaluate."""
    if job.forge is None:
        return Outcome(
            status=Status.SKIPPED,
            finding="no forge to ask: only a CI job can say who reviewed a commit; none was asked",
        )
    predicate = read_source_evidence(job, job.forge)
    return Outcome(
        status=Status.PASSED,
        finding=_line(predicate),
        evidence=[Evidence(kind=Kind.SOURCE, predicate=dump(predicate))],
    )


def read_source_evidence(job: Job, forge: Forge) -> SourcePredicate:
    github, branch = GitHub(forge), job.settings.source.branch
    _check_commit(job, github.get(_Commit, "/commits/{sha}", sha=job.source.commit))  # 1
    return SourcePredicate(
        gatehouse_context=job.context("gatehouse", __version__),
        repository=forge.repository,
        commit=job.source.commit,
        tree=job.source.tree,
        branch=_protection(github, branch, job.source.commit),  # 2, 3
        change=_change(github, branch, job.source.commit),  # 4
        tag=_tag(github, forge.ref.removeprefix(_TAG)) if forge.ref.startswith(_TAG) else None,  # 5
    )


def _check_commit(job: Job, commit: _Commit) -> None:
    got, expected = (commit.sha, commit.commit.tree.sha), (job.source.commit, job.source.tree)
    if got != expected:
        raise Refused(
            "source.differs",
            f"source: not what the forge has (got commit {expected[0][:12]} with tree {expected[1][:12]}, "
            f"expected {got[0][:12]} with {got[1][:12]})",
            fix="build what was pushed: a clean checkout of the commit, without changes to its files",
        )


def _protection(github: GitHub, branch: str, commit: str) -> Protection:
    comparison = github.get(_Comparison, "/compare/{base}...{head}", base=branch, head=commit)
    rules = [rule.model_dump() for rule in github.pages(_Rule, "/rules/branches/{branch}", branch=branch)]
    return Protection(
        name=branch,
        contains=comparison.status in ("identical", "behind"),
        rules=sorted({str(rule["type"]) for rule in rules}),
        digest=_digest(rules),
    )


def _digest(rules: Iterable[dict[str, Any]]) -> str:
    """SHA-256 over the rules in force, whatever the order in which they are listed."""
    return Digest.of(canonical_json(sorted(rules, key=canonical_json))).hex


def _change(github: GitHub, branch: str, commit: str) -> Change | None:
    """The merged change whose merge made the commit, None where it came otherwise."""
    pulls = github.pages(_Pull, "/commits/{sha}/pulls", sha=commit)
    made = [one for one in pulls if one.merged_at and one.merge_commit_sha == commit and one.base.ref == branch]
    if len(made) != 1:
        return None
    pull = made[0]
    commits = github.pages(_Commit, "/pulls/{number}/commits", number=pull.number)
    people = (person for one in commits for person in (one.author, one.committer))
    return Change(
        number=pull.number,
        author=_login(pull.user),
        # GitHub itself commits what is edited on its pages.
        authors=sorted({_login(person) for person in people} - {"web-flow"}),
        head=pull.head.sha,
        reviews=_reviews(github.pages(_Review, "/pulls/{number}/reviews", number=pull.number)),
    )


def _login(person: _Person | None) -> str:
    return NOBODY if person is None else person.login


def _reviews(found: Iterable[_Review]) -> list[Review]:
    """Each reviewer's last decisive word, as the API lists them: oldest first."""
    last = {_login(one.user): one for one in found if one.state in _DECISIVE}
    return [
        Review(reviewer=reviewer, state=one.state, head=one.commit_id)  # type: ignore[arg-type] # of _DECISIVE
        for reviewer, one in sorted(last.items())
    ]


def _tag(github: GitHub, name: str) -> SignedTag:
    found = github.get(_Ref, "/git/ref/tags/{name}", name=name).object
    if found.type != "tag":
        return SignedTag(name=name, commit=found.sha, signed=False, reason="not an annotated tag")
    tag = github.get(_Tag, "/git/tags/{sha}", sha=found.sha)
    return SignedTag(name=name, commit=tag.object.sha, signed=tag.verification.verified, reason=tag.verification.reason)


def _line(source: SourcePredicate) -> str:
    change = source.change
    approvals = sum(review.state == "APPROVED" for review in change.reviews) if change else 0
    through = f"change {change.number}, {approvals} approvals" if change else "no change that was reviewed"
    tag = "" if source.tag is None else f", tag {source.tag.name} {'signed' if source.tag.signed else 'unsigned'}"
    there = "on" if source.branch.contains else "not on"
    return f"{source.commit[:12]} {there} {source.branch.name}: {through}{tag}"
