"""What is read of a request before anybody is asked about it, and what is refused in it."""

import ipaddress
import json
from typing import Any

import pytest

from gateway import requests
from gateway.requests import Bad, Said
from gateway.routes import Route, Style

CHAT = Route("/v1/chat/completions", Style.OPENAI)
GOOGLE = Route("/v1beta/models/gemini:generateContent", Style.GOOGLE, model="gemini")
COMPLETIONS = Route("/v1/completions", Style.OPENAI)
FORM = Route("/v1/audio/transcriptions", Style.OPENAI, is_form=True)


def _of(found: object, route: Route = CHAT, own_names: frozenset[str] = frozenset()) -> Said:
    return requests.of_json(route, json.dumps(found).encode(), own_names)


def _refusal(found: object, route: Route = CHAT, own_names: frozenset[str] = frozenset()) -> tuple[int, str]:
    with pytest.raises(Bad) as caught:
        _of(found, route, own_names)
    return caught.value.problem.status, caught.value.problem.code


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer sk-1"},
        {"authorization": "bearer  sk-1 "},
        {"x-api-key": "sk-1"},
        {"x-goog-api-key": "sk-1"},
        {"authorization": "Basic abc", "x-api-key": "sk-1"},
        {"authorization": "Bearer ", "x-goog-api-key": "sk-1"},
    ],
)
def test_the_key_is_found_where_a_client_puts_it(headers: dict[str, str]) -> None:
    assert requests.key_of(headers, {}) == "sk-1"


@pytest.mark.parametrize(
    ("headers", "query", "words"),
    [
        ({}, {}, "No API key was sent"),
        ({"authorization": "Basic abc"}, {}, "No API key was sent"),
        ({}, {"key": "sk-1"}, "must not stand in the address"),
        ({"x-api-key": "sk-" + "1" * 500}, {}, "not an API key"),
        ({"x-api-key": "sk-\u00e9"}, {}, "not an API key"),
        ({"x-api-key": "sk-\x01"}, {}, "not an API key"),
    ],
)
def test_no_key_is_no_call(headers: dict[str, str], query: dict[str, str], words: str) -> None:
    with pytest.raises(Bad, match=words) as caught:
        requests.key_of(headers, query)
    assert caught.value.problem.status == 401
    assert "sk-1" not in caught.value.problem.message


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "nonsense", None),
        ("", "198.51.100.7", None),
    ],
)
def test_an_address_is_believed_of_proxies_only(peer: str, forwarded: str, found: str | None) -> None:
    trusted = [ipaddress.ip_network("10.0.0.0/8")]
    assert requests.client_ip(peer, forwarded, trusted) == found


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nothing", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', '{"model": "m"}'.encode("utf-16")],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Bad) as caught:
        requests.of_json(CHAT, body)
    assert (caught.value.problem.status, caught.value.problem.code) == (400, "invalid_json")


@pytest.mark.parametrize("found", [[], "gpt-4o", 1, None])
def test_what_is_no_object_is_refused(found: object) -> None:
    assert _refusal(found) == (400, "invalid_json")


@pytest.mark.parametrize("model", [None, "", 5, ["gpt-4o"], {"a": 1}, True, "x" * 201])
def test_a_model_is_a_name(model: object) -> None:
    assert _refusal({"model": model}) == (400, "invalid_model")


def test_the_model_in_the_address_is_the_one_that_is_called() -> None:
    assert _refusal({"model": "gemini-dear", "contents": []}, GOOGLE) == (400, "invalid_model")
    assert _of({"model": "gemini", "contents": []}, GOOGLE).model == "gemini"
    assert _of({"contents": []}, GOOGLE).model == "gemini"


@pytest.mark.parametrize(
    "name",
    [
        "api_base",
        "api_key",
        "fallbacks",
        "model_list",
        "user_config",
        "mock_response",
        "mock_anything",
        "no-log",
        "litellm_anything",
        "extra_body",
        "timeout",
        "num_retries",
        "_private",
        "aws_role_name",
        "disable_global_guardrails",
    ],
)
def test_litellm_can_not_be_steered(name: str) -> None:
    assert _refusal({"model": "m", name: None}) == (400, "unsupported_parameter")
    with pytest.raises(Bad):
        requests.of_form(FORM, {"model": "m", name: object()})


def test_what_litellm_takes_for_itself_is_refused_whatever_it_is_called() -> None:
    own = frozenset({"some_new_thing"})
    assert _refusal({"model": "m", "some_new_thing": 1}, own_names=own) == (400, "unsupported_parameter")
    assert _of({"model": "m", "some_new_thing": 1}).model == "m"


@pytest.mark.parametrize("metadata", ["{}", 1, [], {"tags": ["a"]}, {"a": {"b": 1}}, {"a": 1}])
def test_metadata_is_words(metadata: object) -> None:
    assert _refusal({"model": "m", "metadata": metadata}) == (400, "invalid_metadata")


@pytest.mark.parametrize("name", ["user_api_key_auth_metadata", "turn_off_message_logging", "litellm_x"])
def test_metadata_does_not_steer(name: str) -> None:
    assert _refusal({"model": "m", "metadata": {name: "x"}}) == (400, "invalid_metadata")


def test_metadata_of_words_passes() -> None:
    for metadata in (None, {}, {"user_id": "u1", "other": None}):
        assert _of({"model": "m", "metadata": metadata}).model == "m"
    with pytest.raises(Bad):
        requests.of_form(FORM, {"model": "m", "metadata[tags]": "a"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service_tier", "priority"),
        ("service_tier", ["priority"]),
        ("speed", "fast"),
        ("inference_geo", "us"),
        ("background", True),
        ("background", 1),
    ],
)
def test_what_costs_more_than_our_price_is_refused(name: str, value: object) -> None:
    assert _refusal({"model": "m", name: value}) == (400, "unsupported_parameter")


@pytest.mark.parametrize(
    ("name", "value"),
    [("service_tier", "auto"), ("service_tier", None), ("speed", "standard"), ("background", "transparent")],
)
def test_what_costs_no_more_passes(name: str, value: object) -> None:
    assert _of({"model": "m", name: value}).model == "m"


@pytest.mark.parametrize("stream", [1, 0, "true", [], 1.0])
def test_stream_is_true_or_false(stream: object) -> None:
    assert _refusal({"model": "m", "stream": stream}) == (400, "invalid_stream")


def test_a_stream_is_known_from_body_address_or_form() -> None:
    assert _of({"model": "m", "stream": True}).is_stream
    assert not _of({"model": "m", "stream": False}).is_stream
    assert not _of({"model": "m", "stream": None}).is_stream
    with pytest.raises(Bad, match="stream is not offered here"):
        requests.of_form(FORM, {"model": "m", "stream": "true"})
    with pytest.raises(Bad, match="stream is not offered here"):
        _of({"model": "m", "stream": True}, Route("/v1/images/generations", Style.OPENAI))
    stream = Route("/v1beta/models/m:streamGenerateContent", Style.GOOGLE, model="m", is_stream=True)
    assert _of({}, stream).is_stream


def test_a_prompt_is_estimated_at_four_characters_a_token() -> None:
    said = _of({"model": "m" * 40, "messages": [{"role": "user", "content": "word " * 800}]})
    assert said.input_tokens == 1000 + 1 + 1 + 2  # The text, "user", "role" and "content".


@pytest.mark.parametrize("content", ["data:image/png;base64," + "A" * 4_000_000, "A" * 4_000_000])
def test_a_picture_is_not_taken_for_text(content: str) -> None:
    said = _of({"model": "m", "messages": [{"image_url": {"url": content}}]})
    assert said.input_tokens is not None
    assert 1000 <= said.input_tokens < 1020


def test_a_text_that_looks_like_a_file_is_text() -> None:
    for text in ("data:" + "A" * 400_000, "A" * 400_000):
        said = _of({"model": "m", "messages": [{"role": "user", "content": text}]})
        assert (said.input_tokens or 0) > 100_000


@pytest.mark.parametrize("name", ["fallbacks[]", "api_base[]", "num_retries[]"])
def test_brackets_of_a_form_hide_nothing(name: str) -> None:
    with pytest.raises(Bad, match="can't be set here"):
        requests.of_form(FORM, {"model": "m", name: "other"})


@pytest.mark.parametrize("name", ["service_tier", "serviceTier"])
def test_what_is_dearer_is_refused_in_any_spelling(name: str) -> None:
    with pytest.raises(Bad, match=f"{name} can't be"):
        _of({"model": "m", name: "priority"})


@pytest.mark.parametrize(
    "options",
    [{}, {"stream_options": None}, {"stream_options": {}}, {"stream_options": {"include_usage": False}}],
)
def test_the_usage_of_an_older_stream_is_asked_for_where_the_client_does_not(options: dict[str, Any]) -> None:
    body = {"model": "m", "prompt": "a", "stream": True, **options}
    said = _of(body, COMPLETIONS)
    assert said.instead is not None
    assert json.loads(said.instead) == {**body, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "body", [{"stream": False}, {"stream": True, "stream_options": {"include_usage": True}}]
)
def test_what_is_counted_anyway_is_passed_on_as_it_is(body: dict[str, Any]) -> None:
    assert _of({"model": "m", **body}, COMPLETIONS).instead is None
    assert _of({"model": "m", "stream": True}).instead is None


def test_options_of_a_stream_are_an_object() -> None:
    assert _refusal({"model": "m", "stream_options": "x"}) == (400, "unsupported_parameter")


TOKENS, SEARCHED = frozenset({"input_tokens", "output_tokens"}), frozenset({"output_tokens", "web_searches"})
MESSAGES = Route("/v1/messages", Style.ANTHROPIC)


def _check(
    body: dict[str, Any],
    units: frozenset[str],
    route: Route = MESSAGES,
    *,
    model: str = "m",
    provider: str = "anthropic",
) -> None:
    requests.check_priced(route, Said(model, False, None, None, body), units, provider)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "f"},
        {"name": "f", "input_schema": {}},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"functionDeclarations": [{"name": "f"}]},
        {"type": "shell", "environment": {"type": "local"}},
    ],
)
def test_tools_of_the_clients_own_are_passed_on(tool: dict[str, Any]) -> None:
    _check({"tools": [tool]}, TOKENS)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "advisor_20260301", "name": "a", "model": "dear", "max_uses": 9}]},
        {"tools": [{"name": "f"}, {"type": "code_execution_20250825", "name": "c"}]},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "web_search_20250305", "name": "w"}]},
        {"tools": [{"type": "file_search"}]},
        {"tools": [{"type": "mcp", "server_url": "https://example.com"}]},
        {"tools": [{"googleSearch": {}}]},
        {"tools": [{"codeExecution": {}}]},
        {"tools": ["advisor_20260301"]},
        {"web_search_options": {"search_context_size": "high"}},
        {"search_parameters": {"mode": "on"}},
        {"mcp_servers": [{"url": "https://example.com"}]},
        {"tools": {"googleMaps": {}}},
        {"tools": [{"type": "function", "googleMaps": {}}]},
        {"tools": [{"type": "custom", "name": "f", "codeExecution": {}}]},
        {"tools": [{"name": "f", "urlContext": {}}]},
        {"tools": [{"type": "shell"}]},
        {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]},
    ],
)
def test_what_a_provider_runs_uncounted_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Bad, match="Not offered here"):
        _check(body, TOKENS)


def test_a_search_with_a_price_is_passed_on() -> None:
    tools: list[dict[str, Any]] = [{"type": "web_search_20250305", "name": "w"}, {"googleSearch": {}}]
    for tool in tools:
        _check({"tools": [tool]}, SEARCHED)
    _check({"web_search_options": {"search_context_size": "low"}}, SEARCHED)
    with pytest.raises(Bad, match="the tool advisor"):
        _check({"tools": [{"type": "advisor_20260301", "name": "a"}]}, SEARCHED)


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "web_search_20250305", "name": "w"}]},
        {"tools": [{"type": "web_search_2025_08_26"}]},
        {"web_search_options": {}, "search_parameters": {"mode": "on"}},
    ],
)
def test_a_search_that_its_provider_does_not_count_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Bad, match="Not offered here"):
        _check(body, SEARCHED, provider="openai")


def test_a_search_hides_no_other_tool() -> None:
    with pytest.raises(Bad, match="the tool googleMaps"):
        _check({"tools": [{"type": "web_search_20250305", "googleMaps": {}}]}, SEARCHED)


@pytest.mark.parametrize(
    "model", ["gpt-4o-search-preview", "gpt-5-search-api", "gpt-4o-search-preview-2025-03-11"]
)
def test_a_model_that_always_searches_has_a_price_for_it(model: str) -> None:
    with pytest.raises(Bad, match="whose searches have no price"):
        _check({}, TOKENS, model=model)
    _check({}, SEARCHED, model=model)


def test_speech_that_nobody_counts_is_refused() -> None:
    speech = Route("/v1/audio/speech", Style.OPENAI)
    _check({}, frozenset({"characters"}), speech)
    with pytest.raises(Bad, match="the speech of this model"):
        _check({}, TOKENS, speech)


def test_a_text_without_spaces_is_one() -> None:
    assert _of({"model": "m", "input": "\u4f60" * 8000}).input_tokens == 2000


def test_depths_without_end_are_no_trouble() -> None:
    found: Any = "x" * 400
    for _ in range(200):
        found = [found]
    assert _of({"model": "m", "messages": found}).input_tokens == 100


def test_of_values_without_end_the_size_is_what_is_estimated() -> None:
    picture = {"url": "A" * 400_000}
    assert (_of({"model": "m", "messages": [picture, *[""] * 10_000]}).input_tokens or 0) < 2000
    assert (_of({"model": "m", "messages": [picture, *[""] * 30_000]}).input_tokens or 0) > 100_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"model":"m","messages":[' + b"[]," * 300_000 + b"[]]}", "too_many_values"),
        (b'{"model":"m","messages":[' + b'{"a":1},' * 300_000 + b"{}]}", "too_many_values"),
        (b'{"model":"m","messages":[' + b"1," * 600_000 + b"1]}", "too_many_values"),
        (json.dumps(dict.fromkeys(map(str, range(1001)), 1)).encode(), "too_many_fields"),
        (json.dumps({"metadata": dict.fromkeys(map(str, range(1001)), "")}).encode(), "too_many_fields"),
        (json.dumps({"tools": [{"name": "f"}] * 1001}).encode(), "too_many_fields"),
    ],
)
def test_what_would_take_long_to_look_at_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Bad) as bad:
        requests.of_json(CHAT, body)
    assert (bad.value.problem.status, bad.value.problem.code) == (400, code)


def test_a_long_name_is_not_looked_at_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(requests, "_in_snake_case", lambda name: seen.append(len(name)))
    _of({"model": "m", "aB" * 1_000_000: 1})
    assert max(seen) < 1000


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({}, None),
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 30, "max_tokens": 20}, 20),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"generationConfig": {"maxOutputTokens": 7}}, 7),
        ({"max_tokens": -1}, None),
        ({"max_tokens": "10"}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": 10**12}, None),
        ({"max_tokens": 100_000_000, "n": 128}, 100_000_000),
        ({"max_tokens": 10, "n": 10**9}, 10),
    ],
)
def test_how_much_may_be_answered(more: dict[str, object], most: int | None) -> None:
    assert _of({"model": "m", **more}).max_output_tokens == most


def test_a_form_is_read_without_its_files() -> None:
    said = requests.of_form(FORM, {"model": "whisper-1", "file": object(), "prompt": "abcd"})
    assert (said.model, said.input_tokens, said.body) == (
        "whisper-1",
        1,
        {"model": "whisper-1", "prompt": "abcd"},
    )
    with pytest.raises(Bad):
        requests.of_form(FORM, {"model": object()})


@pytest.mark.parametrize("form", ["srt", "text", "vtt"])
def test_a_form_asks_for_an_answer_that_tells_what_it_costs(form: str) -> None:
    with pytest.raises(Bad):
        requests.of_form(FORM, {"model": "whisper-1", "response_format": form})
    assert requests.of_form(FORM, {"model": "whisper-1", "response_format": "json"}).model == "whisper-1"


@pytest.mark.parametrize(
    "field", [{"response_format[]": "text"}, {"stream": "True"}, {"stream[]": "true"}, {"stream": "1"}]
)
def test_no_spelling_of_a_form_leads_around_what_it_costs(field: dict[str, str]) -> None:
    with pytest.raises(Bad) as caught:
        requests.of_form(FORM, {"model": "whisper-1", **field})
    assert caught.value.problem.code == "unsupported_parameter"


def test_a_form_has_each_field_once() -> None:
    with pytest.raises(Bad, match="a field twice"):
        requests.of_form(FORM, {"model": "a", "model[]": "b"})


def test_a_file_in_place_of_a_word_is_refused() -> None:
    with pytest.raises(Bad, match="service_tier can't be"):
        requests.of_form(FORM, {"model": "m", "service_tier": object()})


def test_a_long_context_that_we_have_no_prices_for_is_not_asked_for() -> None:
    beta = b"context-1m-2025-08-07, extended-cache-ttl-2025-04-11"
    assert requests.without_long_context(beta) == b"extended-cache-ttl-2025-04-11"


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/v1/chat/completions", "seconds"),
        ("/v1/messages", "images"),
        ("/v1/responses", "input_tokens"),
        ("/v1/images/generations", "input_tokens"),
    ],
)
def test_a_model_is_called_where_what_it_makes_is_made(path: str, unit: str) -> None:
    route = Route(path, Style.OPENAI)
    with pytest.raises(Bad, match="m can't be called at this address"):
        _check({}, frozenset({unit}), route)
    _check({}, frozenset({unit, "calls"}), route)
    # The price list was not read yet; the dashboard knows.
    _check({}, frozenset(), route)


def test_a_google_model_may_make_pictures_at_its_address() -> None:
    _check({}, frozenset({"images"}), GOOGLE)
    with pytest.raises(Bad, match="can't be called at this address"):
        _check({}, frozenset({"seconds"}), GOOGLE)


def test_a_picture_may_be_sold_by_its_tokens() -> None:
    _check({}, frozenset({"input_tokens", "output_tokens"}), Route("/v1/images/generations", Style.OPENAI))


def test_messages_are_a_list() -> None:
    assert _refusal({"model": "m", "messages": "hi"}) == (400, "invalid_messages")
