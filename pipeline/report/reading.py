"""From the files that a run left behind to the frozen ``Run``. Reads only; a file that is damaged is refused."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.model.context import Source
from pipeline.model.documents import parse, validate
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.outcome import Artifact, StepRecord
from pipeline.model.predicates import Hardening, Sbom, Vulnerabilities, parse_predicate
from pipeline.report.bundles import read_bundles
from pipeline.report.run import (
    STOPPED,
    Audit,
    Bundle,
    Component,
    Finding,
    Image,
    Platform,
    Reproduction,
    Run,
    RunList,
    Session,
    Step,
    Verdict,
)
from pipeline.settings import Settings

_PURL = re.compile(r"pkg:([a-z]+)/")


def read_run_list(root: Path) -> RunList:
    path = root / ".gatehouse" / "run.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotEvaluate(
            "report.no-run",
            f"run list: not readable (got {error.strerror or error}, expected .gatehouse/run.json)",
            fix="run `scripts/pipeline` first: the report speaks of its last run",
        ) from error
    return parse(RunList, content, what="run list")


def read_records(root: Path) -> dict[str, StepRecord]:
    """Step name to its last record."""
    paths = sorted((root / ".gatehouse" / "steps").glob("*.json"))
    return {path.stem: parse(StepRecord, path.read_bytes(), what=f"record of step {path.stem}") for path in paths}


def _newest_source(records: Mapping[str, StepRecord]) -> Source | None:
    newest = max((r for r in records.values() if r.context), key=lambda r: r.started, default=None)
    return newest.context.source if newest and newest.context else None


def environment_names(root: Path) -> list[str]:
    """The environments in the order of promotion, as the policy names them; none where it cannot be read.

    Only the order is taken from here: whether the policy holds is the gate's to say, and its verdicts say it.
    """
    try:
        parsed = tomllib.loads((root / "policies" / "environments.toml").read_text(encoding="utf-8"))
        return [str(environment["name"]) for environment in parsed["environment"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def read_verdicts(root: Path, run: RunList) -> list[Verdict]:
    """The verdicts of this run, earlier environments first; one left from an earlier run is not shown as its result."""
    paths = (root / "dist" / "verdicts").glob("*.json")
    verdicts = [parse(Verdict, path.read_bytes(), what=f"verdict {path.name}") for path in sorted(paths)]
    order = {name: place for place, name in enumerate(environment_names(root))}
    fresh = [verdict for verdict in verdicts if _epoch(verdict.time) >= int(run.started)]
    return sorted(fresh, key=lambda v: (order.get(v.environment, len(order)), v.environment))


def _epoch(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError as error:
        raise CannotEvaluate(
            "document.shape",
            f"verdict: time not readable (got {time[:40]!r}, expected RFC 3339)",
            fix="judge again with `scripts/pipeline verify`",
        ) from error


def _step(run: RunList, session: Session, record: StepRecord | None) -> Step:
    # A session that did not run, or ended before it wrote, leaves the record of an earlier run behind.
    told = record is not None and (session.result == "reused" or record.started >= int(run.started))
    outcome = record.outcome if record and told and session.result != "not run" else None
    return Step(
        name=session.name,
        result=session.result,
        seconds=session.seconds,
        finding=outcome.finding if outcome else session.why,
        why=session.why,
        problems=outcome.problems if outcome else [],
    )


def _predicates(records: dict[str, StepRecord], kind: Kind) -> list[Any]:
    """The parsed predicates of ``kind``, one a platform where the kind is per platform."""
    evidence = [item for record in records.values() for item in record.outcome.evidence if item.kind is kind]
    return [parse_predicate(kind, item.predicate) for item in evidence]


def _image(records: dict[str, StepRecord]) -> Image | None:
    record = records.get("image")
    if record is None or "digest" not in record.outcome.data:
        return None
    data = record.outcome.data
    hardening: list[Hardening] = _predicates(records, Kind.HARDENING)
    held = [{item.attribute for item in predicate.attributes} for predicate in hardening]
    return Image(
        digest=str(data["digest"]),
        media_type=str(data.get("media_type", "")),
        platforms=[_platform(name, data) for name in sorted(data.get("platforms", {}))],
        archive=str(data.get("archive", "")),
        # Of several platforms only what holds on all of them.
        hardening=sorted(set.intersection(*held)) if held else [],
    )


def _platform(name: str, data: dict[str, Any]) -> Platform:
    measures = data.get("measures", {}).get(name, {})
    return Platform(
        name=name,
        digest=str(data["platforms"][name]),
        compressed=int(measures.get("compressed_bytes", 0)),
        unpacked=int(measures.get("size_bytes", 0)),
    )


def _licences(component: dict[str, Any]) -> list[str]:
    """CycloneDX 1.6, ``licenses``: either one expression or a list of licences by id or name."""
    choices = component.get("licenses") or []
    names = [c.get("expression") or c.get("license", {}).get("id") or c.get("license", {}).get("name") for c in choices]
    return sorted({str(name) for name in names if name})


def _components(records: dict[str, StepRecord]) -> list[Component]:
    sboms: list[Sbom] = _predicates(records, Kind.SBOM)
    seen: dict[tuple[str, str, str], Component] = {}
    for item in (component for sbom in sboms for component in sbom.components):
        purl = _PURL.match(str(item.get("purl", "")))
        found = Component(
            name=str(item.get("name", "")),
            version=str(item.get("version", "")),
            ecosystem=purl[1] if purl and purl[1] in ("pypi", "deb") else "other",
            licences=_licences(item),
        )
        seen[(found.ecosystem, found.name, found.version)] = found
    order = {"pypi": 0, "deb": 1, "other": 2}
    return sorted(seen.values(), key=lambda c: (order[c.ecosystem], c.name.lower(), c.version))


def _audit(records: dict[str, StepRecord]) -> Audit | None:
    found: list[Vulnerabilities] = _predicates(records, Kind.VULNERABILITIES)
    if not found:
        return None
    coverage = found[0].coverage
    ranks = {name: rank for rank, name in enumerate(("critical", "high", "medium", "unknown", "low", "none"))}
    findings = [
        Finding(
            id=item.id,
            package=about.package,
            version=about.version,
            severity=about.severity,
            published=about.published or "",
            fixed_in=about.fixed_in,
        )
        for item in found[0].scanner.result
        for about in item.annotations
        if not about.withdrawn
    ]
    return Audit(
        locked=len(coverage.locked),
        audited=len(coverage.audited),
        unaudited=coverage.unaudited,
        canary=coverage.canary,
        feeds=[_feed(feed) for feed in coverage.feeds],
        findings=sorted(findings, key=lambda f: (ranks[f.severity], f.package, f.id)),
    )


def _feed(feed: dict[str, Any]) -> str:
    state = "answered" if feed.get("answered") is True else "did not answer"
    note = str(feed.get("note") or "")
    return f"{feed.get('name', 'feed')}: {state}" + (f" ({note})" if note else "")


def _reproduction(records: dict[str, StepRecord], image: Image | None) -> Reproduction | None:
    """Of this image: the session may have been asked about another one since."""
    data = records["reproduce"].outcome.data if "reproduce" in records else {}
    if image is None or data.get("digest") != image.digest:
        return None
    told = {name: value for name, value in data.items() if name != "digest"}
    return validate(Reproduction, told, what="record of step reproduce")


def _artifacts(root: Path, records: dict[str, StepRecord]) -> list[Artifact]:
    """The files for people that the steps named and that are there, each once, by path."""
    named = {item.path: item for record in records.values() for item in record.outcome.artifacts}
    return [named[path] for path in sorted(named) if path.startswith("dist/") and (root / path).is_file()]


def _bundles(root: Path, image: Image | None, verdicts: Sequence[Verdict]) -> list[Bundle]:
    """The bundles of this image, with what the gate found out about them. One of another image was left behind."""
    seen = {item.digest: item for verdict in verdicts for item in verdict.evidence if item.time}
    found = read_bundles(root / "dist" / "bundles") if image else []
    return [
        bundle.model_copy(update={"verified": item.time, "platform": bundle.platform or item.platform or ""})
        if (item := seen.get(bundle.digest))
        else bundle
        for bundle in found
        if image and bundle.image in ("", image.digest)
    ]


def _allowed(root: Path, verdicts: Sequence[Verdict]) -> bool:
    """The first environment of the policy says yes; of a policy that cannot be read nobody knows the first."""
    first = next(iter(environment_names(root)), None)
    return any(verdict.environment == first and verdict.result == "PASSED" for verdict in verdicts)


def _next(steps: Sequence[Step], image: Image | None, *, allowed: bool) -> str:
    stopped = [step.name for step in steps if step.result in STOPPED]
    if stopped:
        return f"scripts/pipeline {stopped[0]}"
    return f"docker load -i {image.archive}" if allowed and image and image.archive else "scripts/pipeline"


def read_run(root: Path, settings: Settings) -> Run:
    """The last run below ``root``; raises CannotEvaluate (``report.no-run``, ``document.*``)."""
    run = read_run_list(root)
    written = read_records(root)
    steps = [_step(run, session, written.get(session.name)) for session in run.sessions]
    # What speaks of the image is taken of one tree alone: a record of another tells nothing of it.
    source = _newest_source({name: record for name, record in written.items() if name != "reproduce"})
    records = {name: r for name, r in written.items() if r.context and r.context.source == source}
    # A step that was killed leaves the record of an earlier image, which is not what this run built.
    killed = any(step.name == "image" and step.result in STOPPED for step in steps)
    image = None if killed else _image(records)
    verdicts = [v for v in read_verdicts(root, run) if image is None or v.image == image.digest]
    return Run(
        run=run.run,
        started=run.started,
        seconds=run.seconds,
        app=settings.app.name,
        version=settings.app.version,
        source=source,
        steps=steps,
        image=image,
        verdicts=verdicts,
        bundles=_bundles(root, image, verdicts),
        components=_components(records),
        reproduction=_reproduction(records, image),
        audit=_audit(records),
        artifacts=_artifacts(root, records),
        accepted=_allowed(root, verdicts) and not any(step.result in STOPPED for step in steps),
        next=_next(steps, image, allowed=_allowed(root, verdicts)),
    )


def as_json(run: Run) -> bytes:
    """What ``--format json`` prints and ``dist/summary.json`` holds: sorted keys, two spaces, ASCII only."""
    # ASCII, because it may land on a terminal: a control or bidi character is shown as its escape.
    return (json.dumps(run.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()
