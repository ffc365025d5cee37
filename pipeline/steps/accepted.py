"""``policies/sast.toml``: the findings of Bandit that somebody answers for, each until a day."""

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from pipeline.model.documents import Document
from pipeline.model.errors import CannotEvaluate
from pipeline.settings import RelativePath

FILE = "policies/sast.toml"
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


class _File(Document):
    accepted: Sequence[Accepted] = Field(default_factory=list)


def load_accepted(root: Path) -> list[Accepted]:
    """Raises CannotEvaluate (``sast.accepted``): missing file, unknown or duplicate key, the same finding twice."""
    try:
        parsed = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
        accepted = list(_File.model_validate(parsed).accepted)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise _unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(str(getattr(error, "strerror", None) or error)) from error
    keys = [(item.id, item.file) for item in accepted]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise _unreadable(f"{twice[0]} in {twice[1]} twice")
    return accepted


def _unreadable(got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "sast.accepted",
        f"{FILE}: not readable (got {got[:200]}, expected accepted findings with id, file, reason, owner and expires)",
        fix=f"mend {FILE} at the place named",
    )
