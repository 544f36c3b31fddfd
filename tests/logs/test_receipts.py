"""The receipt of a call, as a page and as data: the arithmetic again, and what it says where that differs."""

import html
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags as striptags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from logs import receipts
from logs.models import Call, CallDetails
from pricing import catalogue
from pricing.listings import UNDATED_FROM
from pricing.models import CustomerGroup, GroupRate, Kind, Model
from pricing.money import usd
from pricing.publishing import publish
from pricing.units import UNITS
from tests.logs import recorded
from tokens.models import ApiKey
from wallet.models import Difference

pytestmark = pytest.mark.django_db
AS_JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def _fresh_catalogue() -> None:
    catalogue.forget()


@pytest.fixture
def owner() -> User:
    return recorded.person("owner")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def text_of(client: Client, call: Call) -> str:
    response = client.get(f"/logs/{call.pk}/")
    assert response.status_code == 200
    return " ".join(response.text.split())


def test_the_lines_add_up_before_everybody(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model(), held_nanousd=9_000_000, latency_ms=1_234)
    page = text_of(signed_in, call)
    for text in (
        "Prompt",
        "1,200",
        "$2.50 / 1M tokens",
        "$0.0000025 each",
        "Completion",
        "(1,200 prompt × $2.50/M + 300 completion × $10.00/M) × 1.00 = $0.006",
        "$0.009 → $0.006",
        "1,234 ms",
        f"transfer {call.paid_transfer_id}",
        f"Price version {call.price_version_id}",
        f'<a href="/pricing/gpt-test/#version-{call.price_version_id}">the prices of gpt-test</a>',
        usd(call.balance_after_nanousd),
        str(call.pk),
        "Laptop",
    ):
        assert text in page, text
    assert "does not add up" not in page
    assert f'id="version-{call.price_version_id}"' in signed_in.get("/pricing/gpt-test/").text


def test_as_data(signed_in: Client, owner: User) -> None:
    version = recorded.model()
    call = recorded.call(recorded.key_of(owner), version)
    response = signed_in.get(f"/logs/{call.pk}/", headers=AS_JSON)
    assert response["Content-Type"] == "application/json"
    assert {"Accept", "HX-Request"} <= {name.strip() for name in response["Vary"].split(",")}
    data = response.json()
    assert {name: data[name] for name in data if name in EXPECTED} == {
        **EXPECTED,
        "call_id": str(call.pk),
        "price_version": version.pk,
        "price_version_effective_from": version.effective_from.isoformat().replace("+00:00", "Z"),
        "started_at": call.started_at.isoformat().replace("+00:00", "Z"),
    }


def test_as_data_it_has_all_that_the_page_says(signed_in: Client, owner: User) -> None:
    told: dict[str, Any] = {
        "endpoint": "/v1/chat",
        "stream": True,
        "latency_ms": 9,
        "first_token_ms": 3,
        "upstream_id": "c-1",
    }
    call = recorded.call(recorded.key_of(owner), recorded.model(), {}, status=Call.Status.FAILED, **told)
    plain = signed_in.get(f"/logs/{call.pk}.json").json()
    assert (plain["client_ip"], plain["error"]) == (None, "")
    who = {"client_ip": "203.0.113.9", "error": "No room."}
    CallDetails.objects.create(call_id=call.pk, wallet_id=call.wallet_id, **who)
    data = signed_in.get(f"/logs/{call.pk}.json").json()
    assert {name: data[name] for name in (*told, *who, "token")} == told | who | {"token": "Laptop"}


EXPECTED = {
    "call_id": "",
    "model": "gpt-test",
    "status": "succeeded",
    "started_at": "",
    "lines": [
        {
            "unit": "input_tokens",
            "quantity": 1_200,
            "price_picousd_per_unit": 2_500_000,
            "amount_picousd": 3_000_000_000,
        },
        {
            "unit": "output_tokens",
            "quantity": 300,
            "price_picousd_per_unit": 10_000_000,
            "amount_picousd": 3_000_000_000,
        },
    ],
    "subtotal_picousd": 6_000_000_000,
    "multiplier_bp": 10_000,
    "rounding_picousd": 0,
    "charged_nanousd": 6_000_000,
    "price_version": 0,
    "price_version_effective_from": "",
}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/json;q=0.5, text/html", "text/html"),
        ("image/png", "text/html"),
        ("", "text/html"),
        ("x" * 9_000, "text/html"),
    ],
)
def test_what_is_asked_for_is_answered(signed_in: Client, owner: User, accept: str, kind: str) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    response = signed_in.get(f"/logs/{call.pk}/", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"].split(";")[0]) == (200, kind)


def test_an_estimate_is_called_one(signed_in: Client, owner: User) -> None:
    key, version = recorded.key_of(owner), recorded.model()
    estimated = recorded.call(key, version, is_estimated=True)
    assert "Estimated: the provider did not say what this call used" in striptags(
        text_of(signed_in, estimated)
    )
    assert signed_in.get(f"/logs/{estimated.pk}/", headers=AS_JSON).json()["is_estimated"] is True
    counted = recorded.call(key, version)
    assert "Estimated" not in text_of(signed_in, counted)
    rows = signed_in.get("/logs/").text.split("data-call-id=")[1:]
    assert ["Estimated" in row for row in rows] == [False, True]
    assert signed_in.get(f"/logs/{counted.pk}/", headers=AS_JSON).json()["is_estimated"] is False


def test_a_failed_call_costs_nothing_and_says_why(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model(), status=Call.Status.FAILED)
    CallDetails.objects.create(
        call_id=call.pk, wallet_id=call.wallet_id, client_ip="2001:db8::1", error="<b>upstream is down</b>"
    )
    page = text_of(signed_in, call)
    assert "it cost nothing" in page
    # The reason stands with that sentence, before the table.
    assert "&lt;b&gt;upstream is down&lt;/b&gt;" in page[page.index("it cost nothing") : page.index("<table")]
    assert "2001:db8::1" in page
    data = signed_in.get(f"/logs/{call.pk}/", headers=AS_JSON).json()
    assert (data["lines"], data["subtotal_picousd"], data["charged_nanousd"]) == ([], 0, 0)


def test_details_of_another_wallet_are_never_shown(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    stranger = recorded.key_of(recorded.person("stranger"))
    CallDetails.objects.create(call_id=call.pk, wallet_id=stranger.wallet_id, error="private")
    assert "private" not in text_of(signed_in, call)


def test_an_old_version_stays_the_price_of_its_calls(signed_in: Client, owner: User) -> None:
    version = recorded.model()
    publish(
        Model.objects.get(),
        ((0, {"input_tokens": 9, "output_tokens": 9}),),
        effective_from=timezone.now() + timedelta(minutes=5),
        source="test",
    )
    call = recorded.call(recorded.key_of(owner), version)
    assert signed_in.get(f"/logs/{call.pk}/", headers=AS_JSON).json()["charged_nanousd"] == 6_000_000
    assert "does not add up" not in text_of(signed_in, call)


def test_a_model_no_longer_sold_still_has_receipts(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    Model.objects.update(unsold_reason="withdrawn")
    page = text_of(signed_in, call)
    assert "$0.006" in page
    assert "/pricing/gpt-test/" not in page


def test_multiplier_and_rounding_are_lines(signed_in: Client, owner: User) -> None:
    version = recorded.model(rates=((0, {"input_tokens": 333, "output_tokens": 1}),), multiplier_bp=12_345)
    call = recorded.call(recorded.key_of(owner), version, {"input_tokens": 7})
    # 7 x 333 = 2,331; x 1.2345 = 2,877.6195 pico-dollars, which is 3 nano-dollars and 122.3805 too few.
    data = signed_in.get(f"/logs/{call.pk}/", headers=AS_JSON)
    assert '"rounding_picousd": 122.3805' in data.text
    assert json.loads(data.text, parse_float=Decimal)["rounding_picousd"] == Decimal("122.3805")
    page = text_of(signed_in, call)
    for text in (
        "Multiplier × 1.2345",
        "$0.0000000005466195",
        "$0.0000000001223805",
        "(7 prompt × $0.000333/M) × 1.2345 = $0.0000000028776195, rounded to $0.000000003",
    ):
        assert text in page, text


def test_long_context_names_its_tier(signed_in: Client, owner: User) -> None:
    rates = (
        (0, {"input_tokens": 1_000_000, "output_tokens": 2_000_000}),
        (200_000, {"input_tokens": 3_000_000}),
    )
    usage = {"input_tokens": 150_000, "cached_input_tokens": 100_000, "output_tokens": 10}
    call = recorded.call(recorded.key_of(owner), recorded.model(rates=rates), usage)
    page = text_of(signed_in, call)
    assert "Prices for more than 200,000 input tokens applied to the whole call." in page
    assert "150,000 prompt × $3.00/M + 100,000 cached prompt × $3.00/M" in page


def test_per_use(signed_in: Client, owner: User) -> None:
    version = recorded.model("mj_test", ((0, {"calls": 50_000_000_000}),), kind=Kind.IMAGE)
    call = recorded.call(recorded.key_of(owner), version, {"calls": 1})
    assert "(1 call × $0.05) × 1.00 = $0.05" in text_of(signed_in, call)


@pytest.mark.parametrize(
    ("usage", "sentence"),
    [
        (
            {"input_tokens": 1_201, "output_tokens": 300},
            "$0.006 was charged, but the arithmetic gives $0.0060025.",
        ),
        ({"pages": 3}, "can&#x27;t be priced"),
    ],
)
def test_a_difference_is_an_alarm(
    signed_in: Client,
    owner: User,
    caplog: pytest.LogCaptureFixture,
    usage: dict[str, int],
    sentence: str,
) -> None:
    version = recorded.model()
    key = recorded.key_of(owner)
    good = recorded.call(key, version)
    call = recorded.call(
        key,
        version,
        {},
        usage=usage,
        charged_nanousd=6_000_000,
        paid_transfer_id=good.paid_transfer_id,
    )
    page = text_of(signed_in, call)
    assert "This receipt does not add up to what was charged." in page
    assert sentence in page
    assert str(call.pk) in caplog.text
    assert "ERROR" in caplog.text
    data = signed_in.get(f"/logs/{call.pk}/", headers=AS_JSON).json()
    assert data["problem"]
    assert data["charged_nanousd"] == 6_000_000


def test_a_check_says_both_numbers(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    for headers in ({}, {"HX-Request": "true"}):
        response = signed_in.post(f"/logs/{call.pk}/check/", headers=headers)
        assert ("<html" in response.text) == (not headers)
        said = " ".join(response.text.split())
        assert "It matches: $0.006 was charged, and computed again" in said
        assert f"price version {call.price_version_id} it is $0.006." in said
    assert not Difference.objects.exists()
    assert "It matches" not in text_of(signed_in, call), "before it was asked for"


def test_a_check_that_fails_reaches_staff_once(signed_in: Client, owner: User) -> None:
    usage = {"input_tokens": 1_201, "output_tokens": 300}
    call = recorded.call(recorded.key_of(owner), recorded.model(), usage=usage)
    for _ in range(2):
        said = " ".join(signed_in.post(f"/logs/{call.pk}/check/").text.split())
        assert "$0.006 was charged, and computed again" in said
        assert "it is $0.0060025. <strong>They differ; our staff has been told." in said
    told = Difference.objects.get()
    assert told.name == f"call {call.pk}"
    assert "the arithmetic gives $0.0060025" in told.sentence


def test_only_owners_check_and_only_by_a_form(client: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(recorded.person("stranger")), recorded.model())
    assert client.post(f"/logs/{call.pk}/check/")["Location"].startswith("/accounts/login/")
    client.force_login(owner)
    assert client.post(f"/logs/{call.pk}/check/").status_code == 404
    assert client.get(f"/logs/{call.pk}/check/").status_code == 405
    assert client.get(f"/logs/{call.pk}.json").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    assert strict.post(f"/logs/{call.pk}/check/").status_code == 403


def test_the_data_has_an_address_and_a_button(client: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    assert client.get(f"/logs/{call.pk}.json")["Location"].startswith("/accounts/login/")
    client.force_login(owner)
    response = client.get(f"/logs/{call.pk}.json")
    assert response["Content-Type"] == "application/json"
    assert response.json()["call_id"] == str(call.pk)
    copied = re.search(r'data-copy="(\{[^"]*)"', text_of(client, call))
    assert copied
    assert json.loads(html.unescape(copied[1])) == response.json()


def test_multipliers_by_name(signed_in: Client, owner: User) -> None:
    version = recorded.model(multiplier_bp=12_000)
    group = CustomerGroup.objects.create(name="Startups")
    rate = GroupRate.objects.create(group=group, multiplier_bp=9_000, effective_from=UNDATED_FROM)
    call = recorded.call(recorded.key_of(owner), version, group_rate=rate, charged_nanousd=6_480_000)
    page = text_of(signed_in, call)
    assert 'Multiplier × 1.08 <span class="sub">price × 1.2, Startups × 0.9</span>' in page
    assert "does not add up" not in page


def test_which_credit_paid(signed_in: Client, owner: User) -> None:
    call = recorded.call(
        recorded.key_of(owner),
        recorded.model(),
        promotional_nanousd=2_000_000,
        promotional_transfer_id=4_711,
    )
    page = text_of(signed_in, call)
    assert '$0.002 <span class="sub">transfer 4711</span>' in page
    assert '$0.004 <span class="sub">' in page


def test_a_row_opens_with_a_fragment(signed_in: Client, owner: User) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    response = signed_in.get(f"/logs/{call.pk}/", headers={"HX-Request": "true"})
    assert "<html" not in response.text
    assert "receipt-formula" in response.text
    assert " id=" not in response.text, "several receipts may be open in one page"


def test_receipts_of_others_are_not_found(signed_in: Client) -> None:
    other = recorded.call(recorded.key_of(recorded.person("stranger")), recorded.model())
    for headers in ({}, AS_JSON, {"HX-Request": "true"}):
        assert signed_in.get(f"/logs/{other.pk}/", headers=headers).status_code == 404
        assert signed_in.get(f"/logs/{uuid4()}/", headers=headers).status_code == 404
    data = signed_in.get(f"/logs/{other.pk}/", headers=AS_JSON).json()
    assert data["error"]["code"] == "call_not_found"
    assert signed_in.post(f"/logs/{other.pk}/").status_code == 405


def test_staff_see_no_receipts_of_others_here(client: Client) -> None:
    other = recorded.call(recorded.key_of(recorded.person("stranger")), recorded.model())
    client.force_login(User.objects.create_superuser("staff@example.com"))
    assert client.get(f"/logs/{other.pk}/").status_code == 404


def test_nobody_is_asked_to_sign_in(client: Client) -> None:
    path = f"/logs/{uuid4()}/"
    page = client.get(path)
    assert (page.status_code, page["Location"]) == (302, f"/accounts/login/?next={path}")
    data = client.get(path, headers=AS_JSON)
    assert (data.status_code, data.json()["error"]["code"]) == (401, "not_signed_in")
    fragment = client.get(path, headers={"HX-Request": "true"})
    assert fragment["HX-Redirect"] == "/accounts/login/?next=/logs/"


@pytest.mark.parametrize("call_id", ["x", "1e9", "%00", "0" * 36, "'--", "9" * 5_000])
def test_ids_that_are_none_are_not_found(signed_in: Client, call_id: str) -> None:
    assert signed_in.get(f"/logs/{call_id}/").status_code in (400, 404)


def test_a_receipt_needs_few_queries(
    signed_in: Client, owner: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    call = recorded.call(recorded.key_of(owner), recorded.model())
    signed_in.get(f"/logs/{call.pk}/")
    with django_assert_max_num_queries(8):
        signed_in.get(f"/logs/{call.pk}/")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    usage=st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(0, 9_999), max_size=6),
    price=st.integers(0, 10**9),
    multiplier_bp=st.integers(1, 1_000_000),
)
def test_what_is_shown_adds_up_for_any_call(
    owner: User, usage: dict[str, int], price: int, multiplier_bp: int
) -> None:
    name = f"model-{uuid4()}"
    rates = ((0, dict.fromkeys(UNITS, price)),)
    version = recorded.model(name, rates, multiplier_bp=multiplier_bp)
    call = recorded.call(_key(owner), version, usage)
    receipt = receipts.of(call)
    data = json.loads(receipts.as_json(receipt), parse_float=Decimal)
    assert receipt.problem == ""
    assert data["subtotal_picousd"] == sum(
        line["quantity"] * line["price_picousd_per_unit"] for line in data["lines"]
    )
    exact = Decimal(data["subtotal_picousd"]) * data["multiplier_bp"] / 10_000
    assert exact + data["rounding_picousd"] == data["charged_nanousd"] * 1_000
    assert Decimal(data["subtotal_picousd"]) + receipt.adjustment_picousd == exact


def _key(owner: User) -> ApiKey:
    return ApiKey.objects.filter(wallet__owner=owner).first() or recorded.key_of(owner)
