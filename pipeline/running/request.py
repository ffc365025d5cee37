"""What the user asked of a run, handed from the command to the sessions in one environment variable."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

VARIABLE = "GATEHOUSE_RUN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run: ``run`` is its identifier, empty when a session was started by nox itself."""

    run: str = ""
    fresh: bool = False
    registry: str = ""
    ci: bool = False

    def as_variable(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}


def current(environ: Mapping[str, str] | None = None) -> Request:
    """The request that this process belongs to; CI (``CI=true``) never reuses anything."""
    environ = os.environ if environ is None else environ
    ci = environ.get("CI", "").lower() in ("true", "1")
    given = json.loads(environ.get(VARIABLE, "{}"))
    return Request(**{**given, "ci": ci, "fresh": ci or bool(given.get("fresh", False))})
