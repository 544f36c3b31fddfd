"""The real quick start with the real gateway beside it, and the clients in environments of their own."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import environments
from tests.gateway.environments import Absent
from tests.gateway.running import RunningGateway
from tests.stack import Stack

LOG_SHOWN = 8_000


def _or_skip(install: Callable[[], Path]) -> Path:
    try:
        return install()
    except Absent as why:
        pytest.skip(f"THE GATEWAY WAS NOT TRIED WITH WHAT {install.__name__} IS FOR: {why}")


@pytest.fixture(scope="session")
def gateway_python() -> Path:
    """LiteLLM's environment; its installation takes about a minute where no run before did it."""
    return _or_skip(environments.gateway_python)


@pytest.fixture(scope="session")
def clients_python() -> Path:
    return _or_skip(environments.clients_python)


@pytest.fixture(scope="session")
def tool_python() -> Path:
    return _or_skip(environments.tool_python)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    return _or_skip(environments.node_modules)


@pytest.fixture(scope="package")
def gateway(
    stack: Stack, gateway_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """Answered by the echo. A test that stops it starts it again."""
    running = RunningGateway(stack, gateway_python, tmp_path_factory.mktemp("gateway") / "data")
    try:
        yield running.up()
    finally:
        running.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test fails, what the gateway said stands below it."""
    report = yield
    found: dict[str, Any] = getattr(item, "funcargs", {})
    for running in found.values():
        if report.failed and isinstance(running, RunningGateway):
            report.sections.append(("the gateway's log", running.log[-LOG_SHOWN:]))
    return report
