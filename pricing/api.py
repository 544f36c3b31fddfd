"""The price list for programs, in the shape that CometAPI's published clients read. Public.

What is charged is value × ratio: a value is the price before the multiplier of its version.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from pricing import calling, catalogue
from pricing.browsers import for_any_site
from pricing.calling import Endpoint
from pricing.catalogue import SellableModel
from pricing.kept import Body, Kept, answer
from pricing.money import PICO_PER_USD
from pricing.rating import BASIS_POINTS, PriceTable

PICO_PER_USD_A_MILLION = PICO_PER_USD // 10**6
# As other services' clients know them, and for those that they don't the address itself.
ENDPOINTS = {Endpoint.CHAT: "openai", Endpoint.EMBEDDINGS: "embeddings", Endpoint.IMAGES: "image-generation"}
# What a price for a unit tells of its model, where the unit is charged otherwise than the one after it.
FEATURES = {
    "input_image_tokens": ("vision", "input_tokens"),
    "input_audio_tokens": ("audio-input", "input_tokens"),
    "output_audio_tokens": ("audio-output", "output_tokens"),
    "output_image_tokens": ("image-output", "output_tokens"),
    "cached_input_tokens": ("prompt-caching", "input_tokens"),
    "web_searches": ("web-search", ""),
}


@dataclass(frozen=True, slots=True)
class _Answers:
    """The list, and each model by itself."""

    everything: Body
    by_code: Mapping[str, Body]


_kept = Kept[_Answers]()


@for_any_site
def models(request: HttpRequest) -> HttpResponse:
    """All models for sale."""
    return answer(request, _kept.current(_answers).everything)


@for_any_site
def model(request: HttpRequest, code: str) -> HttpResponse:
    """One model, by its code or its full name, with what is told of it in words."""
    body = _kept.current(_answers).by_code.get(code)
    if body is None:
        return JsonResponse({"success": False, "message": "There is no model of this code."}, status=404)
    return answer(request, body)


def _answers(now: datetime) -> _Answers:
    found = catalogue.sellable(at=now)
    listed = [_told(model, now) for model in found]
    by_code: dict[str, Body] = {}
    for model, told in zip(found, listed, strict=True):
        one = success({**told, "overview": model.description or told["name"]})
        by_code.setdefault(told["code"], one)
        by_code[model.name] = one
    return _Answers(success(listed), by_code)


def _told(model: SellableModel, now: datetime) -> dict[str, Any]:
    table = model.price_at(now)
    assert table is not None  # It is for sale.
    base = table.rates[0][1]
    return {
        "id": model.name,
        "code": code_of(model.name),
        "provider": model.provider,
        "provider_code": model.provider_code,
        "name": model.title or model.name,
        "description": model.description,
        "model_type": model.kind,
        "features": _features(base),
        "endpoints": endpoints_of(model, table),
        "pricing": {
            "input": _usd(base.get("input_tokens"), PICO_PER_USD_A_MILLION),
            "output": _usd(base.get("output_tokens"), PICO_PER_USD_A_MILLION),
            # A request for a picture is for one.
            "per_request": _usd(base.get("calls", base.get("images")), PICO_PER_USD),
            "per_second": _usd(base.get("seconds"), PICO_PER_USD),
            "ratio": float(Decimal(table.multiplier_bp) / BASIS_POINTS),
        },
        "context_length": model.context_window,
        "max_completion_tokens": model.max_output_tokens,
        "api_doc_url": f"{settings.SITE_URL}{reverse('model', args=[model.name])}",
    }


def endpoints_of(model: SellableModel, table: PriceTable) -> dict[str, dict[str, str]]:
    """Where the model is called in the formats of OpenAI, by name; nothing for those that have none there."""
    endpoint = calling.endpoint_of(model, table)
    if endpoint is None:
        return {}
    name = ENDPOINTS.get(endpoint, endpoint.value.replace("/", "-"))
    return {name: {"path": f"/v1/{endpoint.value}", "method": "POST"}}


def code_of(name: str) -> str:
    return name.replace(".", "-")


def _features(base: Mapping[str, int]) -> list[str]:
    return [
        feature
        for unit, (feature, usual) in FEATURES.items()
        if unit in base and base[unit] != base.get(usual)
    ]


def _usd(picousd: int | None, divisor: int) -> float | None:
    return None if picousd is None else float(Decimal(picousd) / divisor)


def success(data: Any) -> Body:
    """An answer in the form that all of these APIs have."""
    content = json.dumps({"success": True, "message": "", "data": data}, ensure_ascii=False).encode()
    return Body.of(content, "application/json")
