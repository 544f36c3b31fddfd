"""What providers count, as quantities that overlap nowhere."""

from typing import Any

import pytest

from gateway import usage

TOKENS = frozenset({"input_tokens", "output_tokens"})


def _of(told: dict[str, Any], *more: str) -> dict[str, int]:
    return usage.of_tokens(told, TOKENS | set(more))


def test_openai_counts_what_it_had_kept_inside_the_prompt() -> None:
    told = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 50},
    }
    assert _of(told, "input_audio_tokens", "output_audio_tokens") == {
        "input_tokens": 300,
        "cached_input_tokens": 600,
        "input_audio_tokens": 100,
        "output_tokens": 150,
        "reasoning_tokens": 300,
        "output_audio_tokens": 50,
    }


def test_openai_responses_have_words_of_their_own() -> None:
    told = {
        "input_tokens": 100,
        "output_tokens": 40,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    assert _of(told) == {
        "input_tokens": 40,
        "cached_input_tokens": 60,
        "output_tokens": 10,
        "reasoning_tokens": 30,
    }


def test_openai_transcriptions_have_words_of_their_own() -> None:
    told = {"input_tokens": 14, "output_tokens": 5, "input_token_details": {"audio_tokens": 12}}
    assert _of(told, "input_audio_tokens") == {
        "input_tokens": 2,
        "input_audio_tokens": 12,
        "output_tokens": 5,
    }


def test_anthropic_comes_with_reads_and_both_kinds_of_writes_inside_the_prompt() -> None:
    told = {
        "prompt_tokens": 150,
        "completion_tokens": 20,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 30,
        "prompt_tokens_details": {
            "cached_tokens": 100,
            "cache_creation_tokens": 30,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": 20,
                "ephemeral_1h_input_tokens": 10,
            },
        },
    }
    assert _of(told) == {
        "input_tokens": 20,
        "cached_input_tokens": 100,
        "cache_write_tokens": 20,
        "cache_write_1h_tokens": 10,
        "output_tokens": 20,
    }


def test_writes_without_a_time_are_those_of_five_minutes() -> None:
    told = {"prompt_tokens": 50, "completion_tokens": 1, "cache_creation_input_tokens": 30}
    assert _of(told) == {"input_tokens": 20, "cache_write_tokens": 30, "output_tokens": 1}


def test_audio_stays_inside_where_it_costs_what_text_does() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"audio_tokens": 80},
        "completion_tokens_details": {"audio_tokens": 40},
    }
    assert _of(told) == {"input_tokens": 100, "output_tokens": 50}


def test_a_price_for_each_call_comes_beside_tokens() -> None:
    assert _of({"prompt_tokens": 1, "completion_tokens": 2}, "calls") == {
        "input_tokens": 1,
        "output_tokens": 2,
        "calls": 1,
    }


def test_pictures_are_counted_apart_only_where_they_have_a_price() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"image_tokens": 80},
        "completion_tokens_details": {"image_tokens": 40},
    }
    assert _of(told) == {"input_tokens": 100, "output_tokens": 50}
    assert _of(told, "input_image_tokens", "output_image_tokens") == {
        "input_tokens": 20,
        "input_image_tokens": 80,
        "output_tokens": 10,
        "output_image_tokens": 40,
    }


def test_what_was_kept_of_audio_is_counted_once() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "prompt_tokens_details": {
            "cached_tokens": 50,
            "audio_tokens": 70,
            "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 40},
        },
    }
    audio = ("input_audio_tokens", "cached_input_audio_tokens")
    assert _of(told, *audio) == {
        "input_tokens": 20,
        "cached_input_tokens": 10,
        "cached_input_audio_tokens": 40,
        "input_audio_tokens": 30,
        "output_tokens": 10,
    }
    for priced in ((), audio[:1], audio[1:], audio):
        assert sum(_of(told, *priced).values()) == 110


@pytest.mark.parametrize(
    "told",
    [
        {"server_tool_use": {"web_search_requests": 3}},
        {"prompt_tokens_details": {"web_search_requests": 3}},
    ],
)
def test_searches_are_counted(told: dict[str, Any]) -> None:
    found = _of({"prompt_tokens": 1, "completion_tokens": 1, **told})
    assert found == {"input_tokens": 1, "output_tokens": 1, "web_searches": 3}


@pytest.mark.parametrize(
    "told",
    [
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 9}},
        {"prompt_tokens": 5, "completion_tokens": 5.0},
        {"prompt_tokens": "5", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {
            "prompt_tokens": 5,
            "completion_tokens": 5,
            "cache_creation_input_tokens": 2,
            "cache_creation": {"ephemeral_1h_input_tokens": 3},
        },
    ],
)
def test_what_contradicts_itself_is_never_charged(told: dict[str, Any]) -> None:
    assert min(_of(told).values()) < 0


def test_nothing_told_is_nothing_found() -> None:
    told = {
        "prompt_tokens": 7,
        "completion_tokens": None,
        "prompt_tokens_details": None,
        "completion_tokens_details": {"reasoning_tokens": None},
        "server_tool_use": None,
    }
    assert _of(told) == {"input_tokens": 7}
    assert _of({}) == {}


@pytest.mark.parametrize(
    ("priced", "more", "found"),
    [
        ({"images"}, {"images": 3}, {"images": 3}),
        ({"images"}, {"images": 0}, {"images": 1}),
        ({"calls"}, {"images": 3}, {"calls": 1}),
        ({"seconds"}, {"seconds": 8.2}, {"seconds": 9}),
        ({"seconds"}, {"seconds": 8.0}, {"seconds": 8}),
        ({"seconds"}, {}, {"seconds": 1}),
        ({"characters"}, {"characters": 11}, {"characters": 11}),
        ({"characters"}, {}, {"characters": 1}),
        ({"pages"}, {}, {"pages": 1}),
        (set(), {"images": 3}, {}),
    ],
)
def test_what_is_sold_by_use(priced: set[str], more: dict[str, Any], found: dict[str, int]) -> None:
    given = {"images": 1, "seconds": 0.0, "characters": 0, **more}
    assert usage.of_use(frozenset(priced), **given) == found


def test_what_nobody_counted_is_estimated_by_its_size() -> None:
    assert usage.estimate(TOKENS, tokens_in=10, bytes_out=400) == {"input_tokens": 10, "output_tokens": 100}
    assert usage.estimate(TOKENS, tokens_in=0, bytes_out=0) == {"input_tokens": 1}
    assert usage.estimate(frozenset({"input_tokens"}), tokens_in=10, bytes_out=400) == {"input_tokens": 10}
    assert usage.estimate(frozenset({"calls"}), tokens_in=10, bytes_out=400) == {"calls": 1}


@pytest.mark.parametrize("priced", [set(), {"output_image_tokens"}, {"web_searches"}, {"pages"}])
def test_no_estimate_is_nothing(priced: set[str]) -> None:
    assert any(usage.estimate(frozenset(priced), tokens_in=0, bytes_out=0).values())


def test_a_model_that_always_searches_is_charged_a_search() -> None:
    counted = {"prompt_tokens": 5, "completion_tokens": 5}
    priced = frozenset({"input_tokens", "output_tokens", "web_searches"})
    assert usage.of_tokens(counted, priced, least_searches=1)["web_searches"] == 1
    assert "web_searches" not in usage.of_tokens(counted, priced - {"web_searches"}, least_searches=1)
