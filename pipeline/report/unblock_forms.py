"""What would turn a verdict, for people and for programs."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.gate.judgement import rfc3339
from pipeline.gate.unblock import Unblocked, Way
from pipeline.gate.unblock_world import Change
from pipeline.report.terminal import Terminal, hanging
from pipeline.report.text import as_ascii

FORMAT = "gatehouse-unblock/1"


def as_text(found: Unblocked, terminal: Terminal) -> str:
    text = "\n".join(_lines(found, terminal)) + "\n"
    return text if terminal.utf8 else as_ascii(text)


def _lines(found: Unblocked, terminal: Terminal) -> Iterator[str]:
    today = found.today
    yield f"{found.environment}: {today.result} as of {rfc3339(today.time)} for {today.image}"
    if today.passed:
        yield "nothing to unblock"
        return
    for finding in today.refusals:
        yield from hanging("refused: ", f"{finding.code}: {finding.message}", terminal)
    for number, way in enumerate(found.ways):
        yield ""
        yield from _way(way, terminal, first=number == 0)
    if not found.ways:
        yield ""
        yield "no set of changes that is known here turns the verdict"
        for finding in found.stuck:
            yield from hanging("nothing helps against: ", finding.code, terminal)
            yield from hanging("fix: ", finding.fix, terminal, 4)


def _way(way: Way, terminal: Terminal, *, first: bool) -> Iterator[str]:
    count = f"{len(way.changes)} {'change turns' if len(way.changes) == 1 else 'changes turn'} it"
    yield f"{count}:" if first else f"without an exception, {count}:"
    for number, change in enumerate(way.changes, 1):
        yield from hanging(f"{number}. ", change.text, terminal)
    proof = "; without any one of them: FAILED" if way.needed else ""
    yield from hanging("judged again: ", f"{way.judgement.result}, {', '.join(way.judgement.levels)}{proof}", terminal)


def as_json(found: Unblocked) -> bytes:
    """``gatehouse-unblock/1``: fields are added, never changed or removed. ASCII."""
    document = {
        "format": FORMAT,
        "environment": found.environment,
        "image": str(found.today.image),
        "policy": f"sha256:{found.today.policy}",
        "time": rfc3339(found.today.time),
        "result": found.today.result,
        "refusals": [finding.to_json() for finding in found.today.refusals],
        "ways": [_way_json(way) for way in found.ways],
        "stuck": [finding.to_json() for finding in found.stuck],
    }
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()


def _way_json(way: Way) -> dict[str, Any]:
    return {
        "changes": [_change(change) for change in way.changes],
        "result": way.judgement.result,
        "levels": list(way.judgement.levels),
        "needed": way.needed,
    }


def _change(change: Change) -> dict[str, Any]:
    exception = change.exception
    granted = exception.model_dump(mode="json", exclude_none=True) if exception else None
    return {"act": change.act, "about": change.about, "text": change.text, "exception": granted}
