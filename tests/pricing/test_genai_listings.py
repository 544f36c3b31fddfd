"""What is taken from genai-prices: its own price for every sellable name, at every date."""

import re
import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import calc_price
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
    Usage,
)

from pricing import genai_listings, per_use_listings
from pricing.genai_listings import FIRST_PARTIES, history_of, rates_of
from pricing.listings import Listing, NotExpressible, kind_of, pico_per_unit
from pricing.models import Kind
from pricing.publishing import complete
from pricing.rating import PriceTable, rate

NAMES = Path(genai_listings.__file__).parent / "data" / "callable_names.toml"


@pytest.fixture(scope="module")
def listed() -> dict[str, Listing]:
    return {listing.name: listing for listing in genai_listings.listings()}


def priced(*conditions: ConditionalPrice) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals("m"), prices=list(conditions))


def price(prompt: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(prompt), output_mtok=Decimal(10))


def test_prices_are_exact() -> None:
    assert pico_per_unit(Decimal("0.0375"), per=1_000_000) == 37_500
    assert pico_per_unit(Decimal("0.36"), per=3_600) == 100_000_000
    with pytest.raises(NotExpressible, match="whole number"):
        pico_per_unit(Decimal("0.0000001"), per=1_000_000)
    with pytest.raises(NotExpressible, match="whole number"):
        pico_per_unit(Decimal("0.24"), per=3_600)


def test_tiers_and_other_units() -> None:
    tiered = TieredPrices(base=Decimal(3), tiers=[Tier(start=200_000, price=Decimal(6))])
    found = ModelPrice(input_mtok=tiered, output_mtok=Decimal(15), web_searches_kcount=Decimal(10))
    base = {"input_tokens": 3_000_000, "output_tokens": 15_000_000, "web_searches": 10_000_000_000}
    assert rates_of(found) == ((0, base), (200_000, {**base, "input_tokens": 6_000_000}))


def test_a_unit_that_is_not_ours_cannot_be_expressed() -> None:
    with pytest.raises(NotExpressible, match="output_citation_mtok"):
        rates_of(ModelPrice(output_citation_mtok=Decimal(2)))


def test_two_prices_for_one_unit_cannot_be_expressed() -> None:
    assert rates_of(ModelPrice(audio_hours=Decimal("0.36"), input_audio_hours=Decimal("0.36")))
    with pytest.raises(NotExpressible, match="two different"):
        rates_of(ModelPrice(audio_hours=Decimal("0.36"), input_audio_hours=Decimal("0.72")))


def test_dates_become_effective_from_times() -> None:
    model = priced(
        ConditionalPrice(prices=price("1")),
        ConditionalPrice(constraint=StartDateConstraint(date(2026, 3, 13)), prices=price("2")),
        ConditionalPrice(constraint=StartDateConstraint(date(2026, 5, 1)), prices=price("2")),
        ConditionalPrice(constraint=StartDateConstraint(date(2027, 1, 1)), prices=price("3")),
    )
    found = [(dated.effective_from, dated.rates[0][1]["input_tokens"]) for dated in history_of(model)]
    assert found == [
        (datetime(2020, 1, 1, tzinfo=UTC), 1_000_000),
        (datetime(2026, 3, 13, tzinfo=UTC), 2_000_000),
        (datetime(2027, 1, 1, tzinfo=UTC), 3_000_000),
    ]


def test_hours_of_the_day_cannot_be_expressed() -> None:
    night = TimeOfDateConstraint(start_time=time(0, 30, tzinfo=UTC), end_time=time(16, 30, tzinfo=UTC))
    with pytest.raises(NotExpressible, match="time of day"):
        history_of(
            priced(ConditionalPrice(prices=price("1")), ConditionalPrice(constraint=night, prices=price("2")))
        )


def test_what_can_be_called_is_sold_by_its_full_name(listed: dict[str, Listing]) -> None:
    for name in ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "claude-haiku-4-5", "claude-3-haiku-20240307"):
        assert not listed[name].unsold_reason, name
    assert "claude-3-haiku" not in listed
    assert "gpt-35-turbo" not in listed
    assert "gpt-5-1" not in listed
    assert not listed["glm-4.6"].unsold_reason
    assert "GLM-4.6" not in listed


@pytest.mark.parametrize(
    "name", ["gpt-4o:extended", "ft:gpt-4o", "gpt-4o-mini-2024-07-18.ft-", "mistral-nemo:free"]
)
def test_what_is_no_name_is_not_sold(listed: dict[str, Listing], name: str) -> None:
    assert listed[name].unsold_reason
    assert listed[name].history == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("deepseek-chat", "time of day"),
        ("sonar-deep-research", "output_citation_mtok"),
        ("gpt-oss-120b", "another seller"),
        ("pplx-decider-v1.2", "input and output"),
        ("gpt-4-32k", "shut it down"),
        ("voxtral-mini-transcribe-3-0", "whole number"),
    ],
)
def test_a_reason_is_given_for_what_is_not_sold(listed: dict[str, Listing], name: str, reason: str) -> None:
    assert reason in listed[name].unsold_reason


def test_sold_names_can_be_typed_and_none_is_another_sellers(listed: dict[str, Listing]) -> None:
    sold = [listing for listing in listed.values() if not listing.unsold_reason]
    assert len(sold) > 300
    for listing in sold:
        assert re.fullmatch(r"[A-Za-z0-9._-]+", listing.name), listing.name
        assert listing.provider_code in FIRST_PARTIES
        assert listing.history[0].effective_from.year == 2020
    assert not any(
        name.startswith("claude") for name, item in listed.items() if item.provider_code == "google"
    )


@pytest.mark.parametrize("moment", [datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)])
def test_text_models_cost_what_genai_prices_says(listed: dict[str, Listing], moment: datetime) -> None:
    compared = 0
    for listing in listed.values():
        dated = listing.rates_at(moment)
        if listing.kind is not Kind.TEXT or not dated or "calls" in dated[0][1]:
            continue
        for prompt in (1_000, 300_000):
            ours = rate({"input_tokens": prompt, "output_tokens": 500}, PriceTable(1, 10_000, dated))
            theirs = calc_price(
                Usage(input_tokens=prompt, output_tokens=500),
                listing.name,
                provider_id=listing.provider_code,
                genai_request_timestamp=moment,
            )
            assert ours.subtotal_picousd == theirs.total_price * 10**12, listing.name
            compared += 1
    assert compared > 500


def test_the_names_file_speaks_of_models_that_exist() -> None:
    data = tomllib.loads(NAMES.read_text())
    by_id = {provider.id: provider for provider in providers}
    for code, entry in data.items():
        ids = {model.id: model for model in by_id[code].models}
        for group, names in entry.get("groups", {}).items():
            assert all(ids[group].is_match(name) for name in names), group
        everything = {name for model in ids.values() for name in genai_listings._names(code).of(model)}
        for names in entry.get("unsold", {}).values():
            assert set(names) <= everything | set(ids), code


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-4o", Kind.TEXT),
        ("text-embedding-3-small", Kind.EMBEDDING),
        ("voyage-3.5", Kind.EMBEDDING),
        ("gpt-image-1", Kind.IMAGE),
        ("gpt-4o-mini-tts", Kind.SPEECH),
        ("mistral-ocr-2503", Kind.DOCUMENT),
        ("claude-opus-5", Kind.TEXT),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


def test_our_own_list_is_complete_and_names_its_sources() -> None:
    found = list(per_use_listings.listings())
    assert len(found) >= 30
    assert len({listing.name for listing in found}) == len(found)
    for listing in found:
        assert listing.source
        assert len(complete(listing.history[0].rates)[0][1]) == 1
    midjourney = next(listing for listing in found if listing.name == "mj_fast_imagine")
    assert midjourney.history[0].rates == ((0, {"calls": 50_000_000_000}),)


@pytest.mark.parametrize(
    "entry",
    [
        'unit = "tokens"\nprice = "1"',
        'unit = "input_tokens"\nprice = "1"',
        'unit = "images"\nprice = "cheap"',
        'unit = "images"\nprice = "0.0000000000001"',
        'unit = "images"',
    ],
)
def test_a_wrong_entry_of_ours_is_refused_by_name(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "models.toml"
    provider = '[providers.p]\ntitle = "P"\nsource = "S"\n'
    file.write_text(
        provider + '[[models]]\nname = "m1"\nprovider = "p"\nkind = "image"\ntitle = "M"\n' + entry
    )
    with pytest.raises(ValueError, match="m1"):
        list(per_use_listings.listings(file))
