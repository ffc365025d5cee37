"""Whether an engine really applied the hardening that was asked of it."""

from typing import Any

import pytest

from pipeline.runtime.containers import DEFAULT_CAPABILITIES, SERVICE_USER, check_hardened, owner

DOCKER: dict[str, Any] = {
    "HostConfig": {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        "Tmpfs": {"/tmp": "rw"},
        "Memory": 512 << 20,
        "PidsLimit": 128,
    },
    "Config": {"User": SERVICE_USER},
}


def test_what_docker_reports_of_a_hardened_container_passes():
    assert check_hardened(DOCKER).passed


def test_podman_names_each_capability_that_it_dropped():
    dropped = [f"CAP_{name}" for name in sorted(DEFAULT_CAPABILITIES)]
    assert check_hardened(DOCKER | {"HostConfig": DOCKER["HostConfig"] | {"CapDrop": dropped}}).passed
    check = check_hardened(DOCKER | {"HostConfig": DOCKER["HostConfig"] | {"CapDrop": dropped[1:]}})
    assert check.detail == "not applied: no capabilities"


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("ReadonlyRootfs", False, "read-only root"),
        ("CapDrop", None, "no capabilities"),
        ("CapAdd", ["NET_ADMIN"], "no capabilities"),
        ("SecurityOpt", None, "no new privileges"),
        ("Privileged", True, "not privileged"),
        ("Tmpfs", None, "tmpfs for /tmp"),
        ("Memory", 0, "memory limit"),
        ("PidsLimit", None, "process limit"),
    ],
)
def test_an_option_that_the_engine_did_not_apply_is_named(field, value, name):
    check = check_hardened(DOCKER | {"HostConfig": DOCKER["HostConfig"] | {field: value}})
    assert (check.name, check.passed, check.detail) == ("runs-hardened", False, f"not applied: {name}")


def test_another_user_is_named():
    check = check_hardened(DOCKER | {"Config": {"User": "root"}})
    assert check.detail == "not applied: user"


def test_an_owner_is_the_same_for_one_process():
    assert owner() == owner()
    assert len(owner().split(" ")) == 3
