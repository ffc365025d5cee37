"""``policies/dependencies.toml``: which packages the service may ask for by name, and who answers for each."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from packaging.utils import canonicalize_name
from pydantic import Field, StringConstraints, ValidationError

from pipeline.model.documents import Document
from pipeline.model.errors import CannotEvaluate

FILE = "policies/dependencies.toml"
_Words = Annotated[str, StringConstraints(min_length=3, max_length=500)]


class Allowed(Document):
    """One direct dependency, by its name as PEP 503 normalises it."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    owner: _Words
    reason: _Words


class _File(Document):
    dependency: Annotated[Sequence[Allowed], Field(min_length=1)]


def load_allowed(root: Path) -> dict[str, Allowed]:
    """Name to entry; raises CannotEvaluate (``dependencies.allowed``): missing, empty, unknown key, a name twice."""
    try:
        parsed = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
        entries = list(_File.model_validate(parsed).dependency)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(str(getattr(error, "strerror", None) or error)) from error
    allowed = {entry.name: entry for entry in entries}
    if len(allowed) < len(entries):
        names = [entry.name for entry in entries]
        raise _unreadable(f"{next(name for name in names if names.count(name) > 1)} twice")
    return allowed


def normalised(name: str) -> str:
    return str(canonicalize_name(name))


def _unreadable(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "dependencies.allowed",
        f"{FILE}: not readable (got {got[:200]}, expected dependencies with name, owner and reason)",
        fix=f"mend {FILE} at the place named",
    )
