"""JSON Schema (draft 2020-12) of the policy's files, for editors; made from the models that read them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _file_name(name), **made}


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
