"""The verdict as one page that needs no script, no network and no other file."""

from collections import Counter
from typing import Any

from pipeline.gate.judgement import Finding, Judgement, rfc3339
from pipeline.report.html import page
from pipeline.report.text import split_message
from pipeline.report.verdict_account import RESULTS, Account

_MARKS = {"passed": "✓", "warned": "!", "refused": "✕", "not looked at": "–"}  # noqa: RUF001
_STATES = {"passed": "passed", "warned": "warned", "refused": "failed", "not looked at": "skipped"}


def render(judgement: Judgement, account: Account) -> bytes:
    """UTF-8. The content security policy allows the page's own style sheet, by hash, and nothing else."""
    counted = Counter(check.result for check in account.checks)
    return page(
        "verdict.html.j2",
        judgement=judgement,
        account=account,
        name=f"{account.subject.name} {account.subject.version}".strip() or str(judgement.image),
        sentence=_sentence(judgement),
        signers=list(dict.fromkeys((one.signer, one.counts) for one in account.looked)),
        time=rfc3339(judgement.time),
        refusals=[_told(one) for one in judgement.refusals],
        warnings=[_told(one) for one in judgement.warnings],
        counts={result: counted[result] for result in RESULTS if counted[result]},
        marks=_MARKS,
        states=_STATES,
    )


def _sentence(judgement: Judgement) -> str:
    if judgement.passed:
        return f"May run in {judgement.environment}."
    count = len(judgement.refusals)
    return f"Refused for {judgement.environment}: {count} {'reason' if count == 1 else 'reasons'}."


def _told(finding: Finding) -> dict[str, Any]:
    what, got, expected = split_message(finding.message)
    return {
        "code": finding.code,
        "kind": finding.kind,
        "what": what,
        "got": got,
        "expected": expected,
        "fix": finding.fix,
    }
