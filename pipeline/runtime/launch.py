"""What an engine would start, read from an image's configuration."""

from dataclasses import dataclass
from typing import Any

from pipeline.model.errors import Refused

SERVICE_ID = 65532
"""User and group of the service where the image names none by number: "nonroot" of distroless images."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """OCI image specification, ``config.md``: "Entrypoint", "Cmd", "Env", "WorkingDir", "User"."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    uid: int
    gid: int


def read_launch(configuration: dict[str, Any]) -> Launch:
    """From an image configuration; raises Refused (``smoke.entrypoint``) where it names nothing to start."""
    config = configuration.get("config") or {}
    arguments = tuple(str(word) for word in [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])
    if not arguments:
        raise Refused(
            "smoke.entrypoint",
            "image: nothing to start (got neither an entrypoint nor a command, expected one)",
            fix="give the Dockerfile an ENTRYPOINT",
        )
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    uid, gid = _ids(str(config.get("User") or ""))
    return Launch(
        arguments=arguments,
        environment={"PATH": DEFAULT_PATH, "HOME": "/"} | {name: value for name, _, value in pairs},
        directory=config.get("WorkingDir") or "/",
        uid=uid,
        gid=gid,
    )


def _ids(user: str) -> tuple[int, int]:
    uid, _, gid = user.partition(":")
    if not (uid.isdigit() and int(uid) > 0):
        return SERVICE_ID, SERVICE_ID
    return int(uid), int(gid) if gid.isdigit() and int(gid) > 0 else int(uid)
