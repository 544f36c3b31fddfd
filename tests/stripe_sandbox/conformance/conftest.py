import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import Sandbox

TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")
REAL = bool(TEST_KEY)

if REAL:

    @pytest.fixture(autouse=True, scope="session")
    def _this_machine_only() -> None:
        """Takes the place of the guard that keeps all other tests on this machine."""


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox | None]:
    """None where Stripe itself is asked."""
    if REAL:
        if not TEST_KEY.startswith("sk_test_"):
            pytest.fail("STRIPE_TEST_KEY is a secret key of Stripe's test mode: sk_test_…")
        yield None
        return
    sandbox = Sandbox(tmp_path_factory.mktemp("conformance"), "--bank-delay", "0.2")
    with sandbox.running():
        yield sandbox


@pytest.fixture(scope="session")
def api(stand_in: Sandbox | None) -> Any:
    """Stripe's library at its pinned version, which is what the wallet uses too."""
    client = stand_in.client() if stand_in else stripe.StripeClient(TEST_KEY, max_network_retries=2)
    return client.v1


@pytest.fixture
def pay(stand_in: Sandbox | None) -> Callable[[str], None]:
    """Pays a session, which at Stripe a person does with a browser."""
    if stand_in is None:
        pytest.skip("Paying a checkout session needs a person with a browser.")
    return lambda session: stand_in.command(f"sessions/{session}/pay", method="card")


@pytest.fixture
def save(stand_in: Sandbox | None) -> Callable[[str], None]:
    """Saves a card on the page of a session, which at Stripe a person does too."""
    if stand_in is None:
        pytest.skip("Saving a card on a page needs a person with a browser.")
    return lambda session: stand_in.command(f"sessions/{session}/setup", card="visa")


@pytest.fixture
def customer(api: Any) -> str:
    found = api.customers.create({"email": "alice@example.com", "metadata": {"made_by": "conformance"}})
    return str(found.id)


@pytest.fixture
def charge(api: Any, customer: str) -> Callable[..., Any]:
    """Charges a test card while nobody is there, for a hundred cents unless said; the intent."""

    def charge(method: str = "pm_card_visa", amount: int = 100, **more: Any) -> Any:
        saved = api.payment_methods.attach(method, {"customer": customer})
        given = {
            "amount": amount,
            "currency": "usd",
            "customer": customer,
            "payment_method": saved.id,
            "off_session": True,
            "confirm": True,
            "allowed_payment_method_types": ["card"],
            "metadata": {"made_by": "conformance"},
            **more,
        }
        return api.payment_intents.create(given)

    return charge


def until(condition: Callable[[], Any]) -> Any:
    """What happens at Stripe by itself takes seconds; the truth it came to."""
    deadline = time.monotonic() + (90 if REAL else 10)
    while not (result := condition()):
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(2 if REAL else 0.1)
    return result
