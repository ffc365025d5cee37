"""The verdict as JUnit XML, which CI servers show: a suite for each kind of evidence, a case for each check.

The shape is that of the JUnit reporter of Ant, as Jenkins and GitLab read it: failures are refusals, warnings are in
``system-out``, a check without evidence to look at is skipped.
"""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from pipeline.gate.judgement import Judgement, rfc3339
from pipeline.report.text import printable
from pipeline.report.verdict_account import Account, Check


def render(judgement: Judgement, account: Account) -> bytes:
    """UTF-8; what XML cannot hold (1.0, section 2.2) is left out of foreign text, as is what would deceive a reader."""
    by_kind = groupby(sorted(account.checks, key=lambda check: check.about), lambda check: check.about)
    suites = [_suite(about, list(checks), judgement) for about, checks in by_kind]
    head = _attributes(name=f"gatehouse {judgement.environment}", **_counts(account.checks))
    body = "".join(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{head}>\n{body}</testsuites>\n'.encode()


def _suite(about: str, checks: Sequence[Check], judgement: Judgement) -> str:
    stamp = rfc3339(judgement.time).removesuffix("Z")  # ISO 8601 without a zone, as the reporter writes it
    head = _attributes(name=f"{judgement.environment}.{about}", **_counts(checks), timestamp=stamp)
    properties = _properties(image=str(judgement.image), policy=f"sha256:{judgement.policy}", result=judgement.result)
    return f"<testsuite{head}>\n{properties}{''.join(_case(check, judgement) for check in checks)}</testsuite>\n"


def _counts(checks: Sequence[Check]) -> dict[str, int]:
    return {
        "tests": len(checks),
        "failures": sum(check.result == "refused" for check in checks),
        "errors": 0,
        "skipped": sum(check.result == "not looked at" for check in checks),
    }


def _properties(**values: str) -> str:
    inner = "".join(f"<property{_attributes(name=name, value=value)}/>" for name, value in values.items())
    return f"<properties>{inner}</properties>\n"


def _case(check: Check, judgement: Judgement) -> str:
    head = _attributes(name=f"{check.code}: {check.title}", classname=f"{judgement.environment}.{check.about}", time=0)
    match check.result:
        case "refused":
            said = _attributes(message=check.findings[0], type=check.findings[0].partition(":")[0])
            inner = f"<failure{said}>{_text(check)}</failure>"
        case "warned":
            inner = f"<system-out>{_text(check)}</system-out>"
        case "not looked at":
            inner = f"<skipped{_attributes(message=f'no evidence of kind {check.about} to look at')}/>"
        case _:
            return f"<testcase{head}/>\n"
    return f"<testcase{head}>{inner}</testcase>\n"


def _text(check: Check) -> str:
    return escape("\n".join([*map(printable, check.findings), *(f"fix: {printable(fix)}" for fix in check.fixes)]))


def _attributes(**values: object) -> str:
    return "".join(f' {name}="{escape(printable(str(value)))}"' for name, value in values.items())
