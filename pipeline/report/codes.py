"""Every refusal code of the pipeline, read from its source, so that docs/codes.md can leave none out.

A code is the first argument of an error (or ``code=`` of a Problem or Finding). Where that is a parameter of a
function that makes errors, or a variable, the string constants that reach it are taken: of the calls of that
function, or, failing that, all constants of the module that look like codes.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CODE = re.compile(r"[a-z]+(?:-[a-z]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*")
_FAMILY = re.compile(r"[a-z]+(?:-[a-z]+)*\.")
_NO_CODE = re.compile(r".*\.(?:toml|json|jsonl|txt|in|py|tar|html|css|lock|md|sh|yml|yaml|xml|sarif|dev|io|com|org|so)")
_EXITS = {"GatehouseError": "3", "Refused": "1", "Misuse": "2", "CannotEvaluate": "3"}
_NOTES = {"Problem", "Finding"}


@dataclass(frozen=True)
class Raised:
    """One place that makes a code. ``exits`` is the exit code, empty where the gate or the step decides."""

    code: str
    module: str
    exits: str
    message: str = ""
    fix: str = ""
    certain: bool = True
    """False where the code is a variable, so that any code of the module may go with the message."""


@dataclass(frozen=True)
class _Module:
    name: str
    tree: ast.Module
    constants: Mapping[str, ast.expr] = field(default_factory=dict)
    """Module-level names to what they are assigned."""


def _modules(package: Path) -> list[_Module]:
    found = []
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(package.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        found.append(_Module(name, tree, dict(_assigned(tree))))
    known = {module.name: module.constants for module in found}
    return [_Module(m.name, m.tree, {**dict(_imported(m.tree, known)), **m.constants}) for m in found]


def _imported(tree: ast.Module, known: Mapping[str, Mapping[str, ast.expr]]) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module in known:
            constants = known[node.module]
            yield from ((item.name, constants[item.name]) for item in node.names if item.name in constants)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        yield from ((target.id, value) for target in targets if isinstance(target, ast.Name) and value is not None)


def _name(call: ast.expr) -> str:
    return call.attr if isinstance(call, ast.Attribute) else call.id if isinstance(call, ast.Name) else ""


def _classes(modules: list[_Module]) -> Iterator[tuple[str, "_Factory"]]:
    """Error classes, derived ones too, with their exit code; and notes: classes with a field ``code``, with none."""
    classes = [node for m in modules for node in ast.walk(m.tree) if isinstance(node, ast.ClassDef)]
    exits = dict(_EXITS)
    for _ in range(4):  # deeper than any family of errors here
        exits |= {
            c.name: exits[_name(b)] for c in classes for b in c.bases if _name(b) in exits and c.name not in exits
        }
    yield from ((name, _Factory(0, "code", code, "", "")) for name, code in exits.items())
    for node in classes:
        fields = [f.target.id for f in node.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)]
        if "code" in fields:
            yield node.name, _Factory(fields.index("code"), "code", "", "", "", note=True)
    yield from ((name, _Factory(99, "code", "", "", "", note=True)) for name in _NOTES)


@dataclass(frozen=True)
class _Factory:
    """A function that makes an error from a code that it is given as its ``place``-th argument, or by keyword."""

    place: int
    keyword: str
    exits: str
    message: str
    fix: str
    note: bool = False
    """A record of a code that was made elsewhere, more often than not."""
    default: str = ""
    """The code where none is given."""


def _text(node: ast.expr | None, module: _Module) -> str:
    """A message as a pattern: what is filled in at run time is an ellipsis."""
    match node:
        case None:
            return ""
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            return "".join("…" if isinstance(part, ast.FormattedValue) else _text(part, module) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, module) + _text(right, module)
        case ast.Name(id=name):
            before = [n for n in ast.walk(module.tree) if isinstance(n, ast.Assign) and n.lineno < node.lineno]
            named = [n for n in before if isinstance(n.targets[0], ast.Name) and n.targets[0].id == name]
            nearest = max(named, key=lambda n: n.lineno, default=None)
            return _text(nearest.value, module) if nearest else "…"
        case _:
            return "…"


def _argument(call: ast.Call, place: int, keyword: str) -> ast.expr | None:
    for item in call.keywords:
        if item.arg == keyword:
            return item.value
    return call.args[place] if len(call.args) > place else None


def _codes(node: ast.expr | None, module: _Module) -> list[str]:
    """The codes that an expression can be (``lint.*`` where a tool names the rest), empty where it cannot be read."""
    match node:
        case ast.Constant(value=str(text)) if CODE.fullmatch(text):
            return [text]
        case ast.JoinedStr(values=parts):
            return _pattern(parts)
        case ast.IfExp(body=yes, orelse=no):
            return _codes(yes, module) + _codes(no, module)
        case ast.Name(id=name) if name in module.constants:
            return _codes(module.constants[name], module)
        case ast.Subscript(value=ast.Name(id=name)) if isinstance(module.constants.get(name), ast.Dict):
            table = module.constants[name]
            return [code for value in getattr(table, "values", []) for code in _codes(value, module)]
        case _:
            return []


def _pattern(parts: list[ast.expr]) -> list[str]:
    match parts:
        case [ast.Constant(value=str(family)), *_] if _FAMILY.fullmatch(family):
            return [f"{family}*"]
        case [ast.FormattedValue(), ast.Constant(value=str(rest))] if CODE.fullmatch(f"x{rest}"):
            return [f"*{rest}"]
        case _:
            return []


def _functions(module: _Module) -> Iterator[tuple[ast.FunctionDef, list[ast.Call]]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef):
            yield node, [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]


class _Makers:
    """What makes errors: classes, and functions that are given a code. A private function is its module's alone."""

    def __init__(self, classes: Iterator[tuple[str, _Factory]]) -> None:
        self._everywhere = dict(classes)
        self._private: dict[tuple[str, str], _Factory] = {}

    def of(self, call: ast.Call, module: _Module) -> _Factory | None:
        name = _name(call.func)
        return self._private.get((module.name, name)) or self._everywhere.get(name)

    def learn(self, module: _Module) -> None:
        """Add the module's functions that hand a parameter of theirs on as a code."""
        for function, calls in _functions(module):
            for call in calls:
                factory = self._handing_on(function, call, module)
                if factory and function.name.startswith("_"):
                    self._private[(module.name, function.name)] = factory
                elif factory:
                    self._everywhere.setdefault(function.name, factory)

    def _handing_on(self, function: ast.FunctionDef, call: ast.Call, module: _Module) -> _Factory | None:
        parameters = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
        maker = self.of(call, module)
        given = _argument(call, maker.place, maker.keyword) if maker else None
        if maker is None or not isinstance(given, ast.Name) or given.id not in parameters:
            return None
        place = parameters.index(given.id) - (parameters[0] in ("self", "cls"))
        return _Factory(
            place, given.id, maker.exits, *_wording(call, maker, module), default=_default(function, given.id)
        )

    def hands_on(self, function: ast.FunctionDef, module: _Module) -> bool:
        known = (module.name, function.name) in self._private or function.name in self._everywhere
        return known and function.name not in _EXITS


def _default(function: ast.FunctionDef, name: str) -> str:
    arguments = function.args
    positional = zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)
    defaults = [*positional, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    found = next((value for argument, value in defaults if argument.arg == name), None)
    return str(found.value) if isinstance(found, ast.Constant) else ""


def _wording(call: ast.Call, maker: _Factory, module: _Module) -> tuple[str, str]:
    message = maker.message or _text(_argument(call, 1, "message"), module)
    if message == "…":
        # The function is given the message too: the argument that has its form.
        message = next((text for text in (_text(item, module) for item in call.args) if " (got " in text), message)
    return message, maker.fix or _text(_argument(call, len(call.args), "fix"), module)


def _looks_like_codes(module: _Module) -> list[str]:
    texts = [n.value for n in ast.walk(module.tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [text for text in texts if CODE.fullmatch(text) and not _NO_CODE.fullmatch(text)]


def read_codes(package: Path) -> list[Raised]:
    """Every code made below ``package``, by code and module."""
    modules = _modules(package)
    makers = _Makers(_classes(modules))
    for _ in range(2):  # a function may call such a function
        for module in modules:
            makers.learn(module)
    found = {raised for module in modules for raised in _raised(module, makers)}
    certain = {(raised.code, raised.module) for raised in found if raised.certain}
    kept = (raised for raised in found if raised.certain or (raised.code, raised.module) not in certain)
    return sorted(kept, key=lambda r: (r.code, r.module, r.message))


def _raised(module: _Module, makers: _Makers) -> Iterator[Raised]:
    handed_on = {
        id(call) for function, calls in _functions(module) if makers.hands_on(function, module) for call in calls
    }
    for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
        maker = makers.of(call, module)
        given = _argument(call, maker.place, maker.keyword) if maker else None
        if maker is None:
            continue
        codes = _codes(given, module) if given is not None else [maker.default] * bool(maker.default)
        message, fix = _wording(call, maker, module)
        for code in codes:
            yield Raised(code, module.name, maker.exits, message, fix)
        if given is not None and not codes and id(call) not in handed_on and not maker.note:
            for code in _looks_like_codes(module):
                yield Raised(code, module.name, maker.exits, message, fix, certain=False)
