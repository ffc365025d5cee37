"""What a changed policy would have decided, for people and for programs."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.gate.backtest import Backtest, Flip
from pipeline.gate.judgement import rfc3339
from pipeline.report.terminal import Terminal, hanging
from pipeline.report.text import as_ascii, printable

FORMAT = "gatehouse-backtest/1"


def as_text(found: Backtest, terminal: Terminal) -> str:
    text = "\n".join(_lines(found, terminal)) + "\n"
    return text if terminal.utf8 else as_ascii(text)


def _lines(found: Backtest, terminal: Terminal) -> Iterator[str]:
    yield f"{_counted(found.releases, 'release')}, {_counted(found.judged, 'verdict')}, {_flips(found)}"
    yield f"policy sha256:{found.before}"
    yield f"   now sha256:{found.after}"
    for environment, (before, after) in found.accepted.items():
        yield f"{environment}: accepted {before}, now {after}"
    if found.other_reasons:
        yield f"{_counted(found.other_reasons, 'verdict')} stays FAILED for other reasons"
    for code, count in sorted(found.codes.items(), key=lambda item: (-item[1], item[0])):
        yield f"turned by {code}: {count}"
    for flip in found.flips:
        yield ""
        yield from _flip(flip, terminal)
    for unread in found.unread:
        yield ""
        yield from hanging("not judged: ", f"{unread.reference}: {unread.error.code}: {unread.error.message}", terminal)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _flips(found: Backtest) -> str:
    return "none turns" if not found.flips else f"{len(found.flips)} turn" + ("s" if len(found.flips) == 1 else "")


def _flip(flip: Flip, terminal: Terminal) -> Iterator[str]:
    names = f" ({', '.join(map(printable, flip.tags))})" if flip.tags else ""
    yield f"{flip.image}{names}"
    yield f"  {flip.environment} as of {rfc3339(flip.at)}: {flip.before.result}, now {flip.after.result}"
    label = "no longer: " if flip.after.passed else "because: "
    for reason in flip.reasons:
        yield from hanging(label, f"{reason.code}: {reason.message}", terminal)


def as_json(found: Backtest) -> bytes:
    """``gatehouse-backtest/1``: fields are added, never changed or removed. ASCII."""
    document = {
        "format": FORMAT,
        "before": f"sha256:{found.before}",
        "after": f"sha256:{found.after}",
        "releases": found.releases,
        "verdicts": found.judged,
        "accepted": {name: {"before": one, "after": other} for name, (one, other) in found.accepted.items()},
        "other_reasons": found.other_reasons,
        "codes": dict(sorted(found.codes.items())),
        "flips": [_flip_json(flip) for flip in found.flips],
        "unread": [
            {"reference": one.reference, "code": one.error.code, "message": one.error.message, "fix": one.error.fix}
            for one in found.unread
        ],
    }
    return (json.dumps(document, indent=2, ensure_ascii=True) + "\n").encode()


def _flip_json(flip: Flip) -> dict[str, Any]:
    return {
        "image": str(flip.image),
        "tags": list(flip.tags),
        "environment": flip.environment,
        "time": rfc3339(flip.at),
        "before": flip.before.result,
        "after": flip.after.result,
        "reasons": [reason.to_json() for reason in flip.reasons],
    }
