"""Where the boxes of the flow diagram stand: commit, steps, image, evidence, and a gate per environment.

Laid out twice, lying for wide screens and print and standing for phones; the template draws both from this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.run import Run


@dataclass(frozen=True, kw_only=True)
class Box:
    """``state`` is good, warn, bad or none; sizes are SVG user units."""

    label: str
    value: str
    state: str
    x: int
    y: int
    width: int
    height: int
    path: str = ""
    """The line that leads to the box, empty for the first."""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    width: int
    height: int
    boxes: Sequence[Box]


def _stages(run: Run) -> list[tuple[str, str, str]]:
    """(label, value, state) of what leads to the gates."""
    good = sum(step.result in ("passed", "reused") for step in run.steps)
    commit = run.source.commit[:10] if run.source else "none"
    return [
        ("commit", commit, "warn" if run.source and run.source.dirty else "good" if run.source else "none"),
        (
            "steps passed",
            f"{good} of {len(run.steps)}",
            "bad" if run.stopped else "good" if good == len(run.steps) else "warn",
        ),
        ("image", run.image.digest.removeprefix("sha256:")[:10] if run.image else "none", _there(run.image)),
        (
            "signed evidence",
            f"{len(run.bundles)} {'bundle' if len(run.bundles) == 1 else 'bundles'}",
            _there(run.bundles),
        ),
    ]


def _there(what: object) -> str:
    return "good" if what else "none"


def _gates(run: Run) -> list[tuple[str, str, str]]:
    return [(v.environment, v.result, "good" if v.result == "PASSED" else "bad") for v in run.verdicts]


def lying(run: Run) -> Diagram:
    """From left to right, the gates one above the other at the right."""
    stages, gates = _stages(run), _gates(run)
    height = max(68 * len(gates) - 12, 72)
    middle = height // 2
    boxes = [
        Box(
            label=label,
            value=value,
            state=state,
            x=196 * place,
            y=middle - 36,
            width=160,
            height=72,
            path=f"M{196 * place - 34} {middle}h28" if place else "",
        )
        for place, (label, value, state) in enumerate(stages)
    ]
    top = middle - (68 * len(gates) - 12) // 2
    boxes += [
        Box(
            label=label,
            value=value,
            state=state,
            x=820,
            y=top + 68 * place,
            width=160,
            height=56,
            path=f"M750 {middle}C784 {middle} 780 {top + 68 * place + 28} 814 {top + 68 * place + 28}",
        )
        for place, (label, value, state) in enumerate(gates)
    ]
    return Diagram(width=980 if gates else 748, height=height, boxes=boxes)


def standing(run: Run) -> Diagram:
    """From top to bottom, the gates indented below the evidence."""
    stages, gates = _stages(run), _gates(run)
    boxes = [
        Box(
            label=label,
            value=value,
            state=state,
            x=0,
            y=72 * place,
            width=340,
            height=52,
            path=f"M24 {72 * place - 19}v13" if place else "",
        )
        for place, (label, value, state) in enumerate(stages)
    ]
    start = 72 * len(stages)
    boxes += [
        Box(
            label=label,
            value=value,
            state=state,
            x=52,
            y=start + 64 * place,
            width=288,
            height=52,
            path=f"M24 {start - 19}V{start + 64 * place + 26}H46",
        )
        for place, (label, value, state) in enumerate(gates)
    ]
    return Diagram(width=340, height=start + 64 * len(gates) - (12 if gates else 20), boxes=boxes)
