"""The verdict as SARIF 2.1.0 (OASIS), for code scanning: refusals are errors, warnings are warnings.

A result's place is the line of the policy that asks for it: an image has none that an editor could open.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.gate.judgement import Finding, Judgement, rfc3339
from pipeline.gate.policy import ENVIRONMENTS_FILE, RULES_FILE
from pipeline.gate.verify_command import Release
from pipeline.model.digests import Digest
from pipeline.report.text import printable, split_message

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULE = re.compile(r'^id = "([a-z0-9.-]+)"', re.MULTILINE)
_ENVIRONMENT = re.compile(r'^name = "([a-z0-9-]+)"', re.MULTILINE)


def render(judgement: Judgement, release: Release, policies: Path) -> bytes:
    """One run with one result for each refusal and warning; UTF-8."""
    places = _places(policies, judgement.environment)
    found = [*(("error", one) for one in judgement.refusals), *(("warning", one) for one in judgement.warnings)]
    rules = _rules([finding for _, finding in found], release)
    run = {
        "tool": {"driver": _driver(rules)},
        "automationDetails": {"id": f"gatehouse/{judgement.environment}/"},
        "invocations": [{"executionSuccessful": True, "endTimeUtc": rfc3339(judgement.time)}],
        "properties": {
            "image": str(judgement.image),
            "environment": judgement.environment,
            "result": judgement.result,
            "policy": f"sha256:{judgement.policy}",
            "levels": list(judgement.levels),
        },
        "results": [_result(level, one, judgement, [rule["id"] for rule in rules], places) for level, one in found],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()


def _driver(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "Gatehouse", "semanticVersion": __version__, "rules": rules}


def _rules(findings: Sequence[Finding], release: Release) -> list[dict[str, Any]]:
    """A descriptor of each code that was found: a rule's title, or what the judge's message begins with."""
    titles = {compiled.rule.id: compiled.rule.title for compiled in release.policy.rules}
    first = {finding.code: finding for finding in reversed(findings)}
    return [
        {
            "id": code,
            "shortDescription": {"text": titles.get(code) or printable(split_message(finding.message)[0])},
            "help": {"text": printable(finding.fix)},
        }
        for code, finding in sorted(first.items())
    ]


def _result(
    level: str, finding: Finding, judgement: Judgement, codes: Sequence[str], places: dict[str, tuple[str, int]]
) -> dict[str, Any]:
    file, line = places.get(finding.code) or places.get("", (ENVIRONMENTS_FILE, 1))
    subject = split_message(finding.message)[0]
    same = f"{finding.code}\n{judgement.environment}\n{finding.kind or ''}\n{subject}"
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": level,
        "message": {"text": f"{printable(finding.message)}\nfix: {printable(finding.fix)}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": f"policies/{file}", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": line},
                },
                "logicalLocations": [{"fullyQualifiedName": str(judgement.image), "kind": "module"}],
            }
        ],
        # The same finding on the next image is the same alert.
        "partialFingerprints": {"gatehouse/v1": Digest.of(same.encode()).hex},
    }


def _places(policies: Path, environment: str) -> dict[str, tuple[str, int]]:
    """Code of a rule to file and line; the empty code is where the environment is described."""
    return {
        **{code: (RULES_FILE, line) for code, line in _lines(policies / RULES_FILE, _RULE)},
        "": next(
            (
                (ENVIRONMENTS_FILE, line)
                for name, line in _lines(policies / ENVIRONMENTS_FILE, _ENVIRONMENT)
                if name == environment
            ),
            (ENVIRONMENTS_FILE, 1),
        ),
    }


def _lines(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, int]]:
    text = path.read_text(encoding="utf-8")
    for found in pattern.finditer(text):
        yield found[1], text.count("\n", 0, found.start()) + 1
