"""JSON Schema (draft 2020-12) of the policy's files, for editors; made from the models that read them."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from pipeline.files import write_atomic
from pipeline.gate.cases import CasesFile
from pipeline.gate.environments import EnvironmentsFile
from pipeline.gate.exceptions import ExceptionsFile
from pipeline.gate.policy import RulesFile

FOLDER = "schemas"
#: By the name of the file that each is for, ``tests/*.toml`` being the cases.
MODELS: Mapping[str, type[BaseModel]] = {
    "environments": EnvironmentsFile,
    "rules": RulesFile,
    "exceptions": ExceptionsFile,
    "cases": CasesFile,
}


def schema(name: str) -> dict[str, Any]:
    """The schema of one file; KeyError for a name that is none of ``MODELS``."""
    made = MODELS[name].model_json_schema()
    by_name = {model.__name__: model for model in _models(MODELS[name], set())}
    for title, described in {**made.get("$defs", {}), MODELS[name].__name__: made}.items():
        _describe(described, by_name.get(title))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _file_name(name), **made}


def _models(model: Any, seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """``model`` and every model below its fields."""
    if isinstance(model, type) and issubclass(model, BaseModel) and model not in seen:
        seen.add(model)
        for field in model.model_fields.values():
            _models(field.annotation, seen)
    for inner in get_args(model):
        _models(inner, seen)
    return seen


def _describe(described: dict[str, Any], model: type[BaseModel] | None) -> None:
    """Give the properties of one model's schema what stands below its fields in the source."""
    for owner in reversed(model.__mro__) if model is not None else ():
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            for field, text in _field_docstrings(owner):
                described["properties"][field]["description"] = text


def _field_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    [body] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    lines = body.body if isinstance(body, ast.ClassDef) else []
    for line, following in itertools.pairwise(lines):
        match line, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)


def schema_text(name: str) -> str:
    return json.dumps(schema(name), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_schemas(folder: Path) -> Iterator[Path]:
    """Write those of ``folder/schemas`` that are not as they should be; yields each that changed."""
    for name in MODELS:
        path, text = folder / FOLDER / _file_name(name), schema_text(name)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, text.encode())
            yield path


def _file_name(name: str) -> str:
    return f"{name}.schema.json"
