"""The price list for programs, in the shape that CometAPI's published clients read. Public.

What is charged is value × ratio: a value is the price before the multiplier of its version. Rendered once for each state of
the catalogue and then served from memory, with a validator, so that who asks again learns that nothing changed.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from pricing import catalogue
from pricing.catalogue import SellableModel
from pricing.models import Kind
from pricing.money import PICO_PER_USD
from pricing.rating import BASIS_POINTS

PICO_PER_USD_A_MILLION = PICO_PER_USD // 10**6
ENDPOINTS = {
    Kind.TEXT: {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
    Kind.EMBEDDING: {"embeddings": {"path": "/v1/embeddings", "method": "POST"}},
    Kind.IMAGE: {"image-generation": {"path": "/v1/images/generations", "method": "POST"}},
}
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
class _Rendered:
    """The list as it is told while the catalogue is of this revision and no price of it has changed."""

    revision: tuple[Any, ...]
    until: datetime | None
    everything: "_Body"
    by_code: Mapping[str, "_Body"]


@dataclass(frozen=True, slots=True)
class _Body:
    """An answer and its validator."""

    content: bytes
    validator: str


_rendering = threading.Lock()
_rendered: _Rendered | None = None


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """All models for sale."""
    return _answer(request, _current().everything)


@require_safe
def model(request: HttpRequest, code: str) -> HttpResponse:
    """One model, by its code or its full name, with what is told of it in words."""
    body = _current().by_code.get(code)
    if body is None:
        answer: HttpResponse = JsonResponse(
            {"success": False, "message": "There is no model of this code."}, status=404
        )
        answer["Access-Control-Allow-Origin"] = "*"
        return answer
    return _answer(request, body)


def _answer(request: HttpRequest, body: _Body) -> HttpResponse:
    # Proxies that compress make a validator weak, which is good enough for this.
    known = {each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))}
    is_known = bool(known & {body.validator, "*"})
    answer = (
        HttpResponseNotModified() if is_known else HttpResponse(body.content, content_type="application/json")
    )
    answer["ETag"] = body.validator
    answer["Cache-Control"] = "public, no-cache"
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


def _current() -> _Rendered:
    global _rendered
    found = _rendered
    if found is not None and _holds(found):
        return found
    with _rendering:  # One renders, the others wait for it.
        if _rendered is None or not _holds(_rendered):
            _rendered = _render(catalogue.revision(), timezone.now())
        return _rendered


def _holds(rendered: _Rendered) -> bool:
    is_due = rendered.until is not None and rendered.until <= timezone.now()
    return rendered.revision == catalogue.revision() and not is_due


def _render(revision: tuple[Any, ...], now: datetime) -> _Rendered:
    """Read after its revision: what changes in between is rendered again."""
    found = catalogue.sellable(at=now)
    listed = [_told(model, now) for model in found]
    by_code: dict[str, _Body] = {}
    for model, told in zip(found, listed, strict=True):
        one = _success({**told, "overview": model.description or told["name"]})
        by_code.setdefault(told["code"], one)
        by_code[model.name] = one
    return _Rendered(revision, catalogue.next_change(now), _success(listed), by_code)


def _told(model: SellableModel, now: datetime) -> dict[str, Any]:
    table = model.price_at(now)
    assert table is not None  # It is for sale.
    base = table.rates[0][1]
    is_by_calls = "calls" in base
    return {
        "id": model.name,
        "code": code_of(model.name),
        "provider": model.provider,
        "provider_code": model.provider_code,
        "name": model.title or model.name,
        "description": model.description,
        "model_type": model.kind,
        "features": _features(base),
        "endpoints": {} if is_by_calls else ENDPOINTS.get(Kind(model.kind), {}),
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


def _success(data: Any) -> _Body:
    content = json.dumps({"success": True, "message": "", "data": data}, ensure_ascii=False).encode()
    return _Body(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
