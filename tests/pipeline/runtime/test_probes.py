"""Questions to a service; how they go with services that misbehave is tested where those run (test_sandbox)."""

import socket

import pytest

from pipeline.runtime.probes import CHECKS, Target, ask, ended, wait_healthy


@pytest.fixture
def nobody() -> Target:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return Target("127.0.0.1", port, "/healthz")


def test_every_check_fails_where_nobody_answers(nobody):
    checks = ask(nobody)
    assert [check.name for check in checks] == list(CHECKS)
    assert {(check.passed, check.detail) for check in checks} == {(False, "no HTTP answer (ConnectionRefusedError)")}


def test_waiting_ends_with_the_service(nobody):
    lives = iter([True, True, True])
    check = wait_healthy(nobody, 60, lambda: next(lives, False))
    assert check.detail == "GET /healthz answered 200 never, last ConnectionRefusedError, and the service ended"


def test_waiting_ends_after_its_time(nobody):
    check = wait_healthy(nobody, 0.05, lambda: True)
    assert (check.name, check.passed) == ("becomes-healthy", False)
    assert check.detail == "GET /healthz answered 200 never, last ConnectionRefusedError"


@pytest.mark.parametrize(
    ("exit_code", "passed", "detail"),
    [(0, True, "exit code 0"), (1, False, "exit code 1"), (None, False, "still running 15 s after SIGTERM")],
)
def test_only_exit_code_zero_is_a_clean_end(exit_code, passed, detail):
    check = ended(exit_code, 15)
    assert (check.name, check.passed, check.detail) == ("ends-cleanly-on-sigterm", passed, detail)
