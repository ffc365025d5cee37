"""The findings that somebody answers for, each until a day: Bandit's (``policies/sast.toml``), and what looks like a
secret in the image and is none (``policies/secrets.toml``).
"""

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from pipeline.model.documents import Document
from pipeline.model.errors import CannotEvaluate
from pipeline.settings import RelativePath

FILE = "policies/sast.toml"
SECRETS = "policies/secrets.toml"
_Words = Annotated[str, StringConstraints(min_length=3, max_length=500)]


class Accepted(Document):
    """One finding, by rule and file: it stays accepted when lines move, and in no other file."""

    id: Annotated[str, StringConstraints(pattern=r"^B\d{3}$")]
    file: Annotated[RelativePath, StringConstraints(pattern=r"^[A-Za-z0-9_./-]+\.pyw?$")]
    reason: _Words
    owner: _Words
    expires: date
    """The last day on which it counts, in UTC."""

    def holds(self, today: date) -> bool:
        return today <= self.expires


class AcceptedSecret(Accepted):
    """``id`` is the detector's name of the form, ``file`` a path in the image or ``ENV NAME``."""

    id: _Words
    file: Annotated[str, StringConstraints(pattern=r"^(ENV [A-Za-z_][A-Za-z0-9_]*|[^/\s].*)$")]


class _File(Document):
    accepted: Sequence[Accepted] = Field(default_factory=list)


class _SecretsFile(Document):
    accepted: Sequence[AcceptedSecret] = Field(default_factory=list)


def load_accepted(root: Path) -> list[Accepted]:
    """Raises CannotEvaluate (``sast.accepted``): missing file, unknown or duplicate key, the same finding twice."""
    return list(_read(root, FILE, _File, "sast.accepted").accepted)


def load_accepted_secrets(root: Path) -> list[AcceptedSecret]:
    """None where the file is missing; raises CannotEvaluate (``image.accepted``) as ``load_accepted`` does."""
    if not (root / SECRETS).exists():
        return []
    return list(_read(root, SECRETS, _SecretsFile, "image.accepted").accepted)


_F = TypeVar("_F", _File, _SecretsFile)


def _read(root: Path, path: str, model: type[_F], code: str) -> _F:
    try:
        read = model.model_validate(tomllib.loads((root / path).read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unreadable(code, path, f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(code, path, str(getattr(error, "strerror", None) or error)) from error
    keys = [(item.id, item.file) for item in read.accepted]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise _unreadable(code, path, f"{twice[0]} in {twice[1]} twice")
    return read


def _unreadable(code: str, path: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        code,
        f"{path}: not readable (got {got[:200]}, expected accepted findings with id, file, reason, owner and expires)",
        fix=f"mend {path} at the place named",
    )
