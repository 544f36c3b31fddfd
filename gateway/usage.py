"""What a provider says it counted, as quantities that overlap nowhere: the units of the metering API.

Providers nest: OpenAI's and Gemini's cached prompt is part of the prompt, reasoning part of the completion. LiteLLM tells
Anthropic's usage in the same way, with cache reads and writes inside the prompt. Here each is taken out of what holds it.
Figures that contradict each other give a negative quantity, which the metering API puts aside for staff: it is never
charged, and nothing is guessed.
"""

from collections.abc import Mapping
from typing import Any

# Parts of the prompt and of the completion that have a price of their own only at some models; else they stay inside.
KINDS = ("audio", "image")


def of_tokens(usage: Mapping[str, Any], priced: frozenset[str], *, least_searches: int = 0) -> dict[str, int]:
    """Quantities by unit, zeros left out. `usage` is LiteLLM's, or one in the words of OpenAI's Responses API.

    There were at least so many searches, which a model with a price for them is charged.
    """
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens")
    inside = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    outside = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    found = {**_of_prompt(usage, inside, priced), **_cache_writes(usage, inside)}
    made = {"reasoning_tokens": _first(outside, "reasoning_tokens")}
    for kind in KINDS:
        unit = f"output_{kind}_tokens"
        made[unit] = _first(outside, f"{kind}_tokens") if unit in priced else 0
    found["input_tokens"] = prompt - sum(found.values())
    made["output_tokens"] = completion - sum(made.values())
    # Some models cost something for each call beside their tokens.
    least = least_searches if "web_searches" in priced else 0
    more = {"web_searches": max(least, _searches(usage, inside)), "calls": 1 if "calls" in priced else 0}
    return {unit: count for unit, count in {**found, **made, **more}.items() if count}


def _of_prompt(usage: Mapping[str, Any], inside: Mapping[str, Any], priced: frozenset[str]) -> dict[str, int]:
    """What the provider had kept, and what isn't text. What it had kept of other than text is told in both."""
    cached = _first(inside, "cached_tokens") or _first(usage, "cache_read_input_tokens")
    kept = _details(inside, "cached_tokens_details")
    found: dict[str, int] = {}
    for kind in KINDS:
        unit, of_kind = f"input_{kind}_tokens", _first(kept, f"{kind}_tokens")
        found[unit] = _first(inside, f"{kind}_tokens") - of_kind if unit in priced else 0
        found[f"cached_{unit}"] = of_kind if f"cached_{unit}" in priced else 0
        cached -= found[f"cached_{unit}"]
    return {**found, "cached_input_tokens": cached}


def of_use(priced: frozenset[str], *, images: int, seconds: float, characters: int) -> dict[str, int]:
    """Of a model that is sold by use: what it is sold by, of what the request and the answer say.

    Seconds are rounded up. Nothing is for nothing: of what is not known there was one.
    """
    counts = {
        "images": images,
        "seconds": -int(-seconds // 1),
        "characters": characters,
        "pages": 1,
        "calls": 1,
    }
    return next(({unit: max(1, count)} for unit, count in counts.items() if unit in priced), {})


def estimate(priced: frozenset[str], *, tokens_in: int, bytes_out: int) -> dict[str, int]:
    """Of a call that nobody counted: four characters a token, whatever frames the answer came in; else one use."""
    tokens = {"input_tokens": max(1, tokens_in), "output_tokens": bytes_out // 4}
    found = {unit: count for unit, count in tokens.items() if count and unit in priced}
    # Of a model whose prices are not known the tokens are told all the same: staff see to it.
    return (
        found or of_use(priced, images=1, seconds=0, characters=0) or {min(priced, default="input_tokens"): 1}
    )


def _cache_writes(usage: Mapping[str, Any], inside: Mapping[str, Any]) -> dict[str, int]:
    """What was written to be kept for 5 minutes, and for an hour."""
    total = (
        _first(usage, "cache_creation_input_tokens")
        or _first(inside, "cache_creation_tokens")
        or _first(inside, "cache_write_tokens")
    )
    parts = _details(inside, "cache_creation_token_details") or _details(usage, "cache_creation")
    hour = _first(parts, "ephemeral_1h_input_tokens")
    return {"cache_write_tokens": total - hour, "cache_write_1h_tokens": hour}


def _searches(usage: Mapping[str, Any], inside: Mapping[str, Any]) -> int:
    return _first(_details(usage, "server_tool_use"), "web_search_requests") or _first(
        inside, "web_search_requests"
    )


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((found for name in names if isinstance(found := usage.get(name), Mapping)), {})


def _first(usage: Mapping[str, Any], *names: str) -> int:
    """The first of these that is given. What is no whole number is no count: it is taken for -1, which nobody charges."""
    for name in names:
        value = usage.get(name)
        if value is not None:
            return value if type(value) is int else -1
    return 0
