"""The two places where LiteLLM asks others: who may call (`custom_auth`), and what became of a call (`CustomLogger`).

Who may call was settled at the door. What LiteLLM tells of a call arrives in the context of its request, so nothing that a
client sends can attach it to another one. A call's failure is told for each attempt; only the answer shows which was the
last, so the door ends calls that fail.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.types.utils import all_litellm_params

from gateway import answers, usage
from gateway.calls import CURRENT, Call
from gateway.requests import always_searches

log = logging.getLogger("gateway.adapter")

# What LiteLLM takes for itself of a request's body, whatever this version of it calls that. All but OpenAI's own.
OWN_NAMES = frozenset(all_litellm_params) - {"metadata"}
# Of a sound at 32 kbit/s, as speech is often sent; and what OpenAI counts for it.
BYTES_OF_A_SECOND = 4_000
TOKENS_OF_A_SECOND = 17
COUNTS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


async def admitted(request: Any, api_key: str) -> UserAPIKeyAuth:
    """Only what the door let in; LiteLLM's other addresses are not reached, and would be refused here."""
    call = CURRENT.get()
    if call is None or api_key.removeprefix("Bearer ") != f"sk-{call.call_id}":
        raise ProxyException(message="No call was let in here.", type="auth_error", param=None, code=401)
    # By the user LiteLLM keeps to each what the Responses API stored for him.
    return UserAPIKeyAuth(api_key=api_key, user_id=f"wallet-{call.wallet_id}")


class Outcomes(CustomLogger):  # type: ignore[misc]  # LiteLLM is not installed where types are checked
    """Ends a call with what its provider counted."""

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        call = CURRENT.get()
        if call is None or call.is_over:
            return
        try:
            told = _dumped(response_obj)
            if told.get("data") == [] and call.endpoint.startswith("/v1/images/"):
                await call.failed("The provider's answer has no image.")
                return
            used, is_estimated = _used(call, told)
        except Exception:
            # The door estimates it.
            log.exception("What call %s used can't be read.", call.call_id)
            return
        await call.succeeded(used, upstream_id=str(told.get("id") or ""), is_estimated=is_estimated)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        if call := CURRENT.get():
            error = kwargs.get("exception")
            status = getattr(error, "status_code", 500)
            said = answers.sentence(str(error or "").encode())
            if isinstance(status, int) and answers.is_ours(status, said):
                log.error("The provider refused call %s: %r", call.call_id, said[:1000])
            call.failure = answers.of_upstream(status if isinstance(status, int) else 500, said).message
            call.retry_after = _retry_after(kwargs.get("exception"))

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> Any:
        """Takes out of an answer the fields that LiteLLM adds and that say nothing."""
        for choice in getattr(response, "choices", None) or ():
            for place in (choice, getattr(choice, "message", None)):
                fields = getattr(place, "provider_specific_fields", None)
                if place is not None and isinstance(fields, dict) and not any(fields.values()):
                    place.provider_specific_fields = None
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Leaves out the part that has the usage, where we asked for it and the client did not."""
        call = CURRENT.get()
        async for chunk in response:
            # By LiteLLM's prices, which are not what is charged; the Responses API has its usage one level down.
            for told in (chunk, getattr(chunk, "response", None)):
                used = getattr(told, "usage", None)
                if used is not None and getattr(used, "cost", None) is not None:
                    used.cost = None
            if call is None or not call.hides_usage or getattr(chunk, "choices", True):
                yield chunk


outcomes = Outcomes()
# Else LiteLLM fills in its own count where a provider told none, and nobody could tell which it is.
litellm.disable_token_counter = True


def _retry_after(error: Any) -> str:
    """Of the provider's answer, which LiteLLM keeps with its exception in one of these places."""
    places = (error, getattr(error, "response", None))
    for place in places:
        for name in ("litellm_response_headers", "headers"):
            headers = getattr(place, name, None)
            found = headers.get("retry-after") if headers else None
            if found and len(found) < 40 and found.isascii() and found.isprintable():
                return str(found)
    return ""


def _used(call: Call, told: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
    """Quantities by unit, and whether they are estimated."""
    is_sold_by_tokens = not call.priced_units or bool(call.priced_units & {"input_tokens", "output_tokens"})
    if not is_sold_by_tokens:
        return _by_use(call, told)
    counted = told.get("usage") or {}
    if not any(counted.get(name) for name in COUNTS):
        # So LiteLLM tells that a provider said nothing.
        return _of_tokens(call, _counted_by_us(call, told)), True
    is_estimated = False
    if not (counted.get("prompt_tokens") or counted.get("input_tokens")):
        # LiteLLM counted what was said, and does not look for the prompt where Google's format has it.
        counted, is_estimated = {**counted, **_prompt_by_us(call)}, True
    return _of_tokens(call, counted), is_estimated


def _of_tokens(call: Call, counted: Mapping[str, Any]) -> dict[str, int]:
    least_searches = 1 if always_searches(call.model) else 0
    return usage.of_tokens(counted, call.priced_units, least_searches=least_searches)


def _by_use(call: Call, told: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
    data = told.get("data")
    text = call.body.get("input")
    seconds, is_estimated = _seconds(call, told)
    found = usage.of_use(
        call.priced_units,
        images=len(data) if isinstance(data, list) else 1,
        seconds=seconds,
        characters=len(text if isinstance(text, str) else str(text or "")),
    )
    return found, is_estimated and "seconds" in found


def _seconds(call: Call, told: Mapping[str, Any]) -> tuple[float, bool]:
    """How long a sound is: as the provider says it, else by its size, and then True."""
    counted = told.get("usage") or {}
    for found in (counted.get("seconds"), told.get("duration")):
        if isinstance(found, int | float) and 0 < found < 1_000_000:
            return float(found), False
    return call.asked_bytes / BYTES_OF_A_SECOND, True


def _counted_by_us(call: Call, told: Mapping[str, Any]) -> dict[str, int]:
    return {**_prompt_by_us(call), "completion_tokens": _tokens(call.model, text=_text(told))}


def _tokens(model: str, **what: Any) -> int:
    """Of a text or of messages, by LiteLLM's tokenizer."""
    litellm.disable_token_counter = False
    try:
        return int(litellm.token_counter(model=model, **what))
    finally:
        litellm.disable_token_counter = True


def _prompt_by_us(call: Call) -> dict[str, int]:
    messages = call.body.get("messages")
    if isinstance(messages, list):
        return {"prompt_tokens": _tokens(call.model, messages=messages)}
    heard = 0
    if call.endpoint.startswith("/v1/audio/t"):
        heard = call.asked_bytes // BYTES_OF_A_SECOND * TOKENS_OF_A_SECOND
    return {"prompt_tokens": call.expected_tokens + heard}


def _text(told: Mapping[str, Any]) -> str:
    """All that the model said."""
    parts = [told.get("text")]
    for item in told.get("output") or []:
        parts += [content.get("text") for content in item.get("content") or []]
        parts.append(item.get("arguments"))
    for choice in told.get("choices") or []:
        message = choice.get("message") or {}
        parts += [choice.get("text"), message.get("content"), message.get("reasoning_content")]
        parts += [call.get("function", {}).get("arguments") for call in message.get("tool_calls") or []]
    return "\n".join(part for part in parts if isinstance(part, str))


def _dumped(found: Any) -> dict[str, Any]:
    """As plain data. A usage by itself: it may be of another class than the answer declares, which drops its fields."""
    if isinstance(found, Mapping):
        told, used = dict(found), found.get("usage")
    else:
        dump = getattr(found, "model_dump", None)
        told, used = (dump() if dump else {}), getattr(found, "usage", None)
    dump_used = getattr(used, "model_dump", None)
    told["usage"] = dump_used() if dump_used else used
    return told
