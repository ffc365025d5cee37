"""The predicate of an audit (in-toto ``vulns/v0.2``): what was found, and what was looked at."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pipeline.advisories.findings import Finding
from pipeline.advisories.interface import Answer, Pin
from pipeline.advisories.survey import Survey
from pipeline.model.context import Context
from pipeline.model.predicates import (
    Coverage,
    Feed,
    ScanMetadata,
    Scanner,
    Score,
    Vulnerabilities,
    VulnerabilityAnnotations,
    VulnerabilityFinding,
)

OWN_METHOD = "gatehouse"


def predicate(
    context: Context,
    *,
    pins: Sequence[Pin],
    direct: frozenset[str],
    surveyed: Survey,
    details: Answer | None,
    findings: Iterable[Finding],
    unfed: Mapping[str, str],
    started: datetime,
    finished: datetime,
) -> Vulnerabilities:
    """``direct`` are the names of direct dependencies, ``unfed`` purls that no feed speaks of, each with the reason.

    ``details`` is how the server of the advisories' records answered, None where there was nothing to ask it.
    """
    answers = [*surveyed.answers, *([details] if details else [])]
    return Vulnerabilities(
        gatehouse_context=context,
        scanner=Scanner(
            uri=f"pkg:pypi/{context.tool.name}",
            version=context.tool.version,
            db=Feed(uri=answers[0].uri),
            result=[_result(finding, direct) for finding in findings],
        ),
        metadata=ScanMetadata(scanStartedOn=_time(started), scanFinishedOn=_time(finished)),
        gatehouse_coverage=Coverage(
            locked=sorted([*(pin.purl for pin in pins), *unfed]),
            audited=sorted(pin.purl for pin in surveyed.audited),
            unaudited={pin.purl: reason for pin, reason in surveyed.unaudited.items()} | dict(unfed),
            canary=surveyed.canary,
            feeds=[_feed(answer) for answer in answers],
        ),
    )


def _result(finding: Finding, direct: frozenset[str]) -> VulnerabilityFinding:
    scores = [Score(method=method, score=vector) for method, vector in finding.vectors]
    return VulnerabilityFinding(
        id=finding.id,
        severity=[*scores, Score(method=OWN_METHOD, score=finding.severity)],
        annotations=[
            VulnerabilityAnnotations(
                package=finding.pin.name,
                version=finding.pin.version,
                purl=finding.pin.purl,
                severity=finding.severity,
                published=finding.published,
                aliases=list(finding.aliases),
                fixed_in=list(finding.fixed_in),
                direct=finding.pin.name in direct,
                withdrawn=finding.withdrawn,
            )
        ],
    )


def _feed(answer: Answer) -> dict[str, object]:
    # The feeds are asked now and nothing is cached, so that an answer has no age.
    return {
        "name": answer.feed,
        "answered": answer.answered,
        "age_seconds": 0 if answer.answered else None,
        "note": answer.note,
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
