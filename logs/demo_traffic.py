"""Calls that look like those of a small company, for people who look around. Pure: draws numbers, sends nothing.

Every quantity is of a unit that the model had a price for when the call started; a model that isn't for sale is left out.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from logs import call_ids
from pricing.catalogue import SellableModel

DAYS = 30
SPAN = timedelta(days=DAYS)
FAILED_SHARE = 0.04
# How busy each hour (UTC) of a working day is, and each day of the week from Monday on.
HOURS = (2, 1, 1, 1, 1, 2, 4, 9, 16, 20, 21, 19, 15, 18, 21, 22, 19, 14, 9, 7, 6, 5, 4, 3)
WEEKDAYS = (10, 11, 11, 10, 9, 3, 3)

type Draw = Callable[[random.Random], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Habit:
    """One thing the company does: how often, with which models (those for sale take turns), and what a call uses."""

    weight: int
    key: str
    models: tuple[str, ...]
    endpoint: str
    draw: Draw
    ms: int
    """Typical latency."""
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """A habit with those of its models that are for sale."""

    habit: Habit
    models: tuple[SellableModel, ...]


WEBSITE, BATCH, LAPTOP = "Website", "Nightly batch", "Laptop"
KEYS = (WEBSITE, BATCH, LAPTOP)
CHAT = "/v1/chat/completions"


def _about(rng: random.Random, typical: int) -> int:
    """Around `typical`, with the long tail that lengths of texts have."""
    return max(1, round(rng.lognormvariate(0, 0.7) * typical))


def _chat(rng: random.Random) -> dict[str, int]:
    cached = 1024 * rng.choice((0, 0, 0, 1, 2))
    return {
        "input_tokens": _about(rng, 600),
        "cached_input_tokens": cached,
        "output_tokens": _about(rng, 280),
    }


def _reasoning(rng: random.Random) -> dict[str, int]:
    return {
        "input_tokens": _about(rng, 1400),
        "output_tokens": _about(rng, 420),
        "reasoning_tokens": _about(rng, 900),
    }


def _agent(rng: random.Random) -> dict[str, int]:
    """A coding assistant: most of its context comes from the cache."""
    long_cached = rng.random() < 0.15
    return {
        "input_tokens": _about(rng, 40),
        "cached_input_tokens": _about(rng, 14_000),
        "cache_write_tokens": 0 if long_cached else _about(rng, 900),
        "cache_write_1h_tokens": _about(rng, 1500) if long_cached else 0,
        "output_tokens": _about(rng, 350),
    }


def _documents(rng: random.Random) -> dict[str, int]:
    """Questions to long documents; some are beyond the first context tier."""
    beyond = rng.random() < 0.1
    return {
        "input_tokens": rng.randint(201_000, 260_000) if beyond else _about(rng, 9000),
        "output_tokens": _about(rng, 500),
        "reasoning_tokens": _about(rng, 300),
    }


def _classify(rng: random.Random) -> dict[str, int]:
    return {"input_tokens": _about(rng, 450), "output_tokens": rng.randint(3, 40)}


def _search(rng: random.Random) -> dict[str, int]:
    return {
        "input_tokens": _about(rng, 500),
        "output_tokens": _about(rng, 400),
        "web_searches": rng.randint(1, 2),
    }


def _embed(rng: random.Random) -> dict[str, int]:
    return {"input_tokens": _about(rng, 1800)}


def _image_tokens(rng: random.Random) -> dict[str, int]:
    return {"input_tokens": _about(rng, 60), "output_image_tokens": 1290}


def _images(rng: random.Random) -> dict[str, int]:
    return {"images": rng.choice((1, 1, 1, 2, 4))}


def _one_call(rng: random.Random) -> dict[str, int]:
    return {"calls": 1}


def _clip(rng: random.Random) -> dict[str, int]:
    return {"seconds": rng.choice((5, 5, 5, 10))}


def _speech(rng: random.Random) -> dict[str, int]:
    return {"characters": min(4096, _about(rng, 700))}


def _recording(rng: random.Random) -> dict[str, int]:
    return {"seconds": rng.randint(20, 1500)}


def _scan(rng: random.Random) -> dict[str, int]:
    return {"pages": rng.randint(1, 14)}


HABITS = (
    Habit(250, WEBSITE, ("gpt-4o-mini", "gpt-5-mini", "gemini-2.5-flash"), CHAT, _chat, 1900, streams=True),
    Habit(120, WEBSITE, ("gpt-4o", "gpt-5.1"), CHAT, _chat, 3200, streams=True),
    Habit(
        150,
        LAPTOP,
        ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-sonnet-5"),
        "/v1/messages",
        _agent,
        6500,
        streams=True,
    ),
    Habit(
        60,
        LAPTOP,
        ("gpt-5", "deepseek-v3.2", "grok-4-fast-reasoning"),
        CHAT,
        _reasoning,
        14_000,
        streams=True,
    ),
    Habit(25, LAPTOP, ("gemini-2.5-pro", "gpt-5.4"), CHAT, _documents, 18_000),
    Habit(15, WEBSITE, ("gemini-3.5-flash-lite", "claude-haiku-4-5"), CHAT, _search, 5200),
    Habit(190, BATCH, ("gpt-5-nano", "gemini-2.5-flash-lite", "mistral-small-latest"), CHAT, _classify, 700),
    Habit(
        90,
        BATCH,
        ("text-embedding-3-small", "text-embedding-3-large", "gemini-embedding-001"),
        "/v1/embeddings",
        _embed,
        320,
    ),
    Habit(
        20,
        WEBSITE,
        ("flux-pro-1.1", "imagen-4.0-fast-generate-001", "ideogram-v3-turbo"),
        "/v1/images/generations",
        _images,
        9000,
    ),
    Habit(8, WEBSITE, ("gemini-3.1-flash-image",), CHAT, _image_tokens, 11_000),
    Habit(14, LAPTOP, ("mj_fast_imagine", "mj_relax_imagine"), "/mj/submit/imagine", _one_call, 48_000),
    Habit(6, LAPTOP, ("suno_music",), "/suno/submit/music", _one_call, 95_000),
    Habit(
        7,
        LAPTOP,
        ("kling-v2-5-turbo-std", "gen4_turbo", "ray-flash-2"),
        "/v1/video/generations",
        _clip,
        130_000,
    ),
    Habit(25, WEBSITE, ("tts-1", "tts-1-hd"), "/v1/audio/speech", _speech, 2600),
    Habit(20, BATCH, ("whisper-1", "gpt-transcribe"), "/v1/audio/transcriptions", _recording, 7000),
    Habit(10, BATCH, ("mistral-ocr-2503",), "/v1/ocr", _scan, 3800),
)

ERRORS = (
    "429 from the provider: rate limit reached, retried 3 times.",
    "503 from the provider: the model is overloaded. Please try again later.",
    "The provider did not answer within 120 s.",
    "400 from the provider: the prompt is longer than the model's context window.",
    "400 from the provider: the request was refused by the content policy.",
    "The connection to the provider was lost while streaming.",
)


def plan(models: Sequence[SellableModel]) -> list[Planned]:
    """The habits that the price list serves."""
    by_name = {model.name: model for model in models}
    planned = [
        Planned(habit, tuple(by_name[name] for name in habit.models if name in by_name)) for habit in HABITS
    ]
    return [entry for entry in planned if entry.models]


def moments(rng: random.Random, count: int, now: datetime) -> list[datetime]:
    """`count` moments of the last 30 days in rising order: busy in office hours, quiet at weekends, slowly growing."""
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=n) for n in range(DAYS * 24)]
    weights = [
        HOURS[hour.hour] * WEEKDAYS[hour.weekday()] * (2 * DAYS * 24 - ago) for ago, hour in enumerate(hours)
    ]
    chosen = rng.choices(hours, weights, k=count)
    drawn = [hour + timedelta(milliseconds=rng.randrange(3_600_000)) for hour in chosen]
    # What is left of this hour lies ahead; those calls were made in the one before.
    return sorted(moment if moment < now else moment - timedelta(hours=1) for moment in drawn)


def report(
    rng: random.Random, planned: Sequence[Planned], key_ids: Mapping[str, int], started_at: datetime
) -> dict[str, Any]:
    """A finished call of that moment, as a gateway reports it."""
    entry = rng.choices(planned, [one.habit.weight for one in planned])[0]
    habit, model = entry.habit, rng.choice(entry.models)
    is_failed = rng.random() < FAILED_SHARE
    usage = {} if is_failed else usage_of(model, started_at, habit.draw(rng))
    ms = _about(rng, habit.ms)
    body: dict[str, Any] = {
        "call_id": str(call_ids.new(int(started_at.timestamp() * 1000))),
        "model": model.name,
        "started_at": started_at.astimezone(UTC).isoformat(),
        "token_id": key_ids[habit.key],
        "status": "failed" if is_failed else "succeeded",
        "usage": usage,
        "latency_ms": ms,
        "stream": habit.streams and rng.random() < 0.8,
        "endpoint": habit.endpoint,
        "client_ip": f"203.0.113.{rng.randint(1, 20)}",
        "upstream_id": f"req_{rng.getrandbits(64):016x}",
    }
    if is_failed:
        body["error"] = rng.choice(ERRORS)
    elif body["stream"]:
        body["first_token_ms"] = min(ms, _about(rng, 450))
    return body


def usage_of(model: SellableModel, started_at: datetime, drawn: Mapping[str, int]) -> dict[str, int]:
    """What of `drawn` the model had a price for when the call started."""
    table = model.price_at(started_at)
    # The first tier names every unit that a model is priced by; later ones repeat or replace its prices.
    prices = table.rates[0][1] if table else {}
    return {unit: quantity for unit, quantity in drawn.items() if quantity and unit in prices}
