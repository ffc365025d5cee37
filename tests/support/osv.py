"""A real OSV-compatible server on loopback, with planted advisories and every way of answering badly.

OSV API v1: ``POST /v1/query``, ``POST /v1/querybatch``, ``GET /v1/vulns/<id>``, pages by ``next_page_token``.
"""

import json
from types import TracebackType
from typing import Any, Literal, Self

from packaging.version import Version

from tests.support.loopback import Reply, Request, loopback

Manner = Literal["well", "not-found", "html", "error", "hang", "half", "cut", "empty", "other-json"]

#: What a living feed knows of the canary, under an id of its own and with the CVE as alias.
CANARY = {
    "id": "PYSEC-2017-94",
    "aliases": ["CVE-2013-7459"],
    "modified": "2024-01-01T00:00:00Z",
    "published": "2017-02-15T15:59:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "pycrypto"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }
    ],
}


def advisory(
    id_: str, package: str, *, introduced: str = "0", fixed: str | None = None, vector: str | None = None, **fields: Any
) -> dict[str, Any]:
    """An OSV record; ``vector`` is a CVSS 3 or 4 vector, ``fields`` are further fields of the record."""
    events = [{"introduced": introduced}, *([{"fixed": fixed}] if fixed else [])]
    record: dict[str, Any] = {
        "schema_version": "1.6.0",
        "id": id_,
        "modified": "2026-11-02T00:00:00Z",
        "published": "2026-11-01T08:30:00.123456Z",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        ],
    }
    if vector:
        record["severity"] = [{"type": "CVSS_V4" if vector.startswith("CVSS:4") else "CVSS_V3", "score": vector}]
    return record | fields


def _affects(record: dict[str, Any], name: str, version: str) -> bool:
    for affected in record.get("affected", []):
        if affected["package"] != {"ecosystem": "PyPI", "name": name}:
            continue
        for interval in affected["ranges"]:
            inside = False
            for event in interval["events"]:
                if "introduced" in event:
                    inside |= event["introduced"] == "0" or Version(version) >= Version(event["introduced"])
                elif Version(version) >= Version(event["fixed"]):
                    inside = False
            if inside:
                return True
    return False


class OsvServer:
    """Serves ``records`` on a loopback port for as long as its context lives."""

    def __init__(self, *records: dict[str, Any], canary: bool = True, page: int = 100, manner: Manner = "well") -> None:
        self.records = {record["id"]: record for record in (*records, *([CANARY] if canary else []))}
        self.page = page
        self.manner: Manner = manner

    def __enter__(self) -> Self:
        self._context = loopback(self._reply)
        self.address = self._context.__enter__().origin
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, value, trace)

    def _reply(self, request: Request) -> Reply:
        status, document = self._answer(request)
        content = json.dumps(document).encode()
        bad = {
            "not-found": Reply(404, b"{}"),
            "html": Reply(200, b"<!doctype html><title>Sign in</title>"),
            "error": Reply(500, b"{}"),
            "hang": Reply(200, content, hang=30),
            "half": Reply(200, content[: len(content) // 2]),
            "cut": Reply(200, content[: len(content) // 2], announce=len(content)),
            "empty": Reply(200, b""),
            "other-json": Reply(200, b'["hello"]'),
        }
        return bad.get(self.manner, Reply(status, content))

    def _answer(self, request: Request) -> tuple[int, Any]:
        if request.path == "/v1/query":
            return 200, self._query(json.loads(request.body), full=True)
        if request.path == "/v1/querybatch":
            return 200, {"results": [self._query(q, full=False) for q in json.loads(request.body)["queries"]]}
        record = self.records.get(request.path.removeprefix("/v1/vulns/"))
        return (200, record) if record else (404, {"code": 5, "message": "Bug not found."})

    def _query(self, query: dict[str, Any], *, full: bool) -> dict[str, Any]:
        name, version = query["package"]["name"], query["version"]
        matching = [record for record in self.records.values() if _affects(record, name, version)]
        start = int(query.get("page_token", "0"))
        shown, left = matching[start : start + self.page], matching[start + self.page :]
        vulns = shown if full else [{"id": record["id"], "modified": record["modified"]} for record in shown]
        return ({"vulns": vulns} if vulns else {}) | ({"next_page_token": str(start + self.page)} if left else {})
