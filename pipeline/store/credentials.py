"""Credentials for a registry as Docker keeps them: ``config.json`` and its credential helpers, and nowhere else."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.model.documents import parse_json
from pipeline.model.errors import CannotEvaluate
from pipeline.processes import run

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_FOUND = b"credentials not found"
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """``username`` is ``<token>`` where ``secret`` is an identity token (a refresh token of the token server)."""

    username: str
    secret: str = field(repr=False)

    @property
    def is_identity_token(self) -> bool:
        return self.username == "<token>"

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()


def find_credentials(folder: Path | None, host: str) -> Credentials | None:
    """What Docker would use for ``host``: its credential helper, the store for all hosts, or ``auths``.

    ``folder`` holds ``config.json`` (``$DOCKER_CONFIG``); None where there is no such file or no entry.
    Raises CannotEvaluate (``registry.credentials``), which never quotes the file's content.
    """
    config = _read_config(folder)
    helper = _object(config, "credHelpers").get(host) or config.get("credsStore")
    if helper:
        found = _ask_helper(str(helper), host)
        if found is not None:
            return found
    for name, entry in _object(config, "auths").items():
        if _host_of(name) == host and isinstance(entry, dict):
            return _from_entry(entry, host)
    return None


def _unreadable(what: str, got: str) -> CannotEvaluate:
    return CannotEvaluate(
        "registry.credentials",
        f"{what}: credentials not readable (got {got}, expected what `docker login` writes)",
        fix="log in again with `docker login`, or `skopeo login --compat-auth-file`",
    )


def _read_config(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {}
    path = folder / "config.json"
    try:
        content = path.read_bytes()
        document = parse_json(content, what=str(path), limit=_MAX_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, CannotEvaluate) as error:
        raise _unreadable(str(path), type(error).__name__) from None
    if not isinstance(document, dict):
        raise _unreadable(str(path), "no JSON object")
    return document


def _object(config: dict[str, Any], field_name: str) -> dict[str, Any]:
    value = config.get(field_name, {})
    if not isinstance(value, dict):
        raise _unreadable(field_name, "no JSON object")
    return value


def _host_of(name: str) -> str:
    """``auths`` has had keys like ``https://host/v1/`` beside ``host``."""
    return re.sub(r"^https?://", "", name).split("/")[0]


def _from_entry(entry: dict[str, Any], host: str) -> Credentials | None:
    if entry.get("identitytoken"):
        return Credentials("<token>", str(entry["identitytoken"]))
    if entry.get("username") and entry.get("password"):
        return Credentials(str(entry["username"]), str(entry["password"]))
    if not entry.get("auth"):
        return None
    try:
        username, colon, secret = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (ValueError, TypeError):
        raise _unreadable(f"auths of {host}", "no base64 of user:password") from None
    if not colon:
        raise _unreadable(f"auths of {host}", "no colon between user and password")
    return Credentials(username, secret.rstrip("\0"))


def _ask_helper(name: str, host: str) -> Credentials | None:
    """The protocol of docker-credential-helpers: the host on stdin, one JSON object back."""
    program = f"docker-credential-{name}"
    if not _HELPER.fullmatch(name):
        raise _unreadable("credential helper", "a name that is no program's")
    try:
        answer = run([program, "get"], stdin=f"{host}\n".encode(), timeout=60)
    except CannotEvaluate as error:
        raise _unreadable(program, error.code) from error
    if answer.exit_code != 0:
        if _NOT_FOUND in answer.stdout + answer.stderr:
            return None
        raise _unreadable(program, f"exit code {answer.exit_code}")
    try:
        document = parse_json(answer.stdout, what=program, limit=_MAX_BYTES)
        return Credentials(str(document["Username"]), str(document["Secret"]))
    except (CannotEvaluate, KeyError, TypeError):
        raise _unreadable(program, "an answer without Username and Secret") from None
