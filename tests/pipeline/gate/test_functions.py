"""What rules may call: each function over expressions, with what it says, and an error where it cannot read."""

from datetime import UTC, datetime

import pytest

from pipeline.gate.functions import FUNCTIONS, MAX_TEXT, covers, read_purl
from pipeline.gate.rules import Rule, View, compile_rule
from pipeline.model.documents import validate

NOW = datetime(2026, 11, 20, tzinfo=UTC)
DEB = "pkg:deb/debian/libc6@2.41-12%2Bdeb13u1?arch=amd64"
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def refusal(allow, **predicate):
    written = {
        "id": "tests.example",
        "title": "An example of a rule",
        "kinds": ["tests"],
        "allow": allow,
        "got": '"x"',
        "expected": '"y"',
        "message": "tests: example (got {got}, expected {expected})",
        "fix": "do otherwise",
    }
    view = View(
        predicate=predicate, limits={}, deadlines={}, signer={}, environment="development", verified=NOW, now=NOW
    )
    return compile_rule(validate(Rule, written, what="rule")).refusal(view)


@pytest.mark.parametrize(
    "allow",
    [
        f'purl.type("{DEB}") == "deb"',
        f'purl.name("{DEB}") == "libc6"',
        f'purl.version("{DEB}") == "2.41-12+deb13u1"',
        'purl.version("pkg:pypi/tornado") == ""',
        'purl.covers("pkg:pypi/tornado", "pkg:pypi/tornado@6.5")',
        '!purl.covers("pkg:pypi/tornado@6.4", "pkg:pypi/tornado@6.5")',
        'pep440.compare("1.10", "1.9") == 1',
        'pep440.compare("1.0rc1", "1.0") == -1',
        'pep440.compare("1.0", "1.0.0") == 0',
        'pep440.within("2.10.1", ">=2.10,<3")',
        '!pep440.within("3.0", ">=2.10,<3")',
        'pep440.within("2.11rc1", ">=2.10,<3")',
        'semver.compare("1.10.0", "1.9.0") == 1',
        'semver.compare("1.0.0-rc.1", "1.0.0") == -1',
        'semver.compare("1.0.0+a", "1.0.0+b") == 0',
        'severity.rank("none") == 0 && severity.rank("critical") == 4',
        'severity.rank("low") < severity.rank("medium") && severity.rank("medium") < severity.rank("high")',
        f'cvss.severity("CVSS_V3", "{VECTOR}") == "critical"',
        'cvss.severity("CVSS_V3", "nonsense") == "unknown"',
        'spdx.satisfied("MIT OR GPL-3.0-only", ["MIT"])',
        '!spdx.satisfied("MIT AND GPL-3.0-only", ["MIT"])',
        'spdx.names("MIT OR ISC") == ["ISC", "MIT"]',
    ],
)
def test_a_rule_may_call_a_function(allow):
    assert refusal(allow) is None


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        ('purl.type(predicate.it) != "x"', "tornado 6.5"),
        ('purl.version(predicate.it) != "x"', "pkg:"),
        ('!purl.covers("pkg:pypi/tornado", predicate.it)', "tornado"),
        ('pep440.compare(predicate.it, "1.0") < 2', "latest"),
        ('pep440.within(predicate.it, ">=1") || true == false', "latest"),
        ('!pep440.within("1.0", predicate.it)', "newest"),
        ('semver.compare(predicate.it, "1.0.0") < 2', "1.0"),
        ("severity.rank(predicate.it) < 9", "unknown"),
        ('!spdx.satisfied(predicate.it, ["MIT"])', "MIT OR OR"),
        ("size(spdx.names(predicate.it)) >= 0", "horoscope"),
        ('purl.type(predicate.it) != "x"', 6.5),
        ('pep440.compare(predicate.it, "1.0") < 2', None),
        ('purl.type(predicate.it) != "x"', "pkg:pypi/" + "x" * MAX_TEXT),
        ('pep440.compare(predicate.it, "1.0") < 2', "1" * (MAX_TEXT + 1)),
    ],
)
def test_what_a_function_cannot_read_denies(call, argument):
    assert refusal(call, it=argument).message == "tests: example (got x, expected y)"


def test_every_function_is_called_by_a_test_and_says_what_it_does():
    marks = test_a_rule_may_call_a_function.pytestmark
    called = " ".join(marks[0].args[1])
    assert [one.name for one in FUNCTIONS if f"{one.name}(" not in called or len(one.says) < 8] == []


@pytest.mark.parametrize(
    ("wider", "purl", "same"),
    [
        ("pkg:pypi/Tornado", "pkg:pypi/tornado@6.5", True),
        ("pkg:pypi/tornado", "pkg:npm/tornado@6.5", False),
        ("pkg:deb/debian/libc6", DEB, True),
        ("pkg:deb/ubuntu/libc6", DEB, False),
        ("pkg:deb/debian/libc6?arch=amd64", DEB, True),
        ("pkg:deb/debian/libc6?arch=arm64", DEB, False),
        ("pkg:deb/debian/libc6@2.41-12%2Bdeb13u1", DEB, True),
        ("pkg:deb/debian/libc6@2.41-12", DEB, False),
        ("pkg:golang/a.example/b", "pkg:golang/a.example/b@1#c", True),
        ("pkg:golang/a.example/b#d", "pkg:golang/a.example/b@1#c", False),
    ],
)
def test_a_package_url_covers_the_package_of_its_version_or_of_any(wider, purl, same):
    assert covers(wider, purl) is same


def test_a_package_url_is_read_in_parts_and_nonsense_is_none():
    assert read_purl(DEB) == {"type": "deb", "namespace": "debian", "name": "libc6", "version": "2.41-12+deb13u1"}
    assert read_purl("libc6 2.41") is None
