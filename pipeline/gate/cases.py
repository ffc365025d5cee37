"""Tests of a policy: ``policies/tests``. A case is the good release with changes, and what the gate has to say of it.

``release.json`` holds the good release's predicates, by kind. ``*.toml`` hold cases.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from pipeline.files import read_limited
from pipeline.gate.environments import Name
from pipeline.gate.exceptions import PolicyException
from pipeline.gate.policy import MAX_POLICY_BYTES, with_days
from pipeline.gate.rules import Code
from pipeline.gate.signers import Repository
from pipeline.model.context import Context
from pipeline.model.documents import Document, canonical_json, parse
from pipeline.model.errors import CannotEvaluate
from pipeline.model.kinds import Kind
from pipeline.model.predicates import Time

FOLDER = "tests"
RELEASE_FILE = "release.json"
#: What a certificate says of a signer, and the trust root that vouches for it.
SignerField = Literal[
    "root", "issuer", "san", "workflow", "workflow_digest", "runner", "repository", "commit", "ref", "caller",
    "caller_digest", "trigger", "run", "visibility",
]  # fmt: skip


class Release(Document):
    """The good release: what each kind's evidence says, signed at ``signed`` and judged at ``now``."""

    repository: Repository
    """Stands in for the policy's own, so that cases do not depend on it."""
    signed: Time
    now: Time
    context: Context
    """Goes into every predicate that names its source."""
    predicates: dict[Kind, dict[str, Any]]


class Change(Document):
    """One change of the good release. ``at`` is a path into the predicate, its steps parted by dots."""

    evidence: Kind
    at: str | None = None
    to: Any = None
    remove: bool = False
    age_hours: float | None = None
    """Signed this long before it is judged."""
    signer: dict[SignerField, str] | None = None
    """Fields of the signer's identity that differ, and ``root``."""

    @model_validator(mode="after")
    def _changes_one_thing(self) -> "Change":
        if self.at is not None and (self.to is None) != self.remove:
            raise ValueError("should have to or remove beside at")
        return self


class CaseException(PolicyException):
    """An exception, and how many of its like there are."""

    times: Annotated[int, Field(ge=1, le=100)] = 1


class Case(Document):
    """Evidence, and the verdict that it has to get in each of ``environments``."""

    name: Annotated[str, Field(min_length=6, max_length=120)]
    environments: Annotated[tuple[Name, ...], Field(min_length=1)]
    verdict: Literal["PASSED", "FAILED"]
    codes: tuple[Code, ...] = ()
    """The codes of all refusals."""
    warnings: tuple[Code, ...] = ()
    message: str | None = None
    """What one of the findings says, word by word."""
    without: tuple[Kind, ...] = ()
    """Evidence that is not there."""
    source: dict[str, Any] = Field(default_factory=dict)
    """What differs in the source of all evidence."""
    change: tuple[Change, ...] = ()
    exception: tuple[CaseException, ...] = ()
    """The exceptions in force; the policy's own are left out."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Case":
        if bool(self.codes) != (self.verdict == "FAILED"):
            raise ValueError("should have codes where the verdict is FAILED, and only there")
        return self


class CasesFile(Document):
    """One of ``policies/tests/*.toml``."""

    case: Annotated[tuple[Case, ...], Field(min_length=1)]


def load_release(folder: Path) -> Release:
    """``folder/tests/release.json``; raises CannotEvaluate (``policy.case``, ``document.*``)."""
    return parse(Release, _read(folder / FOLDER / RELEASE_FILE), what=f"policies/{FOLDER}/{RELEASE_FILE}")


def load_cases(folder: Path) -> list[Case]:
    """All cases of ``folder/tests``, at least one, no name twice; raises CannotEvaluate (``policy.case``)."""
    cases = [case for path in sorted((folder / FOLDER).glob("*.toml")) for case in _cases(path)]
    names = [case.name for case in cases]
    if not cases:
        raise broken(FOLDER, "no case")
    for name in names:
        if names.count(name) > 1:
            raise broken(FOLDER, f"{name!r} twice")
    return cases


def _cases(path: Path) -> tuple[Case, ...]:
    try:
        parsed = with_days(tomllib.loads(_read(path).decode("utf-8")))
        return CasesFile.model_validate_json(canonical_json(parsed)).case
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise broken(f"{FOLDER}/{path.name}", f"{where}: {first['msg'].lower()}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise broken(f"{FOLDER}/{path.name}", str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, MAX_POLICY_BYTES)
    except OSError as error:
        raise broken(f"{FOLDER}/{path.name}", error.strerror or type(error).__name__) from error


def broken(what: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "policy.case",
        f"policies/{what}: no test of the policy (got {' '.join(got.split())[:200]}, expected a case as docs/policy.md "
        "describes it)",
        fix=f"mend policies/{what}",
    )
