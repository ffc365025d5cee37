"""GitHub's REST API on loopback, as far as the pipeline asks it: one repository, whatever a test plants in it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.steps.forge import Forge
from tests.support.loopback import Loopback, Reply, Request, loopback

REPOSITORY = "team/noticeboard"
TOKEN = "ghs_" + "t" * 36


@dataclass
class Hub:
    """``answers``: path below the repository to what it answers, a list being given out in pages."""

    answers: dict[str, Any] = field(default_factory=dict)
    server: Loopback | None = None

    def forge(self, ref: str = "refs/heads/main", repository: str = REPOSITORY) -> Forge:
        assert self.server is not None
        return Forge(api=self.server.origin, repository=repository, ref=ref, token=TOKEN)

    def answer(self, request: Request) -> Reply:
        address = urlsplit(request.path)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Reply(401, b'{"message": "Bad credentials"}')
        path = unquote(address.path).removeprefix(f"/repos/{REPOSITORY}")
        found = self.answers.get(path)
        if isinstance(found, Reply):
            return found
        if found is None:
            return Reply(404, b'{"message": "Not Found"}')
        if isinstance(found, list):
            query = parse_qs(address.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            found = found[(page - 1) * size : page * size]
        return Reply(200, json.dumps(found).encode(), {"Content-Type": "application/json"})


@contextmanager
def hub() -> Iterator[Hub]:
    found = Hub()
    with loopback(found.answer) as server:
        found.server = server
        yield found


def person(login: str) -> dict[str, Any]:
    return {"login": login, "id": 1, "type": "User"}


def reviewed_commit(hub: Hub, commit: str, tree: str, *, head: str, branch: str = "main") -> None:
    """``commit`` on the branch, merged from change 7 by ``author``, approved at ``head`` by ``reviewer``."""
    said = {
        "sha": commit,
        "commit": {"tree": {"sha": tree}},
        "author": person("author"),
        "committer": person("web-flow"),
    }
    hub.answers |= {
        f"/commits/{commit}": said,
        f"/compare/{branch}...{commit}": {"status": "identical", "ahead_by": 0},
        f"/rules/branches/{branch}": [
            {"type": "pull_request", "ruleset_id": 1, "parameters": {"required_approving_review_count": 1}},
            {"type": "non_fast_forward", "ruleset_id": 1},
        ],
        f"/commits/{commit}/pulls": [
            {
                "number": 7,
                "user": person("author"),
                "head": {"sha": head, "ref": "work"},
                "base": {"ref": branch},
                "merge_commit_sha": commit,
                "merged_at": "2026-11-20T10:00:00Z",
            }
        ],
        "/pulls/7/commits": [said | {"sha": head}],
        "/pulls/7/reviews": [
            {"user": person("reviewer"), "state": "APPROVED", "commit_id": head, "submitted_at": "2026-11-20T09:00:00Z"}
        ],
    }
