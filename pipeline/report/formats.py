"""docs/formats.md: every field of the files that a run leaves, from the models that read and write them."""

import ast
import inspect
import textwrap
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from pipeline.model.context import Context, Source, Tool
from pipeline.model.outcome import Artifact, Evidence, Outcome, Problem, StepRecord
from pipeline.report.markdown import table
from pipeline.report.run import (
    Audit,
    Bundle,
    Component,
    Finding,
    Image,
    Platform,
    Refusal,
    Run,
    RunList,
    Session,
    Step,
    Verdict,
    Verified,
)
from pipeline.report.verdict_account import Build, Check, Subject

MODELS: tuple[type[BaseModel], ...] = (
    Run,
    Step,
    Problem,
    Image,
    Platform,
    Verdict,
    Refusal,
    Verified,
    Subject,
    Build,
    Check,
    Bundle,
    Component,
    Audit,
    Finding,
    Artifact,
    Source,
    RunList,
    Session,
    StepRecord,
    Outcome,
    Evidence,
    Context,
    Tool,
)
_HEADS = ("field", "type", "meaning")


def formats() -> str:
    """The files that a run writes, field by field."""
    return "\n" + "\n".join(_described(model) for model in MODELS) + "\n"


def _described(model: type[BaseModel]) -> str:
    meanings = _field_docstrings(model)
    rows = [
        [f"`{name}`", _shape(field.annotation), meanings.get(name, "")] for name, field in model.model_fields.items()
    ]
    return f"### {model.__name__}\n\n{_prose(inspect.cleandoc(model.__doc__ or ''))}\n\n{table(_HEADS, rows)}"


def _prose(docstring: str) -> str:
    return " ".join(docstring.replace("``", "`").split())


def _field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Field to the string that stands below it in the class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    pairs = pairwise(getattr(body, "body", []))
    return {
        field.target.id: _prose(str(said.value.value))
        for field, said in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant)
    }


_WORDS = {str: "string", int: "integer", float: "number", bool: "true or false", type(None): "null", Any: "any"}


def _shape(annotation: Any) -> str:
    """A type as JSON knows it."""
    arguments = get_args(annotation)
    match get_origin(annotation):
        case None:
            return _plain(annotation)
        case origin if origin is list:
            return f"array of {_shape(arguments[0])}"
        case origin if origin is dict:
            return f"object of {_shape(arguments[1])}"
        case origin if origin is Literal:
            return ", ".join(f"`{value}`" for value in arguments)
        case origin if origin is Annotated:
            return _shape(arguments[0])
        case _:
            return " or ".join(map(_shape, arguments))


def _plain(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{value}`" for value in annotation)
    return _WORDS.get(annotation) or str(getattr(annotation, "__name__", "any"))
