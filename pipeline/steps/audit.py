"""Audit the locked packages for known vulnerabilities, and say of each whether anyone was really asked about it.

The step never refuses a vulnerability itself: deadlines are the gate's. What it could not see is WARNED and named in
the evidence (``gatehouse_coverage``), so that the gate can refuse where an environment does not allow it.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from packaging.utils import canonicalize_name
from packaging.version import Version

from pipeline.advisories.evidence import predicate
from pipeline.advisories.findings import Finding, find
from pipeline.advisories.index import ProjectJson
from pipeline.advisories.interface import Answer, Feed, NoAnswer, Pin, pin, silent
from pipeline.advisories.osv import PUBLIC, Osv, Record
from pipeline.advisories.pip_audit import PipAudit
from pipeline.advisories.severity import ORDER
from pipeline.advisories.survey import Survey, survey
from pipeline.debian import base_lock
from pipeline.hash_locks import read_lock
from pipeline.image.dockerfile import NAME, read
from pipeline.image.foreign_base import Reference, read_reference
from pipeline.image.foundation import LOCKED
from pipeline.image.purls import debian_purl, oci_purl
from pipeline.image.wheels import LOCK
from pipeline.indexes import index_base
from pipeline.model.context import Context
from pipeline.model.errors import GatehouseError
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Evidence, Outcome, Problem, Status
from pipeline.model.predicates import dump
from pipeline.steps import dependencies
from pipeline.steps.installed import version_of
from pipeline.steps.job import Job

NO_DEBIAN_FEED = "no feed configured"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Who is asked: ``feeds`` about every pin, ``fallback`` about what they left, ``records`` for the details."""

    feeds: Sequence[Feed]
    fallback: Feed | None
    records: Osv


@dataclass(frozen=True, kw_only=True)
class Locked:
    """What is asked about: the Python packages, which of them are direct, and the purls that no feed speaks of."""

    pins: Sequence[Pin]
    direct: frozenset[str]
    unfed: Sequence[str]


def sources(job: Job) -> Sources:
    """pip-audit on PyPI's data with the index's project JSON behind it; or on the configured OSV server.

    An OSV server is asked by ourselves too: pip-audit stops at the first page of an answer.
    """
    osv = job.settings.advisories.osv
    pip_audit = PipAudit(python=job.python("checks"), osv=osv)
    records = Osv(address=osv or PUBLIC)
    return Sources(
        feeds=[pip_audit, records] if osv else [pip_audit],
        fallback=ProjectJson(base=index_base(job.python("checks"))),
        records=records,
    )


def run(job: Job) -> Outcome:
    """Raises Refused (``lock.*``) and CannotEvaluate (``audit.*``, ``base.*``, ``tool.*``)."""
    return with_dependencies(job, audit(job, sources(job)))


def with_dependencies(job: Job, audited: Outcome) -> Outcome:
    """``audited`` with the dependencies' evidence; where that cannot be made, all else is told the same."""
    try:
        evidence, problems = dependencies.look(job)
    except GatehouseError as error:
        evidence, problems = None, [Problem(code=error.code, message=error.message, fix=error.fix)]
    return audited.model_copy(
        update={
            "status": Status.WARNED if problems else audited.status,
            "evidence": [*audited.evidence, *([evidence] if evidence else [])],
            "problems": [*audited.problems, *problems],
        }
    )


def audit(job: Job, asked: Sources, locked: Locked | None = None, context: Context | None = None) -> Outcome:
    """``run`` with its sources given, about what is locked here, or in another image: then of its ``context``."""
    begun = time.monotonic()
    locked = locked or Locked(pins=read_pins(job), direct=direct_names(job), unfed=base_purls(job))
    pins = locked.pins
    surveyed = survey(pins, asked.feeds, asked.fallback)
    records, details = read_records(asked.records, surveyed)
    advisories = [advisory for answer in surveyed.answers for advisory in answer.advisories]
    findings = find(advisories, records)
    own = job.context("pip-audit", version_of(job.python("checks"), "pip-audit"))
    document = predicate(
        own if context is None else own.model_copy(update={"source": context.source, "locks": context.locks}),
        pins=pins,
        direct=locked.direct,
        surveyed=surveyed,
        details=details,
        findings=findings,
        unfed=dict.fromkeys(locked.unfed, NO_DEBIAN_FEED),
        started=job.now,
        finished=job.now + timedelta(seconds=time.monotonic() - begun),
    )
    problems = [*_vulnerable(findings), *_unaudited(surveyed.unaudited), *_left_out(surveyed, findings)]
    return Outcome(
        status=Status.WARNED if problems or locked.unfed else Status.PASSED,
        finding=_line(pins, surveyed, findings, locked.unfed),
        evidence=[Evidence(kind=Kind.VULNERABILITIES, predicate=dump(document))],
        problems=problems,
        data={"audited": len(surveyed.audited), "locked": len(pins), "vulnerabilities": len(_live(findings))},
    )


def read_pins(job: Job) -> list[Pin]:
    """Every package that the service's lock pins, sorted; raises Refused (``lock.*``)."""
    return sorted(pin(locked.name, str(Version(locked.version))) for locked in read_lock(job.root, LOCK).values())


def direct_names(job: Job) -> frozenset[str]:
    """The names in ``requirements.in``: what the service asks for itself."""
    text = (job.root / "requirements.in").read_text(encoding="utf-8")
    return frozenset(canonicalize_name(name) for name in re.findall(r"(?m)^\s*([A-Za-z0-9][A-Za-z0-9._-]*)", text))


def base_purls(job: Job) -> list[str]:
    """What the service stands on, which none of the feeds speaks of: the locked packages, or a foreign image."""
    foreign = _foreign_base(job)
    if foreign is not None:
        return [oci_purl(foreign)]
    lock = base_lock.load(job.root)
    architectures = {platform.removeprefix("linux/") for platform in job.settings.image.platforms}
    every = (package for name, found in lock.packages.items() if name in architectures for package in found)
    return sorted({debian_purl(package, suite=lock.suite) for package in every})


def _foreign_base(job: Job) -> Reference | None:
    """What the Dockerfile's FROM comes to; None for the locked base, and where the image step has to complain."""
    dockerfile = job.root / job.settings.app.directory / NAME
    named = {"BASE_IMAGE": job.settings.base.image} if job.settings.base.image else {}
    if not dockerfile.is_file():
        return None
    text = dockerfile.read_text(encoding="utf-8", errors="replace")
    recipe = read(text, named, otherwise={"BASE_IMAGE": LOCKED}, engine=job.settings.image.builder == "engine")
    return None if recipe.base == LOCKED else read_reference(recipe.base)


def read_records(server: Osv, surveyed: Survey) -> tuple[dict[str, Record], Answer | None]:
    """The records behind what was found, and how their server answered; nothing is asked where nothing was found."""
    ids = {id_ for answer in surveyed.answers for advisory in answer.advisories for id_ in advisory.ids}
    if not ids:
        return {}, None
    try:
        records = server.records(ids)
    except NoAnswer as reason:
        return {}, silent(server, [], f"severity and dates unknown: {reason}")
    return records, Answer(feed=server.name, uri=server.uri, answered=True)


def _live(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.withdrawn]


def _vulnerable(findings: Iterable[Finding]) -> list[Problem]:
    return [
        Problem(
            code="audit.vulnerable",
            message=f"{finding.pin}: {finding.id}, severity {finding.severity} "
            f"(got {finding.pin.version}, expected {' or '.join(finding.fixed_in) or 'a release that fixes it'})",
            fix="update it inside its deadline: `scripts/nox -s lock -- update`"
            if finding.fixed_in
            else "no release fixes it yet: replace the package, or have an exception granted before the deadline",
        )
        for finding in _live(findings)
    ]


def _unaudited(unaudited: Mapping[Pin, str]) -> list[Problem]:
    return [
        Problem(
            code="audit.unaudited",
            message=f"{item}: could not evaluate (got {reason}, expected an answer from an advisory feed)",
            fix="look at the network, or name an OSV server in `[advisories] osv` of pipeline.toml",
        )
        for item, reason in unaudited.items()
    ]


def _left_out(surveyed: Survey, findings: Iterable[Finding]) -> list[Problem]:
    """Where one feed reports what another one that was asked about the same package does not."""
    return [
        Problem(
            code="audit.disagreement",
            message=f"{answer.feed}: does not report {finding.id} of {finding.pin} "
            "(got no such advisory, expected it as another feed has it)",
            fix="nothing to do: it counts, whoever reports it",
        )
        for finding in _live(findings)
        for answer in surveyed.answers
        if finding.pin in answer.audited and not any(item.ids & finding.ids for item in answer.advisories)
    ]


def _ending(items: Sequence[Finding]) -> str:
    return "y" if len(items) == 1 else "ies"


def _line(pins: Sequence[Pin], surveyed: Survey, findings: Sequence[Finding], unfed: Sequence[str]) -> str:
    live = _live(findings)
    graves = Counter(finding.severity for finding in live)
    kinds = ", ".join(f"{graves[name]} {name}" for name in (*reversed(ORDER), "unknown") if graves[name])
    words = [f"{len(surveyed.audited)} of {len(pins)} packages audited"]
    if surveyed.audited or live:  # where nothing was audited, none found would say too much
        words[0] += f", {len(live)} vulnerabilit{_ending(live)}" + (f" ({kinds})" if kinds else "")
    if withdrawn := [finding for finding in findings if finding.withdrawn]:
        words.append(f"{len(withdrawn)} withdrawn advisor{_ending(withdrawn)} ignored")
    if surveyed.unaudited:
        words.append(f"could not evaluate {', '.join(map(str, surveyed.unaudited))}")
    if any(purl.startswith("pkg:oci/") for purl in unfed):
        words.append(f"foreign base not audited ({NO_DEBIAN_FEED})")
    elif unfed:
        words.append(f"{len(unfed)} Debian packages not audited ({NO_DEBIAN_FEED})")
    return "; ".join(words)
