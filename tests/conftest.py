"""What every test may ask for: the clone's root and its locked environments."""

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# The default suite tries few examples; `scripts/nox -s full` many. Neither is timed: machines differ.
settings.register_profile("default", max_examples=60, deadline=None, derandomize=True)
settings.register_profile("full", max_examples=10_000, deadline=None)
settings.load_profile("default")

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forbid-skips", action="store_true", help="a skipped test is a failed one: the tools are there")


#: Tests that need more than the clone: they run where they are asked for by name, as .ci/run does.
_OUTSIDE = ("engine", "registry", "interop", "network", "admission")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = config.getoption("-m")
    for item in items:
        for marker in _OUTSIDE:
            if marker in item.keywords and marker not in asked:
                item.add_marker(pytest.mark.skip(reason=f"{marker} tests run with -m {marker}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--forbid-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although skips are forbidden: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository under test."""
    return ROOT


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    """Each locked environment that is made here, to its Python, as a Job takes them."""
    from pipeline.running import environments  # noqa: PLC0415

    found = {name: environments.locate(ROOT, name) for name in environments.NAMES}
    return {name: environment.python for name, environment in found.items() if environment.ready()}


@pytest.fixture(scope="session")
def checks_python(tools: dict[str, Path]) -> Path:
    """The Python of the scanners' environment."""
    if "checks" not in tools:
        pytest.skip("environment checks is not made: run scripts/test")
    return tools["checks"]
