"""What Stripe refuses is refused here, in its form and with the parameter's name."""

import time
from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.process import KEY, Sandbox, payment


def item(**price: Any) -> Any:
    data = {"currency": "usd", "unit_amount": 100, "product_data": {"name": "Top-up"}} | price
    kept = {key: value for key, value in data.items() if value is not None}
    return payment(line_items=[{"quantity": 1, "price_data": kept}])


PRICE = "line_items[0][price_data]"
REFUSED: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("unknown", payment(sucess_url="http://x/"), "sucess_url", "parameter_unknown"),
    ("unknown inside", item(unit_amout=5), f"{PRICE}[unit_amout]", "parameter_unknown"),
    ("missing", {"mode": "payment"}, "success_url", "parameter_missing"),
    ("missing inside", item(unit_amount=None), f"{PRICE}[unit_amount]", "parameter_missing"),
    ("no items", payment(line_items=[]), "line_items", "parameter_missing"),
    ("under 50 cents", item(unit_amount=49), "line_items", "amount_too_small"),
    ("nine digits", payment(line_items=[{**item()["line_items"][0], "quantity": 999_999}] * 2), "line_items",
     "amount_too_large"),
    ("negative", item(unit_amount=-100), f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
    ("fraction", item(unit_amount="1.5"), f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
    ("fullwidth", item(unit_amount="１00"), f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
    ("5,000 digits", item(unit_amount="9" * 5_000), f"{PRICE}[unit_amount]", "parameter_invalid_integer"),
    ("currency", item(currency="usdollar"), f"{PRICE}[currency]", None),
    ("foreign currency", item(currency="eur"), f"{PRICE}[currency]", "sandbox_unsupported"),
    ("unknown price", payment(line_items=[{"price": "price_1", "quantity": 1}]), "line_items[0][price]",
     "resource_missing"),
    ("unknown customer", payment(customer="cus_no"), "customer", "resource_missing"),
    ("both customers", payment(customer="cus_no", customer_email="a@example.com"), "customer", None),
    ("empty", payment(success_url=""), "success_url", "parameter_invalid_empty"),
    ("relative", payment(success_url="/wallet/"), "success_url", "url_invalid"),
    ("script", payment(cancel_url="javascript:alert(1)"), "cancel_url", "url_invalid"),
    ("mode", payment(mode="pay"), "mode", None),
    ("other mode", payment(mode="subscription"), "mode", "sandbox_unsupported"),
    ("removed", payment(payment_method_types=["card"]), "payment_method_types",
     "payment_method_types_no_longer_supported"),
    ("reference", payment(client_reference_id="x" * 201), "client_reference_id", None),
    ("51 pairs", payment(metadata={f"k{n}": "v" for n in range(51)}), "metadata", None),
    ("long key", payment(metadata={"k" * 41: "v"}), f"metadata[{'k' * 41}]", None),
    ("long value", payment(metadata={"k": "v" * 501}), "metadata[k]", None),
    ("tax", payment(automatic_tax={"enabled": True, "liability": {"type": "self"}}),
     "automatic_tax[liability]", "sandbox_unsupported"),
    ("unknown language", payment(locale="tlh"), "locale", None),
    ("language of the portal only", payment(locale="en-AU"), "locale", None),
    ("too many levels", payment(expand=["a.b.c.d.e"]), "expand", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "param", "code"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
def test_a_bad_session_is_refused_by_name(client: Any, given: Any, param: str, code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(given)
    assert (caught.value.http_status, caught.value.param, caught.value.code) == (400, param, code)
    assert str(caught.value.request_id).startswith("req_")


@pytest.mark.parametrize("seconds", [-60, 0, 29 * 60, 24 * 3_600 + 60])
def test_a_session_lives_30_minutes_to_a_day(client: Any, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(payment(expires_at=int(time.time()) + seconds))
    assert caught.value.param == "expires_at"
    client.v1.checkout.sessions.create(payment(expires_at=int(time.time()) + 1_802))


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("customers?limit=0", "limit"),
        ("customers?limit=101", "limit"),
        ("customers?created[since]=1", "created[since]"),
        ("customers?starting_after=cus_no", "starting_after"),
        ("checkout/sessions?status=paid", "status"),
        ("payment_intents?status=succeeded", "status"),
        ("events?delivery_success=perhaps", "delivery_success"),
        ("customers/cus_no", "id"),
        ("checkout/sessions/cs_no", "session"),
        ("payment_intents/pi_no", "intent"),
    ],
)
def test_a_bad_question_is_refused_by_name(shared: Sandbox, path: str, param: str) -> None:
    reply = shared.request("GET", f"/v1/{path}")
    assert reply.status == (400 if "?" in path else 404)
    assert (reply.error["type"], reply.error["param"]) == ("invalid_request_error", param)
    assert reply.headers["Request-Id"].startswith("req_")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("email=%ff", {}, 400),
        ("a[b" * 50, {}, 400),
        ("metadata" + "[x]" * 50 + "=1", {}, 400),
        ("metadata=1&metadata[a]=2", {}, 400),
        ("&".join(f"metadata[{n}]=1" for n in range(3_000)), {}, 400),
        ('{"email": "a@example.com"}', {"Content_Type": "application/json"}, 400),
        ("", {"Stripe_Version": "2020-08-27"}, 400),
        ("", {"Transfer_Encoding": "chunked"}, 411),
        ("", {"Content_Length": "99999999"}, 413),
        ("", {"Content_Length": "-1"}, 411),
    ],
    ids=["utf-8", "brackets", "depth", "both", "many", "json", "version", "chunked", "large", "negative"],
)
def test_nonsense_never_is_a_fault(shared: Sandbox, body: str, headers: dict[str, str], status: int) -> None:
    reply = shared.request("POST", "/v1/customers", body, **headers)
    assert reply.status == status
    assert reply.error["type"] == "invalid_request_error"


def test_unknown_addresses_are_404_in_stripes_form(shared: Sandbox) -> None:
    for method, path in (("GET", "/v1/no"), ("DELETE", "/v1/customers/cus_1"), ("PUT", "/v1/customers")):
        reply = shared.request(method, path)
        assert (reply.status, reply.error["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize(
    ("options", "key", "secret", "sentence"),
    [
        ([], "sk_live_1", "whsec_12345678", "takes a STRIPE_SECRET_KEY that begins with sk_test_sandbox"),
        ([], KEY, "", "needs a STRIPE_WEBHOOK_SECRET"),
        (["--host", "192.0.2.1"], KEY, "whsec_12345678", "listens on this machine only"),
        (["--webhook-url", "nowhere"], KEY, "whsec_12345678", "absolute http or https address"),
    ],
)
def test_a_wrong_start_ends_with_a_sentence(
    tmp_path: Any, options: list[str], key: str, secret: str, sentence: str
) -> None:
    process = Sandbox(tmp_path).start(*options, key=key, secret=secret)
    assert sentence in process.communicate(timeout=10)[1]
    assert process.returncode == 1
