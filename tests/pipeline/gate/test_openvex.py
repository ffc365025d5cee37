"""Exceptions as OpenVEX 0.2.0: who is not affected and why, who is and until when."""

from datetime import UTC, datetime

import pytest

from pipeline.gate.exceptions import PolicyException
from pipeline.gate.openvex import openvex
from pipeline.model.digests import Digest
from pipeline.model.documents import validate

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IMAGE = Digest("1" * 64)


def exception(**changes):
    written = {
        "id": "EX-1",
        "code": "vulnerabilities.deadline",
        "finding": "CVE-2026-0001",
        "environments": ["staging", "production"],
        "owner": "the platform team",
        "reason": "the code is in the wheel and nothing imports it",
        "ticket": "SEC-1",
        "created": "2026-11-01",
        "expires": "2026-12-31",
        **changes,
    }
    return validate(PolicyException, written, what="exception")


def document(*exceptions):
    return openvex(exceptions, "production", IMAGE, "noticeboard", "acme/app", NOW)


def test_a_justified_exception_says_that_the_image_is_not_affected():
    made = document(
        exception(justification="vulnerable_code_not_in_execute_path", component="pkg:pypi/tornado@6.5"),
    )
    assert made["@id"].startswith("https://gatehouse.dev/vex/")
    assert {name: value for name, value in made.items() if name != "@id"} == {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "author": "acme/app",
        "role": "policy of production",
        "timestamp": "2026-11-20T12:00:00Z",
        "version": 1,
        "statements": [
            {
                "vulnerability": {"name": "CVE-2026-0001"},
                "products": [
                    {
                        "@id": f"pkg:oci/noticeboard@sha256%3A{'1' * 64}",
                        "hashes": {"sha-256": "1" * 64},
                        "subcomponents": [{"@id": "pkg:pypi/tornado@6.5"}],
                    }
                ],
                "status_notes": "EX-1, SEC-1, by the platform team: the code is in the wheel and nothing imports it",
                "timestamp": "2026-11-01T00:00:00Z",
                "status": "not_affected",
                "justification": "vulnerable_code_not_in_execute_path",
            }
        ],
    }


def test_an_accepted_risk_says_that_the_image_is_affected_and_until_when():
    [statement] = document(exception())["statements"]
    assert statement["status"] == "affected"
    assert statement["action_statement"] == "accepted until the end of 2026-12-31, then a fix or a new decision"
    assert "justification" not in statement
    assert "subcomponents" not in statement["products"][0]


def test_the_same_exceptions_give_the_same_document_and_others_another():
    assert document(exception()) == document(exception())
    assert document(exception())["@id"] != document(exception(finding="CVE-2026-0002"))["@id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"environments": ["staging"]},
        {"expires": "2026-11-19"},
        {"created": "2026-11-21"},
        {"image": "sha256:" + "2" * 64},
        {"finding": None, "component": "pkg:pypi/tornado"},
        {"code": "hardening.attributes", "finding": "NO_SHELL"},
    ],
)
def test_what_is_no_exception_on_a_vulnerability_in_force_says_nothing(changes):
    assert document(exception(**changes)) is None
    assert len(document(exception(**changes), exception(id="EX-2"))["statements"]) == 1
