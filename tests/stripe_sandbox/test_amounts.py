"""What a session costs in the end: discounts, tax, the shopper's own currency, and the papers about it."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe

from tests.stripe_sandbox.process import Receiver, Sandbox, payment, until
from tests.stripe_sandbox.saving import customer_of, saving, told


def selling(*cents: int, behavior: str | None = None, **changes: Any) -> Any:
    """A session with an item for each amount."""
    more = {"tax_behavior": behavior} if behavior else {}
    items = [
        {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": one,
                "product_data": {"name": f"{one} cents", "tax_code": "txcd_10103001"},
                **more,
            },
        }
        for one in cents
    ]
    return payment(line_items=items, **changes)


def paid(sandbox: Sandbox, given: Any, **choices: str) -> Any:
    v1: Any = sandbox.client().v1
    session = v1.checkout.sessions.create(given)
    sandbox.command(f"sessions/{session.id}/pay", **{"method": "card", **choices})
    expanded = ["payment_intent.latest_charge.balance_transaction", "line_items"]
    return v1.checkout.sessions.retrieve(session.id, {"expand": expanded})


def amounts(session: Any) -> tuple[int, int, int, int]:
    """Subtotal, discount, tax and total."""
    details = session.total_details
    return session.amount_subtotal, details.amount_discount, details.amount_tax, session.amount_total


@pytest.mark.parametrize(
    ("behavior", "country", "expected"),
    [
        # 19 % of $10.00 on top of it, and as the part of it that makes 119 % of the rest.
        ("exclusive", "DE", (1_000, 0, 190, 1_190)),
        (None, "DE", (1_000, 0, 190, 1_190)),
        ("inclusive", "DE", (1_000, 0, 160, 1_000)),
        ("exclusive", "CH", (1_000, 0, 81, 1_081)),
        ("exclusive", "US", (1_000, 0, 0, 1_000)),
    ],
)
def test_tax_goes_by_the_country(shared: Sandbox, behavior: str | None, country: str, expected: Any) -> None:
    given = selling(1_000, behavior=behavior, automatic_tax={"enabled": True})
    session = paid(shared, given, country=country)
    assert (amounts(session), session.automatic_tax.status) == (expected, "complete")
    intent = session.payment_intent
    assert (intent.amount_received, intent.latest_charge.amount) == (expected[3], expected[3])
    assert intent.latest_charge.balance_transaction.amount == expected[3]
    assert session.customer_details.address.country == country


def test_tax_waits_for_the_country(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(selling(1_000, automatic_tax={"enabled": True}))
    assert (session.automatic_tax.status, session.total_details.amount_tax) == ("requires_location_inputs", 0)
    plain = client.v1.checkout.sessions.create(selling(1_000))
    assert (plain.automatic_tax.enabled, plain.automatic_tax.status) == (False, None)
    shared.command(f"sessions/{plain.id}/pay", method="card", country="DE")
    assert amounts(client.v1.checkout.sessions.retrieve(plain.id)) == (1_000, 0, 0, 1_000)


def test_the_customers_address_counts_and_is_kept(shared: Sandbox, client: Any) -> None:
    at_home = client.v1.customers.create({"address": {"country": "DE", "city": "Bonn"}}).id
    taxed: Any = {"automatic_tax": {"enabled": True}}
    session = client.v1.checkout.sessions.create(selling(1_000, customer=at_home, **taxed))
    assert amounts(session) == (1_000, 0, 190, 1_190)
    unknown = customer_of(client)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(selling(1_000, customer=unknown, **taxed))
    assert caught.value.code == "customer_tax_location_invalid"
    update: Any = {"customer_update": {"address": "auto"}}
    paid(shared, selling(1_000, customer=unknown, **taxed, **update), country="FR")
    assert client.v1.customers.retrieve(unknown).address.country == "FR"
    assert told(client, unknown)[-2:] == ["customer.updated", "checkout.session.completed"]


@pytest.mark.parametrize(
    ("cents", "coupon", "expected"),
    [
        ([1_000], "SAVE25", [250]),
        # A quarter of $9.99 is 249.75 cents, so 250, and no cent of it gets lost between the items.
        ([333, 333, 333], "SAVE25", [83, 83, 84]),
        ([1_000, 50], "DOLLAR1", [95, 5]),
    ],
)
def test_a_discount_is_spread_to_the_cent(shared: Sandbox, cents: Any, coupon: str, expected: Any) -> None:
    session = paid(shared, selling(*cents, discounts=[{"coupon": coupon}]))
    items = session.line_items.data
    assert [one.amount_discount for one in items] == expected
    assert session.amount_total == sum(cents) - sum(expected) == session.payment_intent.amount
    assert [one.coupon for one in session.discounts] == [coupon]


def test_tax_is_taken_after_the_discount(shared: Sandbox) -> None:
    given = selling(1_000, discounts=[{"coupon": "SAVE25"}], automatic_tax={"enabled": True})
    # 19 % of $7.50 is 142.5 cents, so 143.
    assert amounts(paid(shared, given, country="DE")) == (1_000, 250, 143, 893)


def test_nothing_is_paid_where_the_discount_covers_it(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    session = paid(shared, selling(1_000, customer=customer, discounts=[{"coupon": "FREE100"}]))
    assert (session.status, session.payment_status, session.payment_intent) == (
        "complete",
        "no_payment_required",
        None,
    )
    assert amounts(session) == (1_000, 1_000, 0, 0)
    assert told(client, customer) == ["customer.created", "checkout.session.completed"]
    assert "Nothing had to be paid" in shared.request("GET", f"/c/pay/{session.id}").text


def test_a_code_is_typed_in_on_the_page(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(selling(1_000, allow_promotion_codes=True))
    address = f"/c/pay/{session.id}"

    def use(code: str) -> Any:
        return shared.request("POST", address, {"code": code, "terms": "code"}, Authorization="")

    assert (use("nothing").status, "This code is invalid." in use("nothing").text) == (400, True)
    assert use("save25").status == 303
    page = shared.request("GET", address).text
    for text in ("-$2.50", "$7.50", "25 % off"):
        assert text in page
    [discount] = client.v1.checkout.sessions.retrieve(session.id).discounts
    assert (discount.coupon, discount.promotion_code) == ("SAVE25", "promo_sandboxSAVE25")
    use("")
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 1_000
    plain = client.v1.checkout.sessions.create(selling(1_000))
    assert 'name="code"' not in shared.request("GET", f"/c/pay/{plain.id}").text
    # Sent by hand, where the page does not ask for it.
    reply = shared.request("POST", f"/c/pay/{plain.id}", {"code": "FREE100", "terms": "code"})
    assert reply.status == 400
    assert client.v1.checkout.sessions.retrieve(plain.id).amount_total == 1_000


def test_a_total_that_is_too_small_is_refused(client: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(selling(60, discounts=[{"coupon": "SAVE25"}]))
    assert caught.value.code == "amount_too_small"


def test_a_declined_intent_follows_the_total(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(selling(1_000))
    shared.command(f"sessions/{session.id}/pay", method="declined")
    shared.command(f"sessions/{session.id}/pay", method="card", coupon="SAVE25")
    key = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    assert client.v1.payment_intents.retrieve(key).amount_received == 750
    assert [one.amount for one in client.v1.charges.list({"payment_intent": key})] == [750, 1_000]


@pytest.mark.parametrize(("currency", "minor_units"), [("eur", 920), ("gbp", 790), ("jpy", 1_500)])
def test_the_shopper_pays_in_another_currency(shared: Sandbox, currency: str, minor_units: int) -> None:
    session = paid(shared, selling(1_000), currency=currency)
    expected = {"presentment_amount": minor_units, "presentment_currency": currency}
    charge = session.payment_intent.latest_charge
    for one in (session, session.payment_intent, charge):
        assert one.presentment_details.to_dict() == expected
        assert one.currency == "usd"
    assert (session.amount_total, charge.amount, charge.balance_transaction.amount) == (1_000, 1_000, 1_000)


def test_presentment_is_absent_where_dollars_are_paid(shared: Sandbox, client: Any) -> None:
    session = paid(shared, selling(1_000))
    assert "presentment_details" not in session
    assert "presentment_details" not in session.payment_intent.latest_charge
    only = client.v1.checkout.sessions.create(selling(1_000, adaptive_pricing={"enabled": False}))
    reply = shared.request("POST", f"/_sandbox/sessions/{only.id}/pay", {"method": "card", "currency": "eur"})
    assert (reply.status, reply.error["param"]) == (400, "currency")
    assert 'name="currency"' not in shared.request("GET", f"/c/pay/{only.id}").text


def test_country_and_currency_are_chosen_on_the_page(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(selling(1_000, automatic_tax={"enabled": True}))
    address = f"/c/pay/{session.id}"
    assert "Where do you live?" in shared.request("GET", address).text
    for name, value in (("country", "DE"), ("currency", "eur")):
        reply = shared.request("POST", address, {name: value, "terms": name}, Authorization="")
        assert (reply.status, reply.headers["Location"]) == (303, address)
    page = shared.request("GET", address).text
    for text in ("$1.90", "$11.90", "\u20ac10.95"):
        assert text in page
    for name in ("country", "currency"):
        assert shared.request("POST", address, {name: "XX", "terms": name}).status == 400


def test_a_receipt_can_be_read(shared: Sandbox, client: Any) -> None:
    charge = paid(shared, selling(1_000), currency="eur").payment_intent.latest_charge
    page = shared.request("GET", urlsplit(charge.receipt_url).path, Authorization="")
    for text in ("Receipt", "$10.00", "\u20ac9.20", "Visa ending in 4242", "No money moves"):
        assert text in page.text
    assert shared.request("GET", "/receipts/unknown").status == 404
    failed = client.v1.checkout.sessions.create(selling(1_000))
    shared.command(f"sessions/{failed.id}/pay", method="declined")
    key = client.v1.checkout.sessions.retrieve(failed.id).payment_intent
    assert client.v1.charges.list({"payment_intent": key}).data[0].receipt_url is None


def test_an_invoice_is_made_and_can_be_read(shared: Sandbox, client: Any) -> None:
    customer = customer_of(client)
    given = selling(
        1_000,
        customer=customer,
        invoice_creation={"enabled": True, "invoice_data": {"description": "Credit"}},
    )
    session = paid(shared, given)
    invoice = client.v1.invoices.retrieve(session.invoice)
    assert (invoice.status, invoice.total, invoice.customer) == ("paid", 1_000, customer)
    assert re.fullmatch(r"[A-Z0-9]{8}-0001", invoice.number)
    page = shared.request("GET", urlsplit(invoice.hosted_invoice_url).path, Authorization="").text
    assert (invoice.number in page, "$10.00" in page) == (True, True)
    pdf = shared.request("GET", urlsplit(invoice.invoice_pdf).path, Authorization="")
    assert (pdf.headers["Content-Type"], pdf.body[:5], b"$10.00" in pdf.body) == (
        "application/pdf",
        b"%PDF-",
        True,
    )
    start = int(pdf.body.split(b"startxref\n")[1].split()[0])
    assert pdf.body[start:].startswith(b"xref\n")
    assert told(client, customer)[-2:] == ["invoice.payment_succeeded", "checkout.session.completed"]
    assert [one.id for one in client.v1.invoices.list({"customer": customer})] == [invoice.id]
    assert paid(shared, selling(1_000)).invoice is None


def test_the_invoice_of_a_debit_comes_with_its_money(own: Sandbox, receiver: Receiver) -> None:
    client: Any = own.client()
    given = selling(1_000, customer=customer_of(client), invoice_creation={"enabled": True})
    session = client.v1.checkout.sessions.create(given)
    own.command(f"sessions/{session.id}/pay", method="bank")
    [event] = until(lambda: receiver.events("checkout.session.async_payment_succeeded"))
    assert event["data"]["object"]["invoice"].startswith("in_")
    [completed] = receiver.events("checkout.session.completed")
    assert completed["data"]["object"]["invoice"] is None


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"discounts": [{"coupon": "NO"}]}, "discounts[0][coupon]"),
        ({"discounts": [{"promotion_code": "promo_no"}]}, "discounts[0][promotion_code]"),
        ({"discounts": [{"coupon": "SAVE25"}], "allow_promotion_codes": True}, "discounts"),
        ({"discounts": [{"coupon": "SAVE25"}, {"coupon": "FREE100"}]}, "discounts"),
        ({"customer_update": {"address": "auto"}}, "customer_update"),
        ({"customer_update": {"adress": "auto"}}, "customer_update[adress]"),
        ({"invoice_creation": {"enabled": True}}, "invoice_creation[enabled]"),
    ],
)
def test_bad_terms_are_refused_by_name(client: Any, given: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(selling(1_000, **given))
    assert caught.value.param == param


def test_a_session_that_saves_a_card_has_no_terms(shared: Sandbox, client: Any) -> None:
    session = client.v1.checkout.sessions.create(saving(None))
    fields = {"method": "card", "coupon": "FREE100"}
    assert shared.request("POST", f"/_sandbox/sessions/{session.id}/pay", fields).status == 400
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
