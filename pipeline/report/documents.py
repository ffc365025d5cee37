"""The parts of the documents that are made from code and policy, and the check that none of them is stale.

A document holds ``<!-- generated: NAME -->`` and ``<!-- end -->``; what stands between is replaced.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipeline.files import write_atomic
from pipeline.gate.functions import FUNCTIONS
from pipeline.gate.policy import Policy, load_policy
from pipeline.model.errors import CannotEvaluate, Misuse, Refused
from pipeline.model.kinds import LISTED, SHAPES, Kind
from pipeline.report.codes import read_codes
from pipeline.report.formats import formats
from pipeline.report.markdown import table
from pipeline.settings import FILE, Settings

_MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

#: What each kind says, for readers of the README.
SAYS: Mapping[Kind, str] = {
    Kind.SIGNATURE: "the image is this pipeline's",
    Kind.PROVENANCE: "commit, builder, base packages, wheels and parameters of the build",
    Kind.SOURCE: "commit, signed tag, reviews and branch rules",
    Kind.TESTS: "the service's tests, with branch coverage",
    Kind.SAST: "Bandit, with nothing ignored but what the policy lists",
    Kind.WORKFLOWS: "zizmor, the workflow schema and checks of our own",
    Kind.DEPENDENCIES: "direct dependencies are on the allow-list, old enough, and whole",
    Kind.VULNERABILITIES: "known vulnerabilities, and which packages nobody could be asked about",
    Kind.SBOM: "every wheel and Debian package in the image",
    Kind.HARDENING: "what the image's layers show: user, shell, setuid files, secrets",
    Kind.SMOKE: "the image ran hardened on a container engine and answered",
    Kind.REPRODUCTION: "a second build gave the same files",
}


def gates(root: Path) -> str:
    """Kind, what it says, and in which environments it is required."""
    policy = load_policy(root / "policies")
    names = [environment.name for environment in policy.environments]
    rows = [
        [f"**{kind}**", SAYS[kind], *("required" if kind in e.required else "-" for e in policy.environments)]
        for kind in LISTED
    ]
    return table(["evidence", "says", *names], rows)


def rules(root: Path) -> str:
    """Every rule of the policy with its limit per environment."""
    policy = load_policy(root / "policies")
    names = [environment.name for environment in policy.environments]
    return table(["code", "rule", "evidence", *names], _rules(policy))


def _rules(policy: Policy) -> Iterator[list[str]]:
    for rule in (compiled.rule for compiled in policy.rules):
        cells = []
        for environment in policy.environments:
            if rule.environments is not None and environment.name not in rule.environments:
                cells.append("-")
                continue
            limits = "; ".join(f"{name}: {_limit(environment.limits[name])}" for name in sorted(rule.limits))
            word = "warns" if rule.id in environment.warns else "refuses"
            cells.append(f"{word} ({limits})" if limits else word)
        yield [f"`{rule.id}`", rule.title, ", ".join(rule.kinds), *cells]


def _limit(value: Any) -> str:
    return ", ".join(f"`{item}`" for item in value) if isinstance(value, tuple) else f"`{value}`"


def exits(_: Path) -> str:
    """The exit codes, as the errors define them."""
    rows = [("0", "allowed")]
    rows += [
        (
            str(error.exit_code),
            re.sub(r" \(exit code \d\)|(?<=`)`", "", inspect.cleandoc(error.__doc__ or "")).rstrip("."),
        )
        for error in (Refused, Misuse, CannotEvaluate)
    ]
    return table(["exit code", "meaning"], rows)


def kinds(_: Path) -> str:
    """How a statement shows which kind it is."""
    rows = [
        [
            f"`{kind}`",
            f"`{shape.predicate_type}`",
            f"`{shape.configuration}`" if shape.configuration else "",
            "one a platform" if shape.per_platform else "",
            "in the list" if shape.listed else "",
        ]
        for kind, shape in SHAPES.items()
    ]
    return table(["kind", "predicate type", "`configuration[0].name`", "", "evidence list"], rows)


def settings(root: Path) -> str:
    """Every key of pipeline.toml: its type and default from the model, its meaning from the comment beside it."""
    text = (root / FILE).read_text(encoding="utf-8")
    return table(["key", "value", "default", "meaning"], _settings(Settings, "", _comments(text)))


def _comments(text: str) -> dict[str, str]:
    """``section.key`` to the comment behind its line."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"\[([a-z.]+)\].*", line):
            section = heading[1]
        elif heading := re.fullmatch(r"\[\[([a-z.]+)\]\].*", line):
            section = f"{heading[1]}[]"
        elif (key := re.match(r"([a-z_]+) *=", line)) and "#" in line:
            found[f"{section}.{key[1]}"] = line.rpartition("#")[2].strip()
    return found


def _settings(model: type[BaseModel], prefix: str, comments: Mapping[str, str]) -> Iterator[list[str]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        of_list = get_args(inner)[0] if get_origin(inner) is list else None
        model_of = of_list or inner
        if isinstance(model_of, type) and issubclass(model_of, BaseModel):
            yield from _settings(model_of, f"{prefix}{name}{'[]' if of_list else ''}.", comments)
            continue
        default = "required" if field.default is PydanticUndefined else f"`{json.dumps(field.default)}`"
        yield [f"`{prefix}{name}`", _type(inner), default, comments.get(f"{prefix}{name}", "")]


def _type(annotation: Any) -> str:
    words = {str: "text", int: "number", bool: "true or false"}
    origin = get_origin(annotation)
    if annotation in words:
        return words[annotation]
    if origin is dict:
        return "table of text"
    if origin in (list, tuple):
        return f"list of {_type(get_args(annotation)[0])}"
    literals = [value for value in get_args(annotation) if isinstance(value, str)]
    return " or ".join(f"`{value}`" for value in literals) or "text"


def codes(root: Path) -> str:
    """Every refusal code: exit code, what it says, where it comes from."""
    by_code: dict[str, list[Any]] = {}
    for raised in read_codes(root / "pipeline"):
        by_code.setdefault(raised.code, []).append(raised)
    policy = load_policy(root / "policies")
    lines = {compiled.rule.id: (compiled.rule.message, "policies/rules.toml") for compiled in policy.rules}
    rows = [
        [f"`{code}`", "verdict", message.replace("{got}", "…").replace("{expected}", "…"), where]
        for code, (message, where) in lines.items()
    ]
    for code, places in by_code.items():
        said = sorted({place.message for place in places if place.message and place.message != "…"})
        status = sorted({place.exits or "verdict" for place in places})
        where = sorted({place.module.removeprefix("pipeline.") for place in places})
        rows.append([f"`{code}`", ", ".join(status), "<br>".join(map(_prose, said)), ", ".join(where)])
    return table(["code", "exit code", "message", "from"], sorted(rows))


def functions(_: Path) -> str:
    """What rules may call, beside CEL's own."""
    return table(["function", "gives"], [[f"`{one.signature}`", one.says] for one in FUNCTIONS])


def _prose(text: str) -> str:
    return re.sub(r"([<>*_`\[\]])", r"\\\1", text)


MAKERS: Mapping[str, Callable[[Path], str]] = {
    "gates": gates,
    "rules": rules,
    "exit-codes": exits,
    "kinds": kinds,
    "settings": settings,
    "codes": codes,
    "functions": functions,
    "formats": lambda _: formats(),
}


def regenerate(text: str, root: Path) -> str:
    """``text`` with every generated part made anew; KeyError for a name that nothing makes."""
    return _MARKED.sub(lambda found: f"{found[1]}{MAKERS[found[2]](root)}{found[3]}", text)


def paths(root: Path) -> list[Path]:
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md"))]


def write(root: Path) -> list[Path]:
    """Make every generated part anew; returns the documents that changed."""
    changed = []
    for path in paths(root):
        before = path.read_text(encoding="utf-8")
        after = regenerate(before, root)
        if after != before:
            write_atomic(path, after.encode())
            changed.append(path)
    return changed


def main(arguments: Sequence[str]) -> int:
    """``python -m pipeline.report.documents``: exit 2 for any argument, as it takes none."""
    if arguments:
        sys.stderr.write("documents: takes no arguments\n")
        return 2
    root = Path(__file__).resolve().parent.parent.parent
    changed = [path.relative_to(root).as_posix() for path in write(root)]
    sys.stdout.write(f"documents: {', '.join(changed) or 'all current'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
