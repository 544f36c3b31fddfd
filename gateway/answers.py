"""Errors in the format of the API that was called, as its own clients expect them."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus

from gateway.metering import Refused
from gateway.routes import Style

AWAY_RETRY_S = 5
# By these a provider refuses our own key, account or name of the model.
OURS = (401, 402, 403, 404)


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, before it is written in a format. `code` is OpenAI's where OpenAI has one."""

    status: int
    code: str
    message: str
    retry_after_s: int | None = None
    is_final: bool = False
    """Whether to send the same again is no use, which OpenAI's clients otherwise do by themselves."""
    allow: str = ""
    """The methods that the address takes, of one that it doesn't."""


# So they say that it has no money left.
_OUR_ACCOUNT = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|billing|over its quota", re.IGNORECASE
)


# OpenAI's `type`, Anthropic's `type` and Google's `status`, by the status of the answer.
_TYPES = {
    400: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    401: ("invalid_request_error", "authentication_error", "UNAUTHENTICATED"),
    402: ("insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"),
    403: ("invalid_request_error", "permission_error", "PERMISSION_DENIED"),
    404: ("invalid_request_error", "not_found_error", "NOT_FOUND"),
    405: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    408: ("timeout_error", "timeout_error", "DEADLINE_EXCEEDED"),
    413: ("invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    415: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    422: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    429: ("rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    503: ("server_error", "overloaded_error", "UNAVAILABLE"),
    504: ("timeout_error", "timeout_error", "DEADLINE_EXCEEDED"),
    # Anthropic's own.
    529: ("server_error", "overloaded_error", "UNAVAILABLE"),
}
_ELSE = ("server_error", "api_error", "INTERNAL")
# How a part of a stream begins that says that the provider failed.
_FAILURES = (
    b'data: {"error"',
    b"event: error",
    b"event: response.failed",
    b'data: {"type":"response.failed"',
)
# Names of Python's, before what was said.
_CLASSES = re.compile(
    r"^(?:Invalid request format: *|\w+Exception \w+Error - |Error calling litellm\.\w+ for \w+: *"
    r"|(?:litellm\.)?\w+(?:Error|Exception)(?::| -) *)+"
)
_UNKNOWN_RESPONSE = "This response id was not issued by this proxy"
_UNREADABLE = "Error converting to valid response"
_HINTS = re.compile(r"\.? *Handle with `litellm\.\w+`\.?")
# Of the metering API's codes, what OpenAI calls the same.
_CODES = {"invalid_key": "invalid_api_key", "rate_limited": "rate_limit_exceeded"}
# Where more money is what is missing, OpenAI's clients look for 429 and this code; Anthropic's have a status of their own.
_NO_FUNDS = {"insufficient_balance", "key_limit_reached"}


def refusal(refused: Refused, style: Style) -> Problem:
    """What the metering API said, for the client."""
    code, status = _CODES.get(refused.code, refused.code), refused.status
    if refused.code in _NO_FUNDS:
        status = 402 if style is Style.ANTHROPIC and refused.status == 402 else 429
        code = "insufficient_quota"
    is_final = refused.retry_after_s is None
    return Problem(status, code, refused.message, refused.retry_after_s, is_final=is_final)


def away() -> Problem:
    """The dashboard does not answer, so nobody can be let in."""
    message = "Calls can't be let in at the moment. Nothing was charged; try again in a few seconds."
    return Problem(503, "service_unavailable", message, AWAY_RETRY_S)


def written(problem: Problem, style: Style) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    types = _TYPES.get(problem.status, _ELSE if problem.status >= 500 else _TYPES[400])
    openai, anthropic, google = types
    body: object
    if style is Style.ANTHROPIC:
        body = {"type": "error", "error": {"type": anthropic, "message": problem.message}}
    elif style is Style.GOOGLE:
        body = {"error": {"code": problem.status, "message": problem.message, "status": google}}
    else:
        kind = "insufficient_quota" if problem.code == "insufficient_quota" else openai
        body = {"error": {"message": problem.message, "type": kind, "param": None, "code": problem.code}}
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.allow:
        headers["allow"] = problem.allow
    if problem.is_final:
        headers["x-should-retry"] = "false"
    return problem.status, headers, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def of_upstream(status: int, message: str) -> Problem:
    """What the provider, or LiteLLM about it, answered instead of a result.

    That our own key, account or model name at the provider is wrong is no mistake of the client's.
    """
    text = plain(message) or HTTPStatus(502).phrase
    if _UNREADABLE in text:
        # LiteLLM would quote the whole answer.
        return Problem(502, "upstream_error", "The provider's answer can't be read.")
    if _UNKNOWN_RESPONSE in text:
        message = "previous_response_id is no id of an answer from here."
        return Problem(400, "previous_response_not_found", message, is_final=True)
    if is_ours(status, text):
        # What it says of our account is the operator's to know.
        return Problem(502, "upstream_error", "The provider of this model refused the call.")
    if status == 429:
        return Problem(429, "rate_limit_exceeded", f"The provider of this model is busy: {text}")
    if status in (408, 504):
        return Problem(504, "upstream_timeout", "The provider of this model took too long.")
    if status < 500:
        return Problem(status, "invalid_request", text, is_final=True)
    return Problem(502 if status == 500 else status, "upstream_error", f"The provider failed: {text}")


def in_stream(part: bytes, style: Style) -> bytes:
    """A part of a stream; the provider's failure in it, and LiteLLM's words about that, in ours."""
    if not part.startswith(_FAILURES):
        return part
    head, mark, data = part.partition(b"data: ")
    try:
        told = json.loads(data)
    except ValueError:
        return part
    problem = of_upstream(500, sentence(data))
    answer = told.get("response") if isinstance(told, dict) else None
    if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict):
        problem = of_upstream(500, str(error.get("message", "")))
        error["message"] = problem.message
        return head + mark + json.dumps(told).encode() + b"\n\n"
    _, _, body = written(problem, style)
    return (b"event: error\n" if style is Style.ANTHROPIC else b"") + mark + body + b"\n\n"


def is_ours(status: int, message: str) -> bool:
    """Whether the provider refused our account, and not the client's request; some do so with 400 or 429."""
    return status in OURS or bool(_OUR_ACCOUNT.search(message))


def plain(message: str) -> str:
    """A message without what LiteLLM says of itself."""
    lines = [
        line for line in message.splitlines() if not line.startswith(("LiteLLM:", "Available Model Group"))
    ]
    text = _HINTS.sub("", _CLASSES.sub("", " ".join(" ".join(lines).split())))
    return (sentence(text.encode()) if text.startswith("{") else text)[:1000]


def sentence(body: bytes) -> str:
    """What an error says, of whichever format; where it has none that is known, all of it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        found = found.get(name, found) if isinstance(found, dict) else found
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        # LiteLLM's own, of a field that is missing.
        return "; ".join(f"{_last(each.get('loc'))}: {each.get('msg', '')}" for each in found)
    return found if isinstance(found, str) else json.dumps(found)


def _last(place: object) -> object:
    return place[-1] if isinstance(place, list) and place else "?"
