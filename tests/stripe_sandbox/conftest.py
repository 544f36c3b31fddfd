from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from tests.stripe_sandbox.process import Receiver, Sandbox


@pytest.fixture(autouse=True, scope="session")
def _no_telemetry() -> None:
    stripe.enable_telemetry = False


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One stand-in for every test that minds its own objects only."""
    sandbox = Sandbox(tmp_path_factory.mktemp("shared"), "--bank-delay", "0.2")
    with sandbox.running():
        yield sandbox


@pytest.fixture
def client(shared: Sandbox) -> stripe.StripeClient:
    return shared.client()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture
def own(tmp_path: Path, receiver: Receiver) -> Iterator[Sandbox]:
    """A stand-in of the test's own, whose webhooks go to `receiver`."""
    sandbox = Sandbox(tmp_path, "--bank-delay", "0.2", "--webhook-url", receiver.url)
    with sandbox.running():
        yield sandbox
