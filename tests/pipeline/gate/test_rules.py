"""CEL rules: what compiles, what allows, and what each shipped rule lets through and refuses."""

import copy
from datetime import timedelta

import pytest

from pipeline.gate.rules import Rule, View, compile_rule
from pipeline.model.documents import canonical_json, validate
from pipeline.model.errors import CannotEvaluate
from tests.support import release

P = release.PLATFORM


def rule(allow: str, got: str = '"x"', expected: str = '"y"') -> Rule:
    written = {
        "id": "tests.example",
        "title": "An example of a rule",
        "kinds": ["tests"],
        "allow": allow,
        "got": got,
        "expected": expected,
        "message": "tests: example (got {got}, expected {expected})",
        "fix": "do otherwise",
    }
    return validate(Rule, written, what="rule")


def seen(predicate):
    return View(
        predicate=predicate,
        limits={"coverage_percent": 80},
        deadlines={"high": 7},
        signer={},
        environment="development",
        verified=release.SIGNED,
        now=release.NOW,
    )


def message(allow, predicate, **shown):
    refusal = compile_rule(rule(allow, **shown)).refusal(seen(predicate))
    return refusal and refusal.message


def test_exactly_true_allows():
    assert message("predicate.ok == true", {"ok": True}) is None


@pytest.mark.parametrize(
    ("allow", "predicate"),
    [
        ("predicate.ok == true", {"ok": False}),
        ("predicate.ok == true", {}),  # NOTE: evaluates to an ERROR whose value is a truthy string
        ("predicate.number / 0 == 1", {"number": 1}),
        ("predicate.number > 1", {"number": "many"}),
        ("predicate.number > 1", {"number": None}),
        ("predicate.number > 1", {"number": 2**70}),
        ("predicate.text == predicate.text", {"text": "\ud800"}),  # raises instead
        ("predicate.items.all(a, predicate.items.all(b, a + b >= 0))", {"items": list(range(3000))}),  # raises: budget
        ('timestamp(predicate.text) < now || timestamp("nonsense") < now', {"text": "nonsense"}),
    ],
)
def test_false_an_error_and_a_missing_field_refuse_alike(allow, predicate):
    assert message(allow, predicate) == "tests: example (got x, expected y)"


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        ("predicate.", "1:11: Syntax error"),
        ("coverage >= 90", "undeclared reference to 'coverage'"),
        ("1 == 1.0", "found no matching overload"),
        ("predicate.ok", "no yes or no (got type DYN, expected BOOL)"),
        ('"true"', "no yes or no (got type STRING, expected BOOL)"),
        ("dyn(true)", "no yes or no (got type DYN, expected BOOL)"),
    ],
)
def test_what_is_no_comparison_is_refused_when_loaded(allow, said):
    with pytest.raises(CannotEvaluate) as error:
        compile_rule(rule(allow))
    assert error.value.code == "policy.expression"
    assert said in error.value.message


def test_what_shows_the_reader_is_compiled_when_loaded_too():
    with pytest.raises(CannotEvaluate, match=r"rule tests\.example: got does not compile"):
        compile_rule(rule("true", got="nonsense"))


@pytest.mark.parametrize(
    ("got", "shown"),
    [
        ("predicate.list", "a, b, c, d, e and 2 more"),
        ("predicate.empty", "none"),
        ("predicate.map.filter(key, true)", "a, b, c, d, e and 2 more"),
        ("predicate.number", "97.5"),
        ("predicate.truth", "true"),
        ("predicate.text", "a?[31mb"),
        ("predicate.missing", "no value: NOT_FOUND: Key not found in map : ?missing?".replace("?", '"')),
    ],
)
def test_values_are_shown_in_one_printable_line(got, shown):
    predicate = {
        "map": dict.fromkeys("gfedcba", 1),
        "list": list("gabcdef"),
        "empty": [],
        "number": 97.5,
        "truth": True,
        "text": "a\x1b[31mb",
    }
    assert message("false", predicate, got=got) == f"tests: example (got {shown}, expected y)"


def _set(*path, to):
    def change(predicate):
        *parents, last = path
        for name in parents:
            predicate = predicate[name]
        if to is ...:
            del predicate[last]
        else:
            predicate[last] = to

    return change


M, C, V = "gatehouse_measures", "gatehouse_coverage", "vulnerabilities"
FEED = {"name": "osv", "answered": True, "age_seconds": 0, "note": ""}
SOME_TESTS = "expected at least 1 test, 0 failures, 0 errors"
PASSED = "expected PASSED, failed: 0"
RESULTS = {
    "sast.result": ("sast", "sast: Bandit found something"),
    "workflows.result": ("workflows", "workflows: did not pass"),
    "dependencies.result": ("dependencies", "dependencies: did not pass"),
    "reproduction.result": ("reproduction", "reproduction: the builds differ"),
    "tests.result": ("tests", "tests: did not pass"),
}
REFUSED = [
    *(
        (code, kind, "production", _set("result", to=result), f"{said} (got {result}, failed: 0, {PASSED})")
        for code, (kind, said) in RESULTS.items()
        for result in ("FAILED", "WARNED")
    ),
    *(
        (code, kind, "development", _set("failedTests", to=["x"]), f"{said} (got PASSED, failed: 1, {PASSED})")
        for code, (kind, said) in RESULTS.items()
    ),
    (
        "tests.count",
        "tests",
        "development",
        _set(M, "tests", to=0),
        f"tests: too few or failing (got 0 tests, 0 failures, 0 errors, {SOME_TESTS})",
    ),
    (
        "tests.count",
        "tests",
        "development",
        _set(M, "failures", to=2),
        f"tests: too few or failing (got 12 tests, 2 failures, 0 errors, {SOME_TESTS})",
    ),
    (
        "tests.count",
        "tests",
        "development",
        _set(M, "errors", to=1),
        f"tests: too few or failing (got 12 tests, 0 failures, 1 errors, {SOME_TESTS})",
    ),
    (
        "tests.coverage",
        "tests",
        "development",
        _set(M, "coverage_percent", to=79.99),
        "tests: coverage is too low (got 79.99, expected at least 80 percent)",
    ),
    (
        "tests.coverage",
        "tests",
        "production",
        _set(M, "coverage_percent", to=...),
        (
            'tests: coverage is too low (got no value: NOT_FOUND: Key not found in map : "coverage_percent", '
            "expected at least 90 percent)"
        ),
    ),
    (
        "sast.high",
        "sast",
        "development",
        _set(M, "findings_high", to=1),
        "sast: findings of high severity (got 1, expected at most 0)",
    ),
    (
        "sast.medium",
        "sast",
        "development",
        _set(M, "findings_medium", to=3),
        "sast: findings of medium severity (got 3, expected at most 0)",
    ),
    (
        "vulnerabilities.deadline",
        V,
        "development",
        _set("scanner", "result", to=[release.finding("high", "2026-10-20T00:00:00Z")]),
        (
            "vulnerabilities: past the deadline (got GHSA-0000 in tornado 6.0 of 2026-10-20T00:00:00Z, high, "
            "due after 30 days, expected a fix inside the deadline)"
        ),
    ),
    (
        "vulnerabilities.deadline",
        V,
        "production",
        _set("scanner", "result", to=[release.finding("unknown", "2026-11-05T00:00:00Z")]),
        (
            "vulnerabilities: past the deadline (got GHSA-0000 in tornado 6.0 of 2026-11-05T00:00:00Z, unknown, "
            "due after 14 days, expected a fix inside the deadline)"
        ),
    ),
    (
        "vulnerabilities.undated",
        V,
        "development",
        _set("scanner", "result", to=[release.finding("low", None)]),
        (
            "vulnerabilities: advisory without a date that can be (got GHSA-0000 in tornado, "
            "expected advisories with their dates)"
        ),
    ),
    (
        "vulnerabilities.undated",
        V,
        "production",
        _set("scanner", "result", to=[release.finding("low", "2099-01-01T00:00:00Z")]),
        (
            "vulnerabilities: advisory without a date that can be (got GHSA-0000 in tornado, "
            "expected advisories with their dates)"
        ),
    ),
    (
        "vulnerabilities.critical",
        V,
        "staging",
        _set("scanner", "result", to=[release.finding("critical", "2026-11-20T00:00:00Z")]),
        "vulnerabilities: a critical one (got GHSA-0000 in tornado, expected none that is critical)",
    ),
    (
        "vulnerabilities.canary",
        V,
        "staging",
        _set(C, "canary", to=False),
        "vulnerabilities: the feed finds nothing (got canary found: false, expected canary found: true)",
    ),
    (
        "vulnerabilities.unaudited",
        V,
        "staging",
        _set(C, "unaudited", to={"pkg:pypi/tornado@6.5": "no data"}),
        "vulnerabilities: Python packages without an answer (got 1: pkg:pypi/tornado@6.5, expected none)",
    ),
    (
        "vulnerabilities.unaudited",
        V,
        "development",
        _set(C, "unaudited", to=dict.fromkeys(["pkg:pypi/d@1", "pkg:pypi/b@1", "pkg:cargo/a@1", "pkg:deb/c@1"], "no")),
        (
            "vulnerabilities: Python packages without an answer (got 3: pkg:cargo/a@1, pkg:pypi/b@1, pkg:pypi/d@1, "
            "expected none)"
        ),
    ),
    (
        "vulnerabilities.unaudited-base",
        V,
        "staging",
        _set(C, "unaudited", to=dict.fromkeys([*(f"pkg:deb/{name}@1" for name in "edcba"), "pkg:pypi/a@1"], "no feed")),
        (
            "vulnerabilities: Debian packages without a feed (got 5: pkg:deb/a@1, pkg:deb/b@1, pkg:deb/c@1 and 2 more, "
            "expected none)"
        ),
    ),
    *(
        (
            "vulnerabilities.scan-age",
            V,
            environment,
            _set("metadata", "scanFinishedOn", to=time),
            (
                f"vulnerabilities: another day's audit (got scanned {time}, signed 2026-11-20T10:00:00Z, "
                "expected at most 24 hours between)"
            ),
        )
        for environment in ("development", "production")
        for time in ("2026-11-19T09:59:59Z", "2026-11-20T10:05:01Z")
    ),
    (
        "vulnerabilities.scope",
        V,
        "development",
        _set(C, "audited", to=["pkg:pypi/other@1"]),
        (
            "vulnerabilities: scanned something else than the lock (got 1 audited and 0 unaudited of 1 locked, "
            "expected every locked package to be one or the other)"
        ),
    ),
    (
        "vulnerabilities.scope",
        V,
        "development",
        _set(C, "locked", to=[]),
        (
            "vulnerabilities: scanned something else than the lock (got 1 audited and 0 unaudited of 0 locked, "
            "expected every locked package to be one or the other)"
        ),
    ),
    (
        "vulnerabilities.feed-down",
        V,
        "staging",
        _set(C, "feeds", to=[{**FEED, "answered": False, "age_seconds": None, "note": "timeout"}]),
        "vulnerabilities: no feed answered (got osv: timeout, expected at least one answer)",
    ),
    (
        "vulnerabilities.feed-age",
        V,
        "staging",
        _set(C, "feeds", to=[{**FEED, "age_seconds": 90000}]),
        "vulnerabilities: the feed is old (got osv: 90000 s, expected at most 24 hours)",
    ),
    (
        "vulnerabilities.feed-age",
        V,
        "staging",
        _set(C, "feeds", to=[{**FEED, "age_seconds": None}]),
        "vulnerabilities: the feed is old (got osv: age unknown, expected at most 24 hours)",
    ),
    (
        "vulnerabilities.feed-age",
        V,
        "staging",
        _set(C, "feeds", to=[{**FEED, "age_seconds": -90000}]),
        "vulnerabilities: the feed is old (got osv: -90000 s, expected at most 24 hours)",
    ),
    (
        "sbom.components",
        f"sbom@{P}",
        "development",
        _set("components", to=[]),
        f"{P} sbom: incomplete (got 0 components, expected at least 1, all with name and version)",
    ),
    (
        "sbom.components",
        f"sbom@{P}",
        "development",
        _set("components", to=[{"name": "tornado"}]),
        f"{P} sbom: incomplete (got 1 components, expected at least 1, all with name and version)",
    ),
    *(
        (
            "sbom.components",
            f"sbom@{P}",
            "development",
            _set("components", 0, "version", to=version),
            f"{P} sbom: incomplete (got 1 components, expected at least 1, all with name and version)",
        )
        for version in (None, 6.5, ["6.5"], "")
    ),
    (
        "sast.scope",
        "sast",
        "development",
        _set(M, "files", to=0),
        "sast: Bandit looked at nothing (got 0 files, expected at least 1)",
    ),
    (
        "hardening.attributes",
        f"hardening@{P}",
        "development",
        _set(
            "attributes",
            to=[
                {"attribute": "NON_ROOT_USER"},
                {"attribute": "NO_SECRETS"},
                {"attribute": "NO_SETUID_FILES", "conditions": {"except": "/usr/bin/su"}},
            ],
        ),
        (
            f"{P} hardening: a property is missing (got without NO_SETUID_FILES, "
            "expected NON_ROOT_USER, NO_SECRETS, NO_SETUID_FILES)"
        ),
    ),
    (
        "hardening.attributes",
        f"hardening@{P}",
        "development",
        _set("attributes", to=[{"attribute": "NON_ROOT_USER"}]),
        (
            f"{P} hardening: a property is missing (got without NO_SETUID_FILES, "
            "expected NON_ROOT_USER, NO_SECRETS, NO_SETUID_FILES)"
        ),
    ),
    (
        "smoke.result",
        f"smoke@{P}",
        "staging",
        _set("result", to="FAILED"),
        f"{P} smoke: did not pass (got FAILED, passed: 1, failed: 0, expected PASSED, failed: 0)",
    ),
    (
        "smoke.result",
        f"smoke@{P}",
        "staging",
        _set("passedTests", to=[]),
        f"{P} smoke: did not pass (got PASSED, passed: 0, failed: 0, expected PASSED, failed: 0)",
    ),
    *(
        (
            "smoke.hardened",
            f"smoke@{P}",
            environment,
            _set(M, "hardened", to=False),
            f"{P} smoke: did not run hardened (got hardened: false, expected hardened: true)",
        )
        for environment in ("development", "production")
    ),
    (
        "provenance.builder",
        "provenance",
        "staging",
        _set("runDetails", "builder", "id", to="https://evil.example/builder"),
        (
            "provenance: built by an unknown builder (got https://evil.example/builder, "
            "expected https://gatehouse.dev/builders/composer/github, https://gatehouse.dev/builders/engine/github)"
        ),
    ),
    (
        "provenance.build-type",
        "provenance",
        "development",
        _set("buildDefinition", "buildType", to="https://evil.example/type"),
        (
            "provenance: built in an unknown way (got https://evil.example/type, "
            "expected https://gatehouse.dev/build-types/image/v1)"
        ),
    ),
    (
        "provenance.parameters",
        "provenance",
        "staging",
        _set("buildDefinition", "externalParameters", "extra", to="x"),
        "provenance: unrecognised parameter (got extra, expected builder, directory, dockerfile, platforms, source)",
    ),
    (
        "provenance.dependencies",
        "provenance",
        "development",
        _set("buildDefinition", "resolvedDependencies", to=[{"uri": "pkg:pypi/tornado@6.5"}]),
        "provenance: does not say what went in (got 1 without digest of 1, expected at least 1, all with a digest)",
    ),
    *(
        (
            "provenance.dependencies",
            "provenance",
            "development",
            _set("buildDefinition", "resolvedDependencies", to=[{"uri": "pkg:pypi/tornado@6.5", "digest": digest}]),
            "provenance: does not say what went in (got 1 without digest of 1, expected at least 1, all with a digest)",
        )
        for digest in ({}, {"sha256": ""}, {"sha256": "latest"}, {"sha256": "e" * 64, "gitCommit": "main"})
    ),
    (
        "provenance.dirty",
        "provenance",
        "staging",
        _set("gatehouse_context", "source", "dirty", to=True),
        "provenance: built from a dirty tree (got uncommitted changes: true, expected uncommitted changes: false)",
    ),
]


def _judge(judged, predicates, environment):
    made = release.pieces(predicates) if environment == "development" else release.hosted(predicates)
    return judged(made, environment)


@pytest.mark.parametrize(("code", "name", "environment", "change", "said"), REFUSED)
def test_a_shipped_rule_refuses_with_its_message(judged, code, name, environment, change, said):
    predicates = release.predicates()
    change(predicates[name])
    judgement = _judge(judged, predicates, environment)
    findings = [one for one in (*judgement.refusals, *judgement.warnings) if one.code == code]
    assert [one.message for one in findings] == [said]
    assert findings[0].kind == release.kind_of(name)
    assert findings[0].fix


def test_every_shipped_rule_has_a_refusing_case(policy):
    assert {compiled.rule.id for compiled in policy.rules} == {code for code, *_ in REFUSED}


@pytest.mark.parametrize("environment", ["development", "staging"])
def test_every_shipped_rule_allows_the_good_release(judged, environment):
    """The passing case of each rule: no refusal and no warning of any."""
    judgement = _judge(judged, release.predicates(), environment)
    assert judgement.refusals == judgement.warnings == ()


def test_production_asks_for_more_than_the_good_release_has(judged):
    """Only the source kind is missing: every rule of production allows the rest."""
    assert [one.message for one in judged(release.hosted(), "production").refusals] == [
        "source: no evidence (got none, expected it from an allowed signer)"
    ]


@pytest.mark.parametrize(
    ("found", "environment"),
    [
        (release.finding("high", "2026-11-19T00:00:00Z"), "production"),  # inside its deadline
        (release.finding("critical", "2026-11-19T00:00:00Z"), "development"),
        (release.finding("critical", "2020-01-01T00:00:00Z", withdrawn=True), "production"),
    ],
)
def test_a_young_or_withdrawn_advisory_is_allowed(judged, found, environment):
    predicates = release.predicates()
    predicates[V]["scanner"]["result"] = [found]
    judgement = _judge(judged, predicates, environment)
    assert not [one for one in judgement.refusals if one.kind == V]


def test_a_deadline_ends_to_the_second(judged):
    predicates = release.predicates()
    predicates[V]["scanner"]["result"] = [release.finding("high", "2026-10-21T12:00:00Z")]  # 30 days before NOW
    made = release.pieces(copy.deepcopy(predicates))
    assert judged(made).passed
    late = judged(made, now=release.NOW + timedelta(seconds=1))
    assert [one.code for one in late.refusals] == ["vulnerabilities.deadline"]


def test_a_dirty_tree_is_allowed_in_development(judged):
    predicates = release.predicates()
    for predicate in predicates.values():
        if "gatehouse_context" in predicate:
            predicate["gatehouse_context"] = release.context(dirty=True)
    dirty = canonical_json(release.context(dirty=True)).decode()
    predicates[f"sbom@{P}"]["metadata"]["properties"][0]["value"] = dirty
    assert judged(release.pieces(predicates)).passed
    assert [one.code for one in judged(release.hosted(predicates), "staging").refusals] == ["provenance.dirty"]
