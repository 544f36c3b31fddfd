"""The page to pay on, by plain HTTP, and what each choice on it leads to."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from tests.stripe_sandbox.process import Receiver, Reply, Sandbox, payment, until


def new(sandbox: Sandbox, **changes: object) -> stripe.checkout.Session:
    return sandbox.client().v1.checkout.sessions.create(payment(**changes))


def press(sandbox: Sandbox, session: stripe.checkout.Session, button: str) -> Reply:
    """Press the button with this id, as it stands on the page."""
    page = sandbox.request("GET", f"/c/pay/{session.id}").text
    found = re.search(rf'id="{button}"\s+data-action="{button}"\s+name="(\w+)"\s+value="(\w+)"', page)
    assert found
    return sandbox.request("POST", f"/c/pay/{session.id}", {found[1]: found[2]}, Authorization="")


def current(sandbox: Sandbox, session: stripe.checkout.Session) -> tuple[str | None, str]:
    found = sandbox.client().v1.checkout.sessions.retrieve(session.id)
    return found.status, found.payment_status


def test_the_page_says_what_is_paid_and_that_no_money_moves(shared: Sandbox) -> None:
    session = new(shared, customer_email="alice@example.com")
    page = shared.request("GET", f"/c/pay/{session.id}", Authorization="")
    for text in ("No money moves", "$1.00", "Wallet top-up", "alice@example.com", "127.0.0.1:8000"):
        assert text in page.text
    assert 'id="cancel" data-action="cancel" href="http://127.0.0.1:8000/wallet/"' in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8000" in policy
    assert "<script" not in page.text
    assert " style=" not in page.text
    style = shared.request("GET", "/sandbox.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_what_the_shop_sends_is_escaped(shared: Sandbox) -> None:
    price = {"currency": "usd", "unit_amount": 100, "product_data": {"name": "<script>$1${x}</script>"}}
    session = new(shared, line_items=[{"quantity": 1, "price_data": price}], cancel_url='http://x/?a="><b>')
    page = shared.request("GET", f"/c/pay/{session.id}").text
    assert "&lt;script&gt;$1${x}&lt;/script&gt;" in page
    assert "<script" not in page
    assert '"><b>' not in page


def test_a_good_card_pays_and_leads_back(shared: Sandbox) -> None:
    session = new(shared)
    reply = press(shared, session, "pay-card")
    assert reply.status == 303
    assert reply.headers["Location"] == f"http://127.0.0.1:8000/wallet/back/?session={session.id}"
    assert current(shared, session) == ("complete", "paid")
    assert "This checkout is complete" in shared.request("GET", f"/c/pay/{session.id}").text


def test_pressing_twice_pays_once(shared: Sandbox) -> None:
    session = new(shared)
    press(shared, session, "pay-card")
    assert shared.request("POST", f"/c/pay/{session.id}", {"method": "card"}).status == 303
    intent = shared.client().v1.checkout.sessions.retrieve(session.id).payment_intent
    assert len(shared.client().v1.charges.list({"payment_intent": str(intent)}).data) == 1


def test_a_declined_card_stays_and_a_good_one_pays_then(shared: Sandbox) -> None:
    session = new(shared)
    reply = press(shared, session, "pay-declined")
    assert (reply.status, "Your card was declined." in reply.text) == (200, True)
    assert current(shared, session) == ("open", "unpaid")
    v1 = shared.client().v1
    intent = v1.payment_intents.retrieve(str(v1.checkout.sessions.retrieve(session.id).payment_intent))
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error
    assert (intent.last_payment_error.code, intent.last_payment_error.decline_code) == (
        "card_declined",
        "generic_decline",
    )
    assert press(shared, session, "pay-card").status == 303
    assert current(shared, session) == ("complete", "paid")
    assert v1.payment_intents.retrieve(intent.id).last_payment_error is None
    assert [one.status for one in v1.charges.list({"payment_intent": intent.id})] == ["succeeded", "failed"]


def test_a_bank_debit_settles_by_itself(own: Sandbox, receiver: Receiver) -> None:
    session = new(own)
    assert press(own, session, "pay-bank").status == 303
    until(lambda: receiver.events("checkout.session.async_payment_succeeded"))
    assert current(own, session) == ("complete", "paid")
    [completed] = receiver.events("checkout.session.completed")
    assert completed["data"]["object"]["payment_status"] == "unpaid"
    # Several senders work in parallel, so the others may arrive after it.
    wanted = {"charge.pending", "payment_intent.processing", "charge.succeeded"}
    until(lambda: wanted <= {event["type"] for event in receiver.events()})
    entry = own.client().v1.balance_transactions.list({"type": "payment"}).data[0]
    assert (entry.amount, entry.reporting_category) == (100, "charge")


def test_a_bank_debit_fails_later(own: Sandbox, receiver: Receiver) -> None:
    session = new(own)
    assert press(own, session, "pay-bank-fails").status == 303
    until(lambda: receiver.events("checkout.session.async_payment_failed"))
    assert current(own, session) == ("complete", "unpaid")
    [charge] = own.client().v1.charges.list().data
    assert (charge.status, charge.failure_code, charge.balance_transaction) == (
        "failed",
        "account_closed",
        None,
    )


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Sandbox]:
    """Its bank debits settle after an hour, so in a test only when told to."""
    with Sandbox(tmp_path, "--bank-delay", "3600").running() as sandbox:
        yield sandbox


def test_a_debit_is_settled_by_command(patient: Sandbox) -> None:
    session, other = new(patient), new(patient)
    done = patient.command(f"sessions/{session.id}/pay", method="bank", settle="now")
    assert done["session"]["payment_status"] == "paid"
    patient.command(f"sessions/{other.id}/pay", method="bank")
    assert current(patient, other) == ("complete", "unpaid")
    failed = patient.command(f"sessions/{other.id}/settle", outcome="fails")
    assert failed["session"]["payment_status"] == "unpaid"
    reply = patient.request("POST", f"/_sandbox/sessions/{other.id}/settle")
    assert (reply.status, "No bank debit" in reply.text) == (400, True)


def test_a_debit_settles_when_the_clock_says_so(patient: Sandbox) -> None:
    session = new(patient)
    patient.command(f"sessions/{session.id}/pay", method="bank")
    patient.command("clock", seconds=3_599)
    assert current(patient, session) == ("complete", "unpaid")
    patient.command("clock", seconds=2)
    assert current(patient, session) == ("complete", "paid")


def test_an_expired_session_cannot_be_paid(shared: Sandbox) -> None:
    session = new(shared)
    shared.client().v1.checkout.sessions.expire(session.id)
    for method in ("GET", "POST"):
        page = shared.request(method, f"/c/pay/{session.id}", {"method": "card"})
        assert "This checkout has expired" in page.text
    assert current(shared, session) == ("expired", "unpaid")


def test_a_session_expires_by_time(own: Sandbox, receiver: Receiver) -> None:
    session = new(own, expires_at=int(time.time()) + 1_802)
    paid = new(own, expires_at=int(time.time()) + 1_802)
    own.command(f"sessions/{paid.id}/pay", method="card")
    own.command("clock", seconds=1_803)
    assert current(own, session) == ("expired", "unpaid")
    assert current(own, paid) == ("complete", "paid")
    until(lambda: receiver.events("checkout.session.expired"))


def test_other_input_on_the_page_is_answered(shared: Sandbox) -> None:
    session = new(shared)
    for body, error in (
        ("", "does not offer"),
        ("method=gold", "does not offer"),
        ("a=%ff", "not valid UTF-8"),
    ):
        reply = shared.request("POST", f"/c/pay/{session.id}", body)
        assert (reply.status, error in reply.text) == (400, True)
    assert shared.request("PUT", f"/c/pay/{session.id}").status == 405
    assert shared.request("GET", "/c/pay/cs_test_no").status == 404
    assert shared.request("GET", "/healthz").status == 200


def test_a_form_of_another_site_does_nothing(shared: Sandbox) -> None:
    session = new(shared)
    reply = shared.request("POST", f"/c/pay/{session.id}", {"method": "card"}, Sec_Fetch_Site="cross-site")
    assert reply.status == 403
    assert current(shared, session) == ("open", "unpaid")


def test_an_address_in_another_script_is_written_as_ascii(shared: Sandbox) -> None:
    session = new(shared, success_url="http://127.0.0.1:8000/\u20ac?a=%20&b={CHECKOUT_SESSION_ID}")
    reply = press(shared, session, "pay-card")
    assert reply.headers["Location"] == f"http://127.0.0.1:8000/%E2%82%AC?a=%20&b={session.id}"


def test_the_dashboard_sends_an_event_again(own: Sandbox, receiver: Receiver) -> None:
    session = new(own, client_reference_id="top-up <7>")
    own.command(f"sessions/{session.id}/pay", method="card")
    until(lambda: len(receiver.received) == 4)
    until(lambda: own.request("GET", "/").text.count("1 attempt, last: 200") == 4)
    page = own.request("GET", "/").text
    assert "top-up &lt;7&gt;" in page
    address = re.findall(r'action="(/dashboard/events/\w+/resend)"', page)[0]
    assert own.request("POST", address, Authorization="").status == 303
    until(lambda: len(receiver.events("checkout.session.completed")) == 2)
    own.request("POST", "/dashboard/webhooks/pause")
    assert "Webhooks are paused" in own.request("GET", "/").text
