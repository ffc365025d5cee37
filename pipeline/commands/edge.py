"""What every command needs of the machine that it runs on: the one place that reads environment and standard paths."""

import argparse
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pipeline.model.errors import CannotEvaluate

if TYPE_CHECKING:
    from pipeline.settings import Settings
    from pipeline.steps.forge import Forge

#: What ``register`` adds its parser to; argparse has no public name for it.
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


def say(text: str) -> None:
    """Print to stderr; what could steer a terminal, in a name that somebody else chose, is shown as ``?``."""
    print("".join(c if c.isprintable() or c == "\n" else "?" for c in text), file=sys.stderr, flush=True)


def rfc3339_time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not an RFC 3339 time: {text!r}") from None
    if parsed.tzinfo is None:
        raise argparse.ArgumentTypeError(f"a time without its offset says nothing: {text!r} (add Z)")
    return parsed.astimezone(UTC)


def root_folder() -> Path:
    return Path(__file__).resolve().parents[2]


def use_system_certificates() -> None:
    """Proxies with a root certificate of their own are in the system's store, not in certifi's list."""
    import truststore

    truststore.inject_into_ssl()


def docker_config() -> Path:
    """Where Docker keeps the credentials of registries."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def hosted() -> bool:
    """Whether this is a job of GitHub Actions; what comes of it counts by its signer's identity alone."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def forge() -> "Forge | None":
    """GitHub Actions' own word on where the job runs; None where the job was given no token to ask with."""
    from pipeline.steps.forge import Forge

    token = os.environ.get("GITHUB_TOKEN", "")
    if os.environ.get("GITHUB_ACTIONS") != "true" or not token:
        return None
    return Forge(
        api=os.environ.get("GITHUB_API_URL", ""),
        repository=os.environ.get("GITHUB_REPOSITORY", ""),
        ref=os.environ.get("GITHUB_REF", ""),
        token=token,
    )


def requester() -> str:
    """Who started the job, as GitHub Actions says; empty elsewhere: there it is who signs."""
    login = os.environ.get("GITHUB_TRIGGERING_ACTOR") or os.environ.get("GITHUB_ACTOR", "")
    return f"https://github.com/{login}" if os.environ.get("GITHUB_ACTIONS") == "true" and login else ""


def load_settings(registry: str) -> "Settings":
    from pipeline import settings

    loaded = settings.load(root_folder())
    return settings.with_registry(loaded, registry) if registry else loaded


def unexpected(state: Path, name: str, error: BaseException) -> CannotEvaluate:
    """A defect: the traceback goes to a file of the state folder, one line to the user."""
    from pipeline.files import write_atomic

    log = state / "logs" / f"{name}.log"
    write_atomic(log, "".join(traceback.format_exception(error)).encode("utf-8", "replace"), mode=0o600)
    return CannotEvaluate(
        "internal.defect",
        f"{name}: stopped by a defect of the pipeline (got {type(error).__name__}, expected none)",
        fix=f"report it with the file {log.relative_to(state.parent)}",
    )
