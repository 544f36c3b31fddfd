"""Checkout sessions, idempotency, lists and errors."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import payment


def top_up(customer: str, **changes: Any) -> Any:
    return payment(customer=customer, client_reference_id="7", metadata={"made_by": "conformance"}, **changes)


def test_an_open_session(api: Any, customer: str) -> None:
    session = api.checkout.sessions.create(top_up(customer))
    assert (session.status, session.payment_status, session.mode) == ("open", "unpaid", "payment")
    assert (session.amount_subtotal, session.amount_total, session.currency) == (100, 100, "usd")
    assert (session.client_reference_id, session.customer) == ("7", customer)
    assert session.metadata.to_dict() == {"made_by": "conformance"}
    assert session.url.startswith("http")
    assert session.payment_intent is None
    assert session.livemode is False
    assert abs(session.expires_at - time.time() - 86_400) < 120
    read = api.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    assert [(item.quantity, item.amount_total) for item in read.line_items] == [(1, 100)]


def test_an_expired_session_stays_so(api: Any, customer: str) -> None:
    session = api.checkout.sessions.create(top_up(customer))
    expired = api.checkout.sessions.expire(session.id)
    assert (expired.status, expired.payment_status, expired.url) == ("expired", "unpaid", None)
    with pytest.raises(stripe.InvalidRequestError):
        api.checkout.sessions.expire(session.id)


def test_a_paid_session(api: Any, customer: str, pay: Callable[[str], None]) -> None:
    session = api.checkout.sessions.create(top_up(customer))
    pay(session.id)
    expand = ["payment_intent.latest_charge.balance_transaction"]
    paid = api.checkout.sessions.retrieve(session.id, {"expand": expand})
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    charge = paid.payment_intent.latest_charge
    assert (paid.payment_intent.amount_received, charge.amount_captured) == (100, 100)
    assert charge.balance_transaction.net == 100 - charge.balance_transaction.fee
    with pytest.raises(stripe.InvalidRequestError):
        api.checkout.sessions.expire(session.id)


def test_one_key_is_one_session(api: Any, customer: str) -> None:
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    first = api.checkout.sessions.create(top_up(customer), key)
    again = api.checkout.sessions.create(top_up(customer), key)
    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError) as caught:
        api.checkout.sessions.create(top_up(customer, cancel_url="http://127.0.0.1/"), key)
    assert caught.value.http_status == 400


def test_a_page_offers_codes_and_other_currencies(api: Any, customer: str) -> None:
    given = top_up(customer, allow_promotion_codes=True, adaptive_pricing={"enabled": True})
    session = api.checkout.sessions.create(given)
    assert (session.allow_promotion_codes, session.adaptive_pricing.enabled) == (True, True)
    assert "presentment_details" not in session
    assert (session.total_details.amount_discount, session.total_details.amount_tax) == (0, 0)


def test_tax_waits_for_an_address(api: Any, customer: str) -> None:
    """Of a customer without one, the shop says whether the one that is typed in is kept."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.checkout.sessions.create(top_up(customer, automatic_tax={"enabled": True}))
    assert caught.value.http_status == 400
    if caught.value.code != "customer_tax_location_invalid":
        pytest.skip("Stripe Tax is not set up in this account.")
    update = {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto"}}
    session = api.checkout.sessions.create(top_up(customer, **update))
    assert (session.automatic_tax.enabled, session.automatic_tax.status) == (True, "requires_location_inputs")
    assert (session.amount_subtotal, session.amount_total) == (100, 100)


def test_a_refused_request_leaves_its_key_free(api: Any, customer: str) -> None:
    key = {"idempotency_key": f"conformance-{uuid.uuid4()}"}
    with pytest.raises(stripe.InvalidRequestError):
        api.checkout.sessions.create(top_up(customer, success_url="nonsense"), key)
    assert api.checkout.sessions.create(top_up(customer), key).status == "open"


def test_lists_are_walked_from_the_newest(api: Any, customer: str) -> None:
    began = int(time.time()) - 60
    made = [api.checkout.sessions.create(top_up(customer)).id for _ in range(5)]
    api.checkout.sessions.expire(made[0])

    def listed(**filters: Any) -> list[str]:
        return [one.id for one in api.checkout.sessions.list({"customer": customer, **filters}).data]

    first = api.checkout.sessions.list({"customer": customer, "limit": 2})
    assert ([one.id for one in first.data], first.has_more) == ([made[4], made[3]], True)
    assert listed(limit=2, starting_after=made[3]) == [made[2], made[1]]
    assert listed(limit=2, ending_before=made[2]) == [made[4], made[3]]
    assert [one.id for one in first.auto_paging_iter()] == made[::-1]
    assert listed(status="expired") == [made[0]]
    assert listed(created={"gte": began}) == made[::-1]
    assert listed(created={"lt": began}) == []


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"success_url": "nonsense"}, "success_url", "url_invalid"),
        ({"customer": "cus_nobody"}, "customer", "resource_missing"),
        ({"sucess_url": "http://127.0.0.1/"}, "sucess_url", "parameter_unknown"),
        ({"payment_method_types": ["card"]}, "payment_method_types", None),
        ({"expires_at": 1}, "expires_at", None),
        ({"locale": "tlh"}, "locale", None),
    ],
)
def test_errors_name_the_parameter(
    api: Any, customer: str, changes: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.checkout.sessions.create(top_up(customer) | changes)
    assert (caught.value.http_status, caught.value.param) == (400, param)
    if code:
        assert caught.value.code == code


def test_what_is_not_there_is_404(api: Any) -> None:
    for read in (api.checkout.sessions, api.payment_intents, api.refunds, api.disputes, api.events):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            read.retrieve("cs_test_nothing")
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_a_property_that_leads_nowhere_is_not_expanded(api: Any, customer: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        api.customers.retrieve(customer, {"expand": ["nonsense"]})


def test_a_wrong_key_is_refused(api: Any, customer: str) -> None:
    with pytest.raises(stripe.AuthenticationError) as caught:
        api.customers.retrieve(customer, options={"api_key": "sk_test_wrong"})
    assert caught.value.http_status == 401
