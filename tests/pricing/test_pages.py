"""The public pages of the catalogue."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from pricing import catalogue, importing
from pricing.listings import UNDATED_FROM
from pricing.models import Kind, Markup, Model
from pricing.publishing import DatedRates, publish
from tests.pricing.lists import listing, rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def _models() -> None:
    importing.run(
        [
            listing("gpt-test", context_window=128_000),
            listing("claude-test", provider_code="anthropic", provider="Anthropic", title="Claude 100%"),
            listing(
                "mj_test",
                provider_code="midjourney",
                provider="Midjourney",
                kind=Kind.IMAGE,
                history=(DatedRates(UNDATED_FROM, ((0, {"calls": 50_000_000_000}),)),),
            ),
            listing("secret-model", history=(), unsold_reason="not ready"),
        ]
    )


def shown(client: Client, query: str = "", **headers: str) -> list[str]:
    response = client.get(f"/pricing/?{query}", headers=headers)
    assert response.status_code == 200
    return re.findall(
        r'<th scope="row" class="price-name">\s*<a class="mono" href="[^"]+">([^<]+)</a>', response.text
    )


def test_an_empty_catalogue_says_what_to_do(client: Client) -> None:
    assert "import_prices" in client.get("/pricing/").text


@pytest.mark.usefixtures("_models")
def test_everything_for_sale_is_listed_with_its_prices(client: Client) -> None:
    assert shown(client) == ["claude-test", "mj_test", "gpt-test"]
    page = client.get("/pricing/").text
    for text in ("$2.50", "$10.00", "$0.05 / call", "128,000", "3 models"):
        assert text in page
    assert "secret-model" not in page


@pytest.mark.usefixtures("_models")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=GPT", ["gpt-test"]),
        ("q=test+claude", ["claude-test"]),
        ("q=openai", ["gpt-test"]),
        ("provider=midjourney", ["mj_test"]),
        ("kind=text", ["claude-test", "gpt-test"]),
        ("kind=text&provider=openai&q=gpt", ["gpt-test"]),
        ("q=%25", ["claude-test"]),
        ("q=_", ["mj_test"]),
        ("q=%25_%25_%25", []),
        ("q=" + "x" * 5_000, []),
        ("q=%FF%FE", []),
        ("q=%3Cscript%3Ealert(1)%3C%2Fscript%3E", []),
        ("q=%27--", []),
        ("q=" + "%20" * 300 + "gpt", ["claude-test", "mj_test", "gpt-test"]),
        ("provider=nobody", []),
        ("kind=%27", []),
        ("q[]=a&page=1e9", ["claude-test", "mj_test", "gpt-test"]),
    ],
)
def test_search_and_filters(client: Client, query: str, names: list[str]) -> None:
    assert shown(client, query) == names


@pytest.mark.usefixtures("_models")
def test_what_was_looked_for_is_shown_harmlessly(client: Client) -> None:
    page = client.get("/pricing/", {"q": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
    assert "No model matches" in page


@pytest.mark.usefixtures("_models")
def test_htmx_gets_the_list_alone(client: Client) -> None:
    response = client.get("/pricing/?q=gpt", headers={"HX-Request": "true"})
    assert "<html" not in response.text
    assert "gpt-test" in response.text
    assert "HX-Request" in response["Vary"]
    restored = client.get("/pricing/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in restored.text


@pytest.mark.usefixtures("_models")
def test_the_list_needs_no_query_once_it_is_known(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.get("/pricing/")
    with django_assert_num_queries(0):
        client.get("/pricing/")


@pytest.mark.usefixtures("_models")
def test_a_model_with_prices_an_example_and_code(client: Client) -> None:
    page = client.get("/pricing/gpt-test/").text
    for text in (
        "$2.50",
        "1M tokens",
        "Cached prompt",
        "$0.0075",
        "/v1/chat/completions",
        "base_url=",
        "128,000",
    ):
        assert text in page, text
    assert "The price has not changed" in page
    assert "chart-steps" not in page


@pytest.mark.usefixtures("_models")
@pytest.mark.parametrize("name", ["GPT-TEST", "secret-model", "nothing", "a/b", "%25", "x" * 2_000])
def test_unknown_models_are_not_found(client: Client, name: str) -> None:
    assert client.get(f"/pricing/{name}/").status_code == 404


def test_tiers_history_and_what_is_to_come(client: Client) -> None:
    tiered = (
        (0, {"input_tokens": 1_000_000, "output_tokens": 2_000_000}),
        (200_000, {"input_tokens": 4_000_000}),
    )
    tomorrow = timezone.now() + timedelta(days=1)
    history = (
        DatedRates(UNDATED_FROM, rates()),
        DatedRates(datetime(2026, 3, 13, tzinfo=UTC), tiered),
        DatedRates(tomorrow, rates(prompt=9_000_000)),
    )
    importing.run([listing(history=history)])
    page = client.get("/pricing/gpt-test/").text
    for text in (
        "Above 200,000 input tokens",
        "$4.00",
        "Price history",
        "13 Mar 2026",
        "Coming",
        "other prices</a> apply",
        "$9.00",
        "Now",
    ):
        assert text in page, text


def test_a_multiplier_is_in_the_price_that_is_shown(client: Client) -> None:
    model = Model.objects.create(name="gpt-test", provider_code="openai", provider="OpenAI")
    Markup.objects.create(model=model, effective_from=UNDATED_FROM, multiplier_bp=12_000)
    publish(model, rates(), effective_from=UNDATED_FROM, source="test")
    assert "$3.00" in client.get("/pricing/").text
    page = client.get("/pricing/gpt-test/").text
    assert "$3.00" in page
    assert "× 1.2" in page
    # 1,000 x $2.50 and 500 x $10.00 per million are $0.0075; x 1.2 = $0.009.
    assert "$0.009" in page


@pytest.mark.usefixtures("_models")
@pytest.mark.parametrize("address", ["?q=%00", "gpt-test%00/"])
def test_zero_bytes_are_refused(client: Client, address: str) -> None:
    assert client.get(f"/pricing/{address}").status_code in (400, 404)


@pytest.mark.usefixtures("_models")
def test_only_reading_is_allowed(client: Client) -> None:
    assert client.post("/pricing/").status_code == 405
    assert client.post("/pricing/gpt-test/").status_code == 405
    assert client.head("/pricing/").status_code == 200


def test_every_model_of_the_real_catalogue_has_a_page(client: Client) -> None:
    call_command("import_prices", verbosity=0)
    models = catalogue.sellable()
    assert len(shown(client)) == len(models) > 400
    for model in models[::7]:
        response = client.get(f"/pricing/{model.name}/")
        assert response.status_code == 200, model.name
        assert response.context["estimate"].receipt.charged_nanousd > 0, model.name
