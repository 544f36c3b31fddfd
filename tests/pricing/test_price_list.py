"""The price list for machines: exact, with what is to come, and harmless in a spreadsheet."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from pricing import importing, markups
from pricing.listings import UNDATED_FROM
from pricing.models import Kind, Model, PriceVersion
from pricing.price_list import COLUMNS
from pricing.publishing import DatedRates
from tests.api.checking import assert_documented
from tests.pricing.lists import listing, rates

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = NOW + timedelta(days=7, minutes=2)
TIERED = ((0, {"input_tokens": 37_500, "output_tokens": 1}), (200_000, {"input_tokens": 75_000}))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    time = {"now": NOW}
    monkeypatch.setattr("django.utils.timezone.now", lambda: time["now"])
    return time


def as_json(client: Client) -> list[dict[str, Any]]:
    response = client.get("/api/pricing")
    assert response.status_code == 200
    assert_documented(response, "get", "/api/pricing")
    answer = response.json()
    assert (answer["success"], answer["message"]) == (True, "")
    data: list[dict[str, Any]] = answer["data"]
    return data


def as_csv(client: Client) -> list[dict[str, str]]:
    response = client.get("/api/pricing.csv")
    assert response.status_code == 200
    assert_documented(response, "get", "/api/pricing.csv")
    assert "attachment" in response["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(response.text)))


def test_a_model_with_its_exact_prices_and_those_to_come(client: Client) -> None:
    importing.run([listing(context_window=128_000, history=(DatedRates(UNDATED_FROM, TIERED),))])
    markups.of_model(Model.objects.get(), 10_005, effective_from=WEEK)
    first, second = PriceVersion.objects.order_by("effective_from").values_list("pk", flat=True)
    (told,) = as_json(client)
    tokens = {"price_picousd_per_unit": 37_500, "charged_usd_per_unit": "0.0000000375"}
    assert told["price"]["tiers"][0]["prices"]["input_tokens"] == tokens
    assert (told["price"]["price_version"], told["price"]["multiplier_bp"]) == (first, 10_000)
    assert told["price"]["effective_from"] == "2020-01-01T00:00:00Z"
    assert [tier["above_input_tokens"] for tier in told["price"]["tiers"]] == [0, 200_000]
    (coming,) = told["coming"]
    assert (coming["price_version"], coming["multiplier_bp"]) == (second, 10_005)
    assert coming["effective_from"] == "2026-11-29T12:02:00Z"
    # Each tier is complete, and 1 pico-dollar × 1.0005 is told to its last digit.
    above = coming["tiers"][1]["prices"]
    assert above["input_tokens"] == {
        "price_picousd_per_unit": 75_000,
        "charged_usd_per_unit": "0.0000000750375",
    }
    assert above["output_tokens"] == {
        "price_picousd_per_unit": 1,
        "charged_usd_per_unit": "0.0000000000010005",
    }
    assert told["endpoints"] == {"openai": {"path": "/v1/chat/completions", "method": "POST"}}
    assert (told["context_window"], told["max_output_tokens"]) == (128_000, None)
    assert told["page"].endswith("/pricing/gpt-test/")


def test_what_takes_effect_is_in_force_and_what_was_is_not_told(
    client: Client, clock: dict[str, datetime]
) -> None:
    importing.run([listing()])
    markups.of_model(Model.objects.get(), 20_000, effective_from=WEEK)
    assert as_json(client)[0]["price"]["multiplier_bp"] == 10_000
    clock["now"] = WEEK
    (told,) = as_json(client)
    assert (told["price"]["multiplier_bp"], told["coming"]) == (20_000, [])
    assert {row["status"] for row in as_csv(client)} == {"in force"}


def test_what_is_not_for_sale_is_not_told(client: Client) -> None:
    importing.run([listing(), listing("secret", history=(), unsold_reason="not ready")])
    assert [told["id"] for told in as_json(client)] == ["gpt-test"]
    assert {row["model"] for row in as_csv(client)} == {"gpt-test"}


def test_the_csv_has_a_row_for_each_price_and_the_same_numbers(client: Client) -> None:
    pictures = ((0, {"calls": 50_000_000_000}),)
    importing.run(
        [
            listing(history=(DatedRates(UNDATED_FROM, TIERED),)),
            listing("mj_test", kind=Kind.IMAGE, history=(DatedRates(UNDATED_FROM, pictures),)),
        ]
    )
    markups.of_model(Model.objects.get(name="gpt-test"), 9_000, effective_from=WEEK)
    rows = as_csv(client)
    assert list(rows[0]) == list(COLUMNS)
    told = {
        (model["id"], str(version["price_version"]), str(tier["above_input_tokens"]), unit): price
        for model in as_json(client)
        for version in (model["price"], *model["coming"])
        for tier in version["tiers"]
        for unit, price in tier["prices"].items()
    }
    assert len(rows) == len(told) == 17
    for row in rows:
        price = told[row["model"], row["price_version"], row["above_input_tokens"], row["unit"]]
        assert row["price_picousd_per_unit"] == str(price["price_picousd_per_unit"])
        assert row["charged_usd_per_unit"] == price["charged_usd_per_unit"]
        exact = Decimal(row["price_picousd_per_unit"]) * int(row["multiplier_bp"]) / 10_000
        assert Decimal(row["charged_usd_per_unit"]) * 10**12 == exact
    assert {row["status"] for row in rows} == {"in force", "coming"}


def test_no_cell_is_a_formula(client: Client) -> None:
    importing.run([listing(provider_code="bad", provider='=HYPERLINK("https://example.com")')])
    importing.run([listing("other", provider_code="bad", provider="\t+1")])
    page = client.get("/api/pricing.csv").text
    assert "'=HYPERLINK" in page or "'\t+1" in page
    for row in csv.reader(io.StringIO(page)):
        assert not any(value.lstrip().startswith(("=", "+", "-", "@")) for value in row), row


@pytest.mark.parametrize(
    ("name", "kind", "units", "endpoints"),
    [
        ("gpt-3.5-turbo-instruct", Kind.TEXT, {}, {"completions": "/v1/completions"}),
        ("embed", Kind.EMBEDDING, {}, {"embeddings": "/v1/embeddings"}),
        ("tts-1", Kind.SPEECH, {"characters": 15_000_000}, {"audio-speech": "/v1/audio/speech"}),
        ("mj_imagine", Kind.IMAGE, {"calls": 1}, {}),
        ("veo", Kind.VIDEO, {"seconds": 1}, {}),
    ],
)
def test_endpoints_are_those_of_the_models_page(
    client: Client, name: str, kind: Kind, units: dict[str, int], endpoints: dict[str, str]
) -> None:
    prices = units or rates()[0][1]
    importing.run([listing(name, kind=kind, history=(DatedRates(UNDATED_FROM, ((0, prices),)),))])
    expected = {known: {"path": path, "method": "POST"} for known, path in endpoints.items()}
    assert as_json(client)[0]["endpoints"] == expected
    assert client.get("/api/models").json()["data"][0]["endpoints"] == expected
    page = client.get(f"/pricing/{name}/").text
    assert all(path in page for path in endpoints.values())


@pytest.mark.parametrize(
    "address",
    [
        "/api/pricing",
        "/api/pricing.csv",
        "/api/models",
        "/api/model/gpt-4o",
        "/api/model/no-such",
        "/api/openapi.json",
    ],
)
def test_pages_of_other_sites_may_ask_by_validator(client: Client, address: str) -> None:
    importing.run([listing(history=(DatedRates(UNDATED_FROM, rates()),))])
    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
    preflight = client.options(address, headers={**asked, "Access-Control-Request-Headers": "if-none-match"})
    assert preflight.status_code == 204
    assert preflight["Access-Control-Allow-Headers"] == "if-none-match"
    # What caches may keep for everybody repeats nothing of who asked.
    answer = client.get(address, headers={"Access-Control-Request-Headers": "if-none-match"})
    assert answer["Access-Control-Allow-Headers"] != "if-none-match"
    for response in (preflight, answer, client.post(address)):
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in response["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize("address", ["/api/pricing", "/api/pricing.csv"])
def test_any_program_may_read_it_and_nobody_may_write(client: Client, address: str) -> None:
    importing.run([listing(history=(DatedRates(UNDATED_FROM, rates()),))])
    assert client.get(address)["Access-Control-Allow-Origin"] == "*"
    assert client.head(address).status_code == 200
    refused = client.post(address)
    assert refused.status_code == 405
    assert_documented(refused, "get", address)


def test_the_page_links_both(client: Client) -> None:
    importing.run([listing()])
    page = client.get("/pricing/").text
    assert 'href="/api/pricing"' in page
    assert 'href="/api/pricing.csv"' in page
