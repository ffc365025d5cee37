"""Commands in namespaces of their own: without a network, with a small disk."""

import subprocess

import pytest


def namespace(*options: str) -> list[str]:
    """unshare(1) with ``options``, as root or as anybody, or a skip where this machine does not allow it."""
    for command in (["unshare", *options], ["unshare", "--map-root-user", *options]):
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False, timeout=10).returncode == 0:
                return command
        except OSError:
            break
    pytest.skip(f"no namespaces here: unshare {' '.join(options)}")


def within(prepare: str, *options: str) -> list[str]:
    """What to put before a command that shall run in a namespace, after ``prepare`` (for sh) was done there."""
    return [*namespace(*options), "sh", "-c", f'{prepare} && exec "$@"', "sh"]


#: A network with nobody in it but this machine.
OFFLINE = ("ip link set lo up", "--net")
