"""The job's own token for pushing the ledger, where GitHub Actions gave one and the clone has no credentials itself.

It goes to git as configuration in its environment (git-config(1), ``GIT_CONFIG_COUNT``), for the one address that it is
for: never an argument, which every process could read, and never a file.
"""

import base64
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.git import git, text
from pipeline.steps.forge import Forge


def push_credentials(root: Path, remote: str, forge: Forge | None) -> dict[str, str]:
    """Variables for git, empty where the remote is not the job's repository over https, or has a header already."""
    address = text(git(root, "remote", "get-url", remote))
    if forge is None or not _is_its_repository(address, forge):
        return {}
    if text(git(root, "config", "--get-urlmatch", "http.extraheader", address)):
        return {}  # actions/checkout left its own; two of them are refused
    basic = base64.b64encode(f"x-access-token:{forge.token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{address}.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
    }


def _is_its_repository(address: str, forge: Forge) -> bool:
    found, api = urlsplit(address), urlsplit(forge.api)
    host = (api.hostname or "").removeprefix("api.")  # api.github.com, or host/api/v3 of an enterprise's own
    path = found.path.strip("/").removesuffix(".git")
    return found.scheme == "https" and found.netloc == host != "" and path.casefold() == forge.repository.casefold()
