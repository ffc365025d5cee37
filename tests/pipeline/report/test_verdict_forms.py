"""One verdict in every form: the same findings in each, and nothing foreign that could deceive a reader."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.gate.evidence import Memory
from pipeline.gate.policy import load_policy
from pipeline.gate.verify_command import Release
from pipeline.report import verdict_html, verdict_junit, verdict_sarif, verdict_text
from pipeline.report.terminal import Terminal
from pipeline.report.verdict_account import account_of, as_json
from tests.support import release

POLICIES = Path(__file__).parents[3] / "policies"
WIDE = Terminal(width=100, colour=False, utf8=True)
LABELS = {"org.opencontainers.image.title": "noticeboard", "org.opencontainers.image.version": "1.4.0"}


@pytest.fixture(scope="module")
def policy():
    return replace(load_policy(POLICIES), repository="acme/app")


@pytest.fixture
def told(policy):
    """(release, judgement, account) of changed predicates."""

    def call(change=lambda predicates: None, environment="development", *, made=release.pieces, labels=LABELS):
        predicates = release.predicates()
        change(predicates)
        image = replace(release.IMAGE, labels=labels)
        one = Release(image=image, evidence=tuple(made(predicates).values()), policy=policy, memory=Memory())
        judgement = one.judged(environment, release.NOW)
        return one, judgement, account_of(one, judgement)

    return call


def failing(predicates):
    predicates["tests"]["result"] = "FAILED"
    predicates["tests"]["failedTests"] = ["test_a"]


def without_smoke(predicates):
    del predicates[f"smoke@{release.PLATFORM}"]


HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[2J\x00]]>\n  refused: forged"


def hostile(predicates):
    predicates["provenance"]["runDetails"]["builder"]["id"] = HOSTILE


def result_of(account, code, about):
    return [check.result for check in account.checks if (check.code, check.about) == (code, about)]


def test_a_check_is_told_as_passed_refused_or_not_looked_at(told):
    _, _, account = told(failing)
    assert result_of(account, "tests.result", "tests") == ["refused"]
    assert result_of(account, "tests.coverage", "tests") == ["passed"]
    _, _, account = told(without_smoke, "staging", made=release.hosted)
    assert result_of(account, "smoke.result", "smoke") == ["not looked at"]
    assert result_of(account, "evidence.missing", "smoke") == ["refused"]


def test_every_finding_belongs_to_exactly_one_check(told):
    for change, environment, made in (
        (failing, "development", release.pieces),
        (hostile, "production", release.pieces),
        (without_smoke, "staging", release.hosted),
    ):
        _, judgement, account = told(change, environment, made=made)
        in_checks = sorted(line for check in account.checks for line in check.findings)
        findings = [*judgement.refusals, *judgement.warnings]
        assert in_checks == sorted(f"{one.code}: {one.message}" for one in findings)
        refused = {line.partition(":")[0] for c in account.checks if c.result == "refused" for line in c.findings}
        assert refused == {one.code for one in judgement.refusals}


def test_a_finding_of_a_code_that_no_check_knows_is_told_by_its_code(told):
    one, judgement, _ = told(failing)
    strange = replace(judgement, refusals=(replace(judgement.refusals[0], code="novelty.found"),))
    checks = account_of(one, strange).checks
    assert [(check.title, check.result) for check in checks if check.code == strange.refusals[0].code] == [
        ("novelty.found", "refused")
    ]


def test_it_says_what_the_image_is_and_who_built_it_from_what(told):
    _, _, account = told()
    assert (account.subject.name, account.subject.version) == ("noticeboard", "1.4.0")
    assert account.build.builder == "https://gatehouse.dev/builders/composer/github"
    assert account.build.source.commit == release.COMMIT
    assert (account.build.packages, account.build.trusted) == ({"pypi": 1}, True)


def test_provenance_of_a_stranger_is_told_as_a_claim(told):
    _, judgement, account = told(environment="staging")
    assert account.build.trusted is False
    text = verdict_text.render(judgement, account, WIDE)
    assert "(a claim: its signer is not trusted" in text
    assert "https://local.gatehouse.invalid/developer, who is not trusted here" in text
    assert "it is a claim" in verdict_html.render(judgement, account).decode()


def test_without_provenance_nobody_says_who_built_it(told):
    _, judgement, account = told(lambda predicates: predicates.pop("sbom@linux/amd64"), made=no_provenance)
    assert account.build is None
    assert "no provenance is attached" in verdict_text.render(judgement, account, WIDE)
    assert "no provenance is attached" in verdict_html.render(judgement, account).decode()


def no_provenance(predicates):
    made = release.pieces(predicates)
    del made["provenance"]
    return made


def test_the_text_ends_with_the_verdict_and_each_refusal_with_its_fix(told):
    _, judgement, account = told(failing)
    text = verdict_text.render(judgement, account, WIDE)
    assert "\ndevelopment: FAILED as of 2026-11-20T12:00:00Z\n" in text
    assert (
        "  refused: tests.result: tests: did not pass (got FAILED, failed: 1, expected PASSED, failed: 0)\n"
        "    fix: mend what fails: `scripts/nox -s tests` shows it\n" in text
    )
    assert text.endswith(f"policy sha256:{judgement.policy}\n")


def test_a_verdict_that_passes_names_its_levels(told):
    _, judgement, account = told()
    assert f"as of 2026-11-20T12:00:00Z, {judgement.levels[0]}" in verdict_text.render(judgement, account, WIDE)


def test_no_line_is_forged_and_no_control_character_reaches_the_terminal(told):
    _, judgement, account = told(hostile)
    for utf8 in (True, False):
        text = verdict_text.render(judgement, account, Terminal(width=100, colour=False, utf8=utf8))
        assert not set(text) & {"\x1b", "\x00", "\u202e", "\r"}
        assert "\n  refused: forged" not in text


def test_the_json_is_the_verdict_with_the_account_beside_it(told):
    _, judgement, account = told(failing)
    read = json.loads(as_json(judgement, account))
    assert {key: read[key] for key in judgement.to_json()} == json.loads(json.dumps(judgement.to_json()))
    assert read["build"]["source"]["commit"] == release.COMMIT
    assert read["subject"]["platforms"] == {release.PLATFORM: str(release.IMAGE.digest)}
    assert {"about", "code", "findings", "fixes", "result", "title"} == set(read["checks"][0])


def test_the_json_is_ascii_so_that_it_can_land_on_a_terminal(told):
    _, judgement, account = told(hostile)
    assert as_json(judgement, account).isascii()


def parsed(content):
    return ET.fromstring(content)  # noqa: S314 - our own


def test_junit_has_a_case_for_each_check_and_counts_that_hold(told):
    _, judgement, account = told(failing)
    suites = parsed(verdict_junit.render(judgement, account))
    cases = suites.findall("testsuite/testcase")
    assert len(cases) == len(account.checks) == int(suites.get("tests"))
    for suite in (suites, *suites.findall("testsuite")):
        assert int(suite.get("tests")) == len(suite.findall(".//testcase"))
        assert int(suite.get("failures")) == len(suite.findall(".//failure"))
        assert int(suite.get("skipped")) == len(suite.findall(".//skipped"))
    (failure,) = suites.findall(".//failure")
    assert failure.get("type") == "tests.result"
    assert failure.get("message").startswith("tests.result: tests: did not pass (got FAILED")
    assert "fix: mend what fails" in failure.text


def test_junit_skips_what_there_was_no_evidence_for(told):
    _, judgement, account = told(without_smoke, "staging", made=release.hosted)
    suites = parsed(verdict_junit.render(judgement, account))
    skipped = {
        case.get("name").partition(":")[0] for case in suites.iter("testcase") if case.find("skipped") is not None
    }
    assert "smoke.result" in skipped


def test_junit_is_xml_whatever_the_evidence_holds(told):
    _, judgement, account = told(hostile)
    text = verdict_junit.render(judgement, account)
    suites = parsed(text)
    assert any("<script>" in (case.findtext("failure") or "") for case in suites.iter("testcase"))
    assert b"<script>" not in text


#: Properties of each SARIF object that is written here (SARIF 2.1.0, the section in brackets); all else is refused
#: by the standard's schema, in which no object but a property bag takes others.
SARIF = {
    "log": {"$schema", "version", "runs"},  # 3.13
    "run": {"tool", "automationDetails", "invocations", "properties", "results"},  # 3.14
    "driver": {"name", "semanticVersion", "rules"},  # 3.19
    "rule": {"id", "shortDescription", "help"},  # 3.49
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"},  # 3.27
    "location": {"physicalLocation", "logicalLocations"},  # 3.28
    "physical": {"artifactLocation", "region"},  # 3.29
}


def test_sarif_has_a_result_for_each_finding_with_its_rule(told):
    one, judgement, _ = told(failing)
    log = json.loads(verdict_sarif.render(judgement, one, POLICIES))
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (log["version"], set(log), set(run), set(driver)) == ("2.1.0", SARIF["log"], SARIF["run"], SARIF["driver"])
    assert [result["level"] for result in run["results"]] == ["error"] * len(judgement.refusals)
    for result in run["results"]:
        assert set(result) == SARIF["result"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert set(driver["rules"][result["ruleIndex"]]) == SARIF["rule"]
        assert set(result["locations"][0]) == SARIF["location"]
        assert set(result["locations"][0]["physicalLocation"]) == SARIF["physical"]


def test_sarif_points_at_the_line_of_the_rule_or_of_the_environment(told):
    def line_of(result):
        place = result["locations"][0]["physicalLocation"]
        lines = (POLICIES.parent / place["artifactLocation"]["uri"]).read_text().splitlines()
        return lines[place["region"]["startLine"] - 1]

    one, judgement, _ = told(failing, "staging", made=release.hosted)
    results = json.loads(verdict_sarif.render(judgement, one, POLICIES))["runs"][0]["results"]
    assert 'id = "tests.result"' in [line_of(result) for result in results]
    one, judgement, _ = told(without_smoke, "staging", made=release.hosted)
    results = json.loads(verdict_sarif.render(judgement, one, POLICIES))["runs"][0]["results"]
    assert [line_of(result) for result in results if result["ruleId"] == "evidence.missing"] == ['name = "staging"']


def test_the_same_finding_on_another_image_is_the_same_alert(told):
    one, judgement, _ = told(failing)
    other = replace(judgement, image=type(judgement.image)("2" * 64), policy="f" * 64)
    first, second = (json.loads(verdict_sarif.render(j, one, POLICIES)) for j in (judgement, other))
    prints = [[r["partialFingerprints"] for r in log["runs"][0]["results"]] for log in (first, second)]
    assert prints[0] == prints[1]


class Page(HTMLParser):
    """The elements of the page, and whether every one is closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("change", [failing, hostile, without_smoke])
def test_the_page_is_whole_runs_nothing_and_fetches_nothing(told, change):
    _, judgement, account = told(change, "staging")
    text = verdict_html.render(judgement, account).decode()
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "default-src 'none'; style-src 'sha256-" in text
    assert "\u202e" not in text


def test_the_page_tells_what_refuses_and_how_to_mend_it(told):
    _, judgement, account = told(failing)
    text = verdict_html.render(judgement, account).decode()
    assert "Refused for development: 1 reason." in text
    assert "mend what fails: `scripts/nox -s tests` shows it" in text
    assert str(Path(account.subject.name)) in text
