"""Errors, as the clients of three formats read them."""

import json
from typing import Any

import pytest

from gateway import answers
from gateway.answers import Problem
from gateway.metering import Refused
from gateway.routes import Style

OPENAI, ANTHROPIC, GOOGLE = Style.OPENAI, Style.ANTHROPIC, Style.GOOGLE


def _read(problem: Problem, style: Style) -> tuple[int, dict[str, str], Any]:
    status, headers, body = answers.written(problem, style)
    return status, headers, json.loads(body)


@pytest.mark.parametrize(
    ("code", "status", "openai", "anthropic", "google"),
    [
        (
            "invalid_key",
            401,
            (401, "invalid_request_error", "invalid_api_key"),
            (401, "authentication_error"),
            (401, "UNAUTHENTICATED"),
        ),
        (
            "insufficient_balance",
            402,
            (429, "insufficient_quota", "insufficient_quota"),
            (402, "billing_error"),
            (429, "RESOURCE_EXHAUSTED"),
        ),
        (
            "key_limit_reached",
            429,
            (429, "insufficient_quota", "insufficient_quota"),
            (429, "rate_limit_error"),
            (429, "RESOURCE_EXHAUSTED"),
        ),
        (
            "model_not_allowed",
            403,
            (403, "invalid_request_error", "model_not_allowed"),
            (403, "permission_error"),
            (403, "PERMISSION_DENIED"),
        ),
        (
            "model_not_found",
            404,
            (404, "invalid_request_error", "model_not_found"),
            (404, "not_found_error"),
            (404, "NOT_FOUND"),
        ),
        (
            "rate_limited",
            429,
            (429, "rate_limit_error", "rate_limit_exceeded"),
            (429, "rate_limit_error"),
            (429, "RESOURCE_EXHAUSTED"),
        ),
    ],
)
def test_a_refusal_in_three_formats(
    code: str,
    status: int,
    openai: tuple[int, str, str],
    anthropic: tuple[int, str],
    google: tuple[int, str],
) -> None:
    refused = Refused(status, code, "No.")
    told, _, body = _read(answers.refusal(refused, OPENAI), OPENAI)
    assert (told, body["error"]["type"], body["error"]["code"]) == openai
    assert body["error"]["message"] == "No."
    told, _, body = _read(answers.refusal(refused, ANTHROPIC), ANTHROPIC)
    assert (told, body["error"]["type"]) == anthropic
    assert (body["type"], body["error"]["message"]) == ("error", "No.")
    told, _, body = _read(answers.refusal(refused, GOOGLE), GOOGLE)
    assert (told, body["error"]["status"]) == google
    assert body["error"]["code"] == told


def test_what_passes_says_when_and_what_does_not_says_never() -> None:
    _, headers, _ = _read(answers.refusal(Refused(429, "rate_limited", "Slow.", 30), OPENAI), OPENAI)
    assert headers["retry-after"] == "30"
    assert "x-should-retry" not in headers
    _, headers, _ = _read(answers.refusal(Refused(402, "insufficient_balance", "No."), OPENAI), OPENAI)
    assert "retry-after" not in headers
    assert headers["x-should-retry"] == "false"


def test_while_the_dashboard_is_away_the_client_is_told_to_come_back() -> None:
    status, headers, body = _read(answers.away(), ANTHROPIC)
    assert (status, headers["retry-after"], body["error"]["type"]) == (503, "5", "overloaded_error")


@pytest.mark.parametrize(
    ("upstream", "status", "code"),
    [
        (400, 400, "invalid_request"),
        (401, 502, "upstream_error"),
        (402, 502, "upstream_error"),
        (403, 502, "upstream_error"),
        (404, 502, "upstream_error"),
        (408, 504, "upstream_timeout"),
        (422, 422, "invalid_request"),
        (429, 429, "rate_limit_exceeded"),
        (500, 502, "upstream_error"),
        (503, 503, "upstream_error"),
        (529, 529, "upstream_error"),
    ],
)
def test_what_the_provider_said_is_not_taken_for_our_own_refusal(
    upstream: int, status: int, code: str
) -> None:
    problem = answers.of_upstream(upstream, "It said so.")
    assert (problem.status, problem.code) == (status, code)
    # What it says of our account is not for customers.
    ours = {504: "took too long.", 502: "refused the call." if upstream != 500 else "It said so."}
    assert problem.message.endswith(ours.get(status, "It said so."))


def test_a_status_without_a_type_is_still_an_error_of_each_format() -> None:
    for style, kind in ((OPENAI, "server_error"), (ANTHROPIC, "api_error")):
        assert _read(Problem(520, "upstream_error", "Busy."), style)[2]["error"]["type"] == kind
    assert _read(Problem(418, "teapot", "No."), ANTHROPIC)[2]["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "said",
    [
        '{"error": {"message": "It broke.", "type": "server_error"}}',
        'litellm.InternalServerError: {"error": {"message": "It broke."}}. Handle with `litellm.InternalServerError`.',
        "Error calling litellm.acompletion for generate_content: litellm.RateLimitError: It broke.",
        '{"message": "It broke."}',
        '{"error": "It broke."}',
    ],
)
def test_an_error_inside_an_error_is_unwrapped(said: str) -> None:
    assert answers.plain(said) == "It broke."


def test_what_is_no_error_of_any_format_is_told_whole() -> None:
    assert answers.sentence(b"<h1>Bad</h1>") == "<h1>Bad</h1>"
    assert answers.sentence(b'{"detail": [1]}') == "[1]"
    missing = b'{"detail": [{"loc": ["body", "file"], "msg": "Field required"}]}'
    assert answers.sentence(missing) == "file: Field required"
    assert answers.plain("{not JSON") == "{not JSON"


def test_litellm_does_not_speak_of_itself() -> None:
    said = (
        "litellm.RateLimitError: RateLimitError: OpenAIException - Too many requests.\n"
        "Available Model Group Fallbacks=None\nLiteLLM: more"
    )
    assert answers.plain(said) == "Too many requests."
    body = 'AnthropicException - {"error": {"message": "It broke.", "type": "server_error"}}'
    assert answers.plain(
        f"litellm.InternalServerError: {body}. Handle with `litellm.InternalServerError`."
    ) == ("It broke.")
    assert answers.plain("x" * 5000) == "x" * 1000


def test_an_answer_that_litellm_can_not_read_is_not_quoted() -> None:
    said = "Error converting to valid response block=usage not found. Got={'text': 'all of the answer'}"
    problem = answers.of_upstream(422, said)
    assert (problem.status, problem.message) == (502, "The provider's answer can't be read.")


def test_what_has_no_words_gets_some() -> None:
    assert answers.of_upstream(500, "").message == "The provider failed: Bad Gateway"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Your credit balance is too low to access the API. Please go to Plans & Billing."),
        (429, "You exceeded your current quota, please check your plan and billing details."),
    ],
)
def test_that_our_own_account_is_empty_is_not_the_clients_to_read(status: int, said: str) -> None:
    problem = answers.of_upstream(status, said)
    assert (problem.status, problem.message) == (502, "The provider of this model refused the call.")


@pytest.mark.parametrize("place", ["5", "{}", "null", "[]"])
def test_a_place_that_is_no_list_is_no_trouble(place: str) -> None:
    assert (
        answers.sentence(f'{{"detail": [{{"loc": {place}, "msg": "is wrong"}}]}}'.encode()) == "?: is wrong"
    )


def test_a_failure_of_google_is_told_without_pythons_names() -> None:
    said = 'litellm.InternalServerError: GeminiException InternalServerError - {"error": {"message": "It broke."}}'
    assert answers.of_upstream(500, said).message == "The provider failed: It broke."


@pytest.mark.parametrize(
    ("part", "style", "told"),
    [
        (
            b'data: {"error": {"message": "litellm.APIConnectionError: OpenAIException - Broke."}}\n\n',
            OPENAI,
            b'data: {"error": {"message": "The provider failed: Broke.", "type": "server_error"',
        ),
        (
            b'event: error\ndata: {"type": "error", "error": {"message": "Your credit balance is too low."}}\n\n',
            ANTHROPIC,
            b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "The provider of this model',
        ),
        (
            b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"billing"}}}\n\n',
            OPENAI,
            b'event: response.failed\ndata: {"type": "response.failed", "response": {"error": {"message": "The provider of',
        ),
    ],
)
def test_a_failure_in_a_stream_is_told_in_our_words(part: bytes, style: Style, told: bytes) -> None:
    found = answers.in_stream(part, style)
    assert found.startswith(told)
    assert found.endswith(b"\n\n")
    assert b"litellm" not in found
    assert b"quota" not in found
    assert b"billing" not in found


@pytest.mark.parametrize(
    "part", [b"", b"data: [DONE]\n\n", b'data: {"choices": []}\n\n', b'data: {"error": half']
)
def test_the_rest_of_a_stream_is_passed_on_as_it_is(part: bytes) -> None:
    assert answers.in_stream(part, OPENAI) == part
