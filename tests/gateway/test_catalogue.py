"""The price list, read again and again, and whom it tells."""

import asyncio
from typing import Any, cast

import pytest

from gateway.catalogue import Catalogue
from gateway.metering import Metering


class PriceList:
    """Stands in for the dashboard."""

    def __init__(self) -> None:
        self.models = [_model("gpt", "openai")]

    async def prices(self) -> list[dict[str, Any]]:
        return self.models


def _model(name: str, provider: str, unit: str = "input_tokens") -> dict[str, Any]:
    return {"id": name, "provider_code": provider, "price": {"tiers": [{"prices": {unit: "1"}}]}}


def _reads(catalogue: Catalogue) -> None:
    asyncio.run(catalogue.read())


@pytest.fixture
def listed() -> PriceList:
    return PriceList()


@pytest.fixture
def catalogue(listed: PriceList) -> Catalogue:
    return Catalogue(cast("Metering", listed))


def test_who_serves_the_models_is_told_when_others_are_for_sale(
    catalogue: Catalogue, listed: PriceList
) -> None:
    told: list[list[dict[str, Any]]] = []
    _reads(catalogue)
    catalogue.on_change = told.append
    _reads(catalogue)
    listed.models = [_model("gpt", "openai", "calls")]
    _reads(catalogue)
    assert not told
    assert catalogue.units_of("gpt") == {"calls"}
    listed.models = [*listed.models, _model("claude", "anthropic")]
    _reads(catalogue)
    listed.models = [listed.models[0], _model("claude", "google")]
    _reads(catalogue)
    assert [[model["provider_code"] for model in models] for models in told] == [
        ["openai", "anthropic"],
        ["openai", "google"],
    ]


def test_it_is_told_again_where_that_failed(catalogue: Catalogue, listed: PriceList) -> None:
    told: list[int] = []

    def fail_once(models: list[dict[str, Any]]) -> None:
        told.append(len(models))
        if len(told) == 1:
            raise RuntimeError

    _reads(catalogue)
    catalogue.on_change = fail_once
    listed.models = [*listed.models, _model("claude", "anthropic")]
    with pytest.raises(RuntimeError):
        _reads(catalogue)
    _reads(catalogue)
    _reads(catalogue)
    assert told == [2, 2]
    assert catalogue.units_of("claude") == {"input_tokens"}


def test_a_model_can_be_served_where_its_provider_has_a_key(listed: PriceList) -> None:
    listed.models = [_model("gpt", "openai"), _model("claude", "anthropic")]
    some, echoed = (Catalogue(cast("Metering", listed), served) for served in ({"openai"}, ()))
    for catalogue in (some, echoed):
        _reads(catalogue)
    models = ("gpt", "claude", "unheard-of")
    assert [some.can_serve(model) for model in models] == [True, False, True]
    assert [echoed.can_serve(model) for model in models] == [True, True, True]
