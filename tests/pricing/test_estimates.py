"""What a call would cost: the estimator and the comparison, by the arithmetic that charges."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from pricing import catalogue, estimating, groups, importing
from pricing.calling import Endpoint, endpoint_of, snippets
from pricing.listings import UNDATED_FROM
from pricing.models import Kind
from pricing.publishing import DatedRates
from pricing.rating import charge
from tests.pricing.lists import listing, rates
from wallet.models import Wallet
from wallet.wallets import wallet_of

pytestmark = pytest.mark.django_db

TIERED = (
    (0, {"input_tokens": 1_250_000, "output_tokens": 10_000_000, "cached_input_tokens": 125_000}),
    (200_000, {"input_tokens": 2_500_000, "output_tokens": 15_000_000}),
)


def undated(*tiers: tuple[int, dict[str, int]]) -> tuple[DatedRates, ...]:
    return (DatedRates(UNDATED_FROM, tiers),)


@pytest.fixture(autouse=True)
def _models() -> None:
    importing.run(
        [
            listing("gpt-test", context_window=128_000),
            listing("gemini-test", provider_code="google", provider="Google", history=undated(*TIERED)),
            listing("claude-test", history=(DatedRates(UNDATED_FROM, rates(3_000_000, 15_000_000)),)),
            listing("dall-e-test", kind=Kind.IMAGE, history=undated((0, {"images": 40_000_000_000}))),
            listing("tts-test", kind=Kind.SPEECH, history=undated((0, {"characters": 15_000_000}))),
            listing("embed-test", kind=Kind.EMBEDDING, history=undated((0, {"input_tokens": 20_000}))),
            listing("secret-model", history=(), unsold_reason="not ready"),
        ]
    )


def told(page: str) -> list[int]:
    """The totals that a page shows, in nano-dollars."""
    return [int(found) for found in re.findall(r'data-nanousd="(\d+)"', page)]


def errors(page: str) -> dict[str, str]:
    """What stands beside which field."""
    found = re.findall(r'<p class="error" id="error-([^"]+)"[^>]*>([^<]*)</p>', page)
    return {field: said.strip() for field, said in found if said.strip()}


def estimate(client: Client, **query: str) -> str:
    response = client.get("/pricing/estimate/", query)
    assert response.status_code == 200
    return response.text


def join(user: User, multiplier_bp: int) -> None:
    group = groups.create("Partners", multiplier_bp)
    Wallet.objects.filter(pk=wallet_of(user).pk).update(customer_group=group)
    catalogue.forget()


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("gpt-test", {"input_tokens": 1_234, "output_tokens": 567}),
        ("gpt-test", {"input_tokens": 0, "output_tokens": 0}),
        ("gemini-test", {"input_tokens": 200_000, "output_tokens": 1}),
        ("gemini-test", {"input_tokens": 200_001, "output_tokens": 1}),
        ("gemini-test", {"input_tokens": 150_000, "cached_input_tokens": 60_000, "output_tokens": 9}),
        ("dall-e-test", {"images": 3}),
        ("tts-test", {"characters": 100_000_000}),
        ("embed-test", {"input_tokens": 1}),
    ],
)
def test_the_estimate_is_what_would_be_charged(client: Client, model: str, usage: dict[str, int]) -> None:
    page = estimate(client, model=model, **{unit: str(quantity) for unit, quantity in usage.items()})
    found = catalogue.find(model)
    table = found.price_at(timezone.now()) if found else None
    assert table is not None
    assert told(page) == [charge(usage, table)]
    assert errors(page) == {}


def test_the_arithmetic_is_shown(client: Client) -> None:
    page = estimate(client, model="gemini-test", input_tokens="200,001", output_tokens="10")
    # 200,001 x $2.50 and 10 x $15 a million: $0.5000025 + $0.00015.
    for text in (
        "200,001",
        "× $2.50</span>",
        "$0.5000025",
        "$0.00015",
        "$0.5001525",
        "more than 200,000 input",
    ):
        assert text in page, text


def test_a_model_brings_the_fields_of_what_it_is_charged_by(client: Client) -> None:
    assert 'name="images"' in estimate(client, model="dall-e-test")
    assert "input_tokens" not in estimate(client, model="dall-e-test")
    assert "Count a text" not in estimate(client, model="dall-e-test")
    assert "Count a text" in estimate(client, model="tts-test")
    text = estimate(client, model="gemini-test")
    for field in ("input_tokens", "output_tokens", "cached_input_tokens"):
        assert f'name="{field}"' in text
    assert told(text) == [1_000 * 1_250 + 500 * 10_000]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("-1", "Enter 0 or more."),
        ("−5", "Enter 0 or more."),
        ("1e30", "Write a whole number"),
        ("many", "Write a whole number"),
        ("1.5", "Write a whole number"),
        ("١٢", "Write a whole number"),
        ("9" * 5_000, "Write a whole number"),
        ("100000001", "Enter at most 100,000,000."),
        ("<script>alert(1)</script>", "Write a whole number"),
        ("0x10", "Write a whole number"),
    ],
)
def test_bad_quantities_are_named_beside_their_field(client: Client, typed: str, said: str) -> None:
    page = estimate(client, model="gpt-test", input_tokens=typed, output_tokens="5")
    assert list(errors(page)) == ["input_tokens"]
    assert errors(page)["input_tokens"].startswith(said)
    assert told(page) == []
    assert "<script>alert" not in page
    compared = client.get("/pricing/compare/", {"model": "gpt-test", "input_tokens": typed}).text
    assert list(errors(compared)) == ["input_tokens"]


def test_nothing_typed_is_nothing_used(client: Client) -> None:
    assert told(estimate(client, model="gpt-test", input_tokens="", output_tokens=" ")) == [0]


@pytest.mark.parametrize("name", ["nothing", "secret-model", "GPT-TEST", "a/b", "%_%_%", "x" * 5_000])
def test_unknown_models_are_named_beside_their_field(client: Client, name: str) -> None:
    page = estimate(client, model=name)
    assert errors(page) == {"model": "There is no model of this name for sale."}
    assert told(page) == []


def test_a_call_that_no_one_could_pay_is_refused_in_words(client: Client) -> None:
    importing.run([listing("gold-test", history=(DatedRates(UNDATED_FROM, rates(10**12, 10**12)),))])
    catalogue.forget()
    page = estimate(client, model="gold-test", input_tokens="100000000", output_tokens="0")
    assert told(page) == []
    assert "more than $1,000,000" in page


def test_a_prompt_longer_than_the_context_window_is_said(client: Client) -> None:
    said = "more input than its context window of 128,000 tokens"
    assert said in estimate(client, model="gpt-test", input_tokens="128001")
    assert said not in estimate(client, model="gpt-test", input_tokens="128000")


def test_htmx_gets_the_answer_with_its_errors(client: Client) -> None:
    query = {"model": "gpt-test", "input_tokens": "-1"}
    answer = client.get("/pricing/estimate/", query, headers={"HX-Request": "true", "HX-Target": "answer"})
    assert "<html" not in answer.text
    assert "<form" not in answer.text
    assert errors(answer.text) == {"input_tokens": "Enter 0 or more."}
    form = client.get("/pricing/estimate/", query, headers={"HX-Request": "true", "HX-Target": "estimator"})
    assert "<html" not in form.text
    assert form.text.count('id="error-input_tokens"') == 1
    assert {"HX-Request", "HX-Target"} <= set(form["Vary"].split(", "))


def test_members_of_a_group_see_their_price(client: Client, alice: User, charlie: User) -> None:
    join(alice, 8_000)
    usage = {"model": "gpt-test", "input_tokens": "1000", "output_tokens": "500"}
    listed = 1_000 * 2_500 + 500 * 10_000
    assert told(estimate(client, **usage)) == [listed]
    client.force_login(alice)
    page = estimate(client, **usage)
    assert told(page) == [listed * 8 // 10]
    assert "Partners" in page
    own = client.get("/pricing/gpt-test/").text
    for text in ("Partners", "× 0.8", "$2.00", "list $2.50"):
        assert text in own, text
    compared = client.get("/pricing/compare/", {"model": ["gpt-test", "claude-test"]}).text
    assert told(compared)[0] == listed * 8 // 10
    listing_page = client.get("/pricing/?q=gpt").text
    assert "Partners: × 0.8" in listing_page
    assert "$2.00" in listing_page
    assert "$2.50" not in listing_page
    client.force_login(charlie)
    assert "$2.50" in client.get("/pricing/?q=gpt").text
    assert told(estimate(client, **usage)) == [listed]
    assert "Partners" not in client.get("/pricing/gpt-test/").text


def test_four_models_side_by_side(client: Client) -> None:
    names = ["gpt-test", "gemini-test", "claude-test", "dall-e-test"]
    response = client.get(
        "/pricing/compare/", {"model": names, "input_tokens": "300000", "output_tokens": "0"}
    )
    assert response.status_code == 200
    assert [offer.model.name for offer in response.context["offers"]] == names
    # The picture's own quantity was not asked for, so it is that of a typical call.
    assert told(response.text) == [750_000_000, 750_000_000, 900_000_000, 40_000_000]
    for text in (
        "$2.50",
        "above 200,000",
        "no price",
        "Completion",
        "longer than its context window",
        "not included: prompt",
    ):
        assert text in response.text, text
    assert response.context["cheapest"] == []


def test_the_lowest_price_of_alike_models_is_marked(client: Client) -> None:
    query = {"model": ["gpt-test", "gemini-test"], "input_tokens": "1000", "output_tokens": "0"}
    response = client.get("/pricing/compare/", query)
    assert [each.offer.model.name for each in response.context["cheapest"]] == ["gemini-test"]
    assert response.text.count("Lowest") == 1


def test_a_fifth_model_and_an_unknown_one_are_named_beside_their_fields(client: Client) -> None:
    names = ["gpt-test", "gpt-test", "", "nothing", "gemini-test", "claude-test", "dall-e-test", "tts-test"]
    response = client.get("/pricing/compare/", {"model": names})
    assert errors(response.text) == {
        "model-2": "There is no model of this name for sale.",
        "model-5": estimating.TOO_MANY,
    }
    shown = [offer.model.name for offer in response.context["offers"]]
    assert shown == ["gpt-test", "gemini-test", "claude-test"]


def test_all_models_are_suggested(client: Client) -> None:
    for address in ("/pricing/estimate/", "/pricing/compare/"):
        names = re.findall(r'<option value="([^"]+)"', client.get(address).text)
        assert names == [model.name for model in catalogue.sellable()]
        assert "gpt-test" in names
    importing.run([listing("new-test")])
    catalogue.forget()
    assert '<option value="new-test">' in client.get("/pricing/estimate/").text


def test_nothing_chosen_yet(client: Client) -> None:
    assert "No model chosen yet" in client.get("/pricing/compare/").text
    assert "Choose a model" in client.get("/pricing/estimate/").text
    assert client.post("/pricing/compare/").status_code == 405
    assert client.post("/pricing/estimate/").status_code == 405


def test_zero_bytes_harm_nothing(client: Client) -> None:
    assert client.get("/pricing/estimate/?model=%00&input_tokens=%00").status_code in (200, 400)
    assert client.get("/pricing/compare/?model=%00").status_code in (200, 400)


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("gpt-test", Endpoint.CHAT),
        ("embed-test", Endpoint.EMBEDDINGS),
        ("dall-e-test", Endpoint.IMAGES),
        ("tts-test", Endpoint.SPEECH),
    ],
)
def test_how_to_call_it_fits_the_model(client: Client, name: str, endpoint: Endpoint) -> None:
    page = client.get(f"/pricing/{name}/").text
    assert f"/v1/{endpoint.value} " in page
    for language in ("curl", "Python", "JavaScript"):
        assert f'<div class="code-head">{language}</div>' in page


@pytest.mark.parametrize(
    ("name", "kind", "units", "endpoint"),
    [
        ("whisper-1", Kind.SPEECH, {"seconds": 1}, Endpoint.TRANSCRIPTIONS),
        ("gpt-4o-transcribe", Kind.SPEECH, {"input_tokens": 1, "output_tokens": 1}, Endpoint.TRANSCRIPTIONS),
        ("gpt-4o-mini-tts", Kind.SPEECH, {"input_tokens": 1, "output_tokens": 1}, None),
        ("tts-1", Kind.SPEECH, {"characters": 1}, Endpoint.SPEECH),
        (
            "gpt-audio",
            Kind.SPEECH,
            {"input_tokens": 1, "output_tokens": 1, "output_audio_tokens": 1},
            Endpoint.CHAT,
        ),
        (
            "gpt-realtime",
            Kind.SPEECH,
            {"input_tokens": 1, "output_tokens": 1, "output_audio_tokens": 1},
            None,
        ),
        ("gpt-3.5-turbo-instruct", Kind.TEXT, {"input_tokens": 1, "output_tokens": 1}, Endpoint.COMPLETIONS),
        ("mj_imagine", Kind.IMAGE, {"calls": 1}, None),
        ("kling-v2", Kind.VIDEO, {"seconds": 1}, None),
    ],
)
def test_endpoints(name: str, kind: Kind, units: dict[str, int], endpoint: Endpoint | None) -> None:
    importing.run([listing(name, kind=kind, history=undated((0, units)))])
    catalogue.forget()
    model = catalogue.find(name)
    table = model.price_at(timezone.now()) if model else None
    assert model is not None
    assert table is not None
    assert endpoint_of(model, table) is endpoint
    code = snippets(model, table, base_url="https://gateway.example")
    assert [snippet.label for snippet in code] == (["curl", "Python", "JavaScript"] if endpoint else [])
    for snippet in code:
        assert "https://gateway.example/v1" in snippet.code
        assert name in snippet.code
        assert "{model}" not in snippet.code


@pytest.mark.parametrize(
    ("name", "provider", "kind", "told"),
    [
        ("gemini-tts", "google", Kind.SPEECH, "/v1beta/models/gemini-tts:generateContent"),
        ("gpt-4o-mini-tts", "openai", Kind.SPEECH, ""),
        ("kling-v2", "kling", Kind.VIDEO, ""),
    ],
)
def test_what_has_no_endpoint_of_openais_says_where_else_or_nowhere(
    client: Client, name: str, provider: str, kind: Kind, told: str
) -> None:
    units = {"seconds": 1} if kind == Kind.VIDEO else {"input_tokens": 1, "output_tokens": 1}
    importing.run([listing(name, provider_code=provider, kind=kind, history=undated((0, units)))])
    catalogue.forget()
    page = client.get(f"/pricing/{name}/").text
    assert ("no address for it yet" in page) == (not told)
    assert told in page
    listed = client.get("/pricing/").text
    row = listed[listed.index(f'href="/pricing/{name}/"') :].partition("</tr>")[0]
    assert ("No address yet" in row) == (not told)


def test_claude_is_called_with_its_makers_library_too() -> None:
    importing.run([listing("claude-test", provider_code="anthropic"), listing("gpt-test")])
    catalogue.forget()
    labels = {}
    for name in ("claude-test", "gpt-test"):
        model = catalogue.find(name)
        table = model.price_at(timezone.now()) if model else None
        assert model
        assert table
        found = {
            snippet.label: snippet.code
            for snippet in snippets(model, table, base_url="https://gateway.example")
        }
        labels[name] = found.get("Python (anthropic)")
    assert labels["gpt-test"] is None
    code = labels["claude-test"] or ""
    # The library adds /v1/messages.
    assert 'base_url="https://gateway.example/",' in code
    assert 'model="claude-test"' in code


def test_python_examples_are_python() -> None:
    for model in catalogue.sellable():
        table = model.price_at(timezone.now())
        assert table is not None
        for snippet in snippets(model, table, base_url="https://gateway.example"):
            if snippet.label.startswith("Python"):
                compile(snippet.code, model.name, "exec")


def test_a_change_that_is_near_is_not_in_an_estimate_of_now(client: Client) -> None:
    soon = DatedRates(timezone.now() + timedelta(hours=1), rates(prompt=5_000_000))
    importing.run([listing("soon-test", history=(DatedRates(UNDATED_FROM, rates()), soon))])
    catalogue.forget()
    page = estimate(client, model="soon-test", input_tokens="1000000", output_tokens="0")
    assert told(page) == [2_500_000_000]
