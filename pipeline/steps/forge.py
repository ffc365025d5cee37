"""GitHub's REST API, read only: strict answers from one host, with a limit on everything.

Source: GitHub REST API, version 2022-11-28 (https://docs.github.com/rest).
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from pydantic import BaseModel, ConfigDict

from pipeline.model.documents import D, parse_json, validate
from pipeline.model.errors import CannotEvaluate, Misuse

VERSION = "2022-11-28"
TIMEOUT = 30
LIMIT = 8 * 1024 * 1024
PAGE = 100
MAX_PAGES = 20
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9._-]{1,100}")


class Answer(BaseModel):
    """Base of what the API answers: typed where it is read, whatever else it holds is not looked at."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


@dataclass(frozen=True, kw_only=True, slots=True)
class Forge:
    """Where a job's repository is, as its CI says."""

    api: str
    """Address of the API, without a slash at its end."""
    repository: str
    """``owner/name``."""
    ref: str
    """What the run is for: ``refs/heads/main``, ``refs/tags/v1.0.0``."""
    token: str = field(repr=False)


def check_forge(forge: Forge) -> Forge:
    """Raises Misuse (``source.repository``, ``source.api``): a token goes to no address in the clear."""
    if not _REPOSITORY.fullmatch(forge.repository):
        raise Misuse(
            "source.repository",
            f"GITHUB_REPOSITORY: not a repository (got {forge.repository[:80]!r}, expected owner/name)",
            fix="run the step in a job of GitHub Actions, which sets it",
        )
    address = urlsplit(forge.api)
    loopback = address.hostname in ("127.0.0.1", "::1", "localhost")
    if not address.hostname or address.scheme not in (("http", "https") if loopback else ("https",)):
        raise Misuse(
            "source.api",
            f"GITHUB_API_URL: not an address to send a token to (got {forge.api[:80]!r}, expected https://host)",
            fix="run the step in a job of GitHub Actions, which sets it",
        )
    return forge


class GitHub:
    """Asks one repository of one forge."""

    def __init__(self, forge: Forge) -> None:
        self._forge = check_forge(forge)
        self._base = f"{forge.api.rstrip('/')}/repos/{forge.repository}"

    def get(self, model: type[D], path: str, **parts: str | int) -> D:
        """The answer to GET ``path`` below the repository; ``parts`` fill its braces, quoted.

        Raises CannotEvaluate (``source.unknown``, ``source.forbidden``, ``source.unreachable``, ``source.unreadable``).
        """
        filled = _filled(path, parts)
        return self._typed(model, self._ask(filled, {}), filled)

    def pages(self, model: type[D], path: str, **parts: str | int) -> list[D]:
        """Every item of a list, page by page; raises as ``get`` does, and ``source.too-many``."""
        return list(self._items(model, _filled(path, parts)))

    def _items(self, model: type[D], path: str) -> Iterator[D]:
        for page in range(1, MAX_PAGES + 1):
            items = self._ask(path, {"per_page": str(PAGE), "page": str(page)})
            if not isinstance(items, list):
                raise _unreadable(path, f"{type(items).__name__}", "a list")
            yield from (self._typed(model, item, path) for item in items)
            if len(items) < PAGE:
                return
        raise CannotEvaluate(
            "source.too-many",
            f"GitHub {path}: too many items (got more than {MAX_PAGES * PAGE}, expected fewer)",
            fix="split the change: nobody reviews one of that size",
        )

    def _typed(self, model: type[D], value: Any, path: str) -> D:
        try:
            return validate(model, value, what=f"GitHub {path}")
        except CannotEvaluate as error:
            raise _unreadable(path, error.message, "GitHub's documented answer") from error

    def _ask(self, path: str, query: Mapping[str, str]) -> Any:
        status, content = self._fetch(path, query)
        if status == 404:
            raise CannotEvaluate(
                "source.unknown",
                f"GitHub {path}: not found (got HTTP 404, expected it in {self._forge.repository})",
                fix="push the commit first, and give the job `contents: read` and `pull-requests: read`",
            )
        if status in (401, 403, 429):
            raise CannotEvaluate(
                "source.forbidden",
                f"GitHub {path}: no access (got HTTP {status}, expected 200)",
                fix="give the job `contents: read` and `pull-requests: read`; wait where its rate limit is spent",
            )
        if status != 200:
            raise _unreachable(path, f"HTTP {status}")
        try:
            return parse_json(content, what=f"GitHub {path}", limit=LIMIT)
        except CannotEvaluate as error:
            raise _unreadable(path, error.message, "one JSON document") from error

    def _fetch(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        import requests  # noqa: PLC0415 - a tenth of a second that other steps do not need

        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": VERSION,
            "Authorization": f"Bearer {self._forge.token}",
        }
        address, deadline, content = f"{self._base}{path}", time.monotonic() + TIMEOUT, bytearray()
        try:
            # NOTE: requests would take another password from ~/.netrc, and carry the token to where it is sent on.
            with requests.Session() as session:
                session.trust_env = False
                session.proxies = getproxies()
                answer = session.get(
                    address, params=query, headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
                )
                for chunk in answer.iter_content(1 << 16):
                    content += chunk
                    if len(content) > LIMIT or time.monotonic() > deadline:
                        raise _unreachable(path, "an answer without end")
        except (requests.RequestException, OSError) as error:
            raise _unreachable(path, type(error).__name__) from None  # its text may hold what was sent
        return answer.status_code, bytes(content)


def _filled(path: str, parts: Mapping[str, str | int]) -> str:
    """``parts`` quoted into ``path``: a name with ``../`` or ``?`` in it stays a name."""
    return path.format(**{name: quote(str(part), safe="") for name, part in parts.items()})


def _unreachable(path: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "source.unreachable",
        f"GitHub {path}: no answer (got {got}, expected HTTP 200 within {TIMEOUT} seconds)",
        fix="run the job again; if it stays, look at GitHub's status page and the job's egress policy",
    )


def _unreadable(path: str, got: str, expected: str) -> CannotEvaluate:
    return CannotEvaluate(
        "source.unreadable",
        f"GitHub {path}: not readable (got {got[:300]}, expected {expected})",
        fix="run the job again; if it stays, the API has changed: take a newer version of the pipeline",
    )
