"""An upstream for machines without a provider's key: repeats what was said, and says that it is an echo.

It speaks the formats of OpenAI, Anthropic and Google over HTTP, so that everything between is the real thing, and counts
usage as they do, four characters a token. A message may ask for what real upstreams do at bad moments: see DEEDS.
"""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from gateway import echo_google, echo_media, echo_responses
from gateway.asgi import Receive, Scope, Send

DEEDS = {
    "fail with 429": "answers 429 with Retry-After: 7",
    "fail with 500": "answers 500",
    "say no usage": "answers without a usage",
    "count below zero": "answers with a negative usage",
    "count too much": "answers with a usage that no model could have",
    "break off": "ends a stream after five parts with an error that tells of the operator's account",
    "take long": "says a word a tenth of a second, a hundred of them; all of them at once after five seconds",
    "hang": "answers nothing for an hour",
    "cache": "counts a part of the prompt as read from a cache, and one as written to it",
    "reason": "counts some of the completion as reasoning",
    "use a tool": "calls the first of the tools that were offered, with what was said as the place",
}
SAYING = "This is an echo: no provider's key is set, so no model was asked. You said: "
MOST_ECHOED = 2_000
PARTS_BEFORE_BREAKING = 5
PROMPTS = ("messages", "input", "prompt", "contents")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI. The last user message, or the input, is what is repeated."""
    if scope["type"] != "http":
        return
    body = bytearray()
    while (message := await receive()).get("type") == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    asked = _json(bytes(body))
    said = _said(asked)
    path = scope["path"]
    if "hang" in said:
        # Until whoever asked has left.
        with suppress(TimeoutError):
            async with asyncio.timeout(3600):
                await receive()
        return
    if "fail with 429" in said:
        await _answer(
            send, 429, {"error": {"message": "Too many requests.", "type": "rate_limit_error"}}, b"7"
        )
    elif "fail with 500" in said:
        await _answer(send, 500, {"error": {"message": "It broke.", "type": "server_error"}})
    elif "/audio/" in path:
        await _media(send, path, bytes(body), said)
    elif path.endswith("enerateContent"):
        await _google(send, path, asked, said)
    elif path.endswith("/messages"):
        await _tell(send, asked, _anthropic(asked, said), _anthropic_stream(asked, said))
    elif path.endswith("/chat/completions"):
        await _tell(send, asked, _chat(asked, said), _chat_stream(asked, said))
    elif path.endswith("/responses"):
        used = None if "say no usage" in said else _counted(asked, said)
        whole = echo_responses.answer(str(asked.get("model")), "".join(_words(said)).strip(), used)
        await _tell(send, asked, whole, echo_responses.stream(whole, _paced(said)))
    else:
        await _answer(send, 200, _other(path, asked, said))


async def _google(send: Send, path: str, asked: Mapping[str, Any], said: str) -> None:
    model = path.rpartition("/")[2].partition(":")[0]
    used = echo_google.usage(*_counted(asked, said), said)
    whole = echo_google.answer(model, "".join(_words(said)).strip(), used)
    is_stream = ":stream" in path
    await _tell(send, {"stream": is_stream}, whole, echo_google.stream(model, _paced(said), used))


async def _media(send: Send, path: str, body: bytes, said: str) -> None:
    if not path.endswith("/speech"):
        await _answer(send, 200, echo_media.heard(body, SAYING + "what is in this file."))
        return
    sound = echo_media.sound(1 + len(said.split()) // 3)
    kind = [(b"content-type", b"audio/wav")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    for place in range(0, len(sound), 4_000):
        part = sound[place : place + 4_000]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _tell(
    send: Send, asked: Mapping[str, Any], whole: Mapping[str, Any], parts: AsyncIterator[bytes]
) -> None:
    if not asked.get("stream"):
        if "take long" in _said(asked):
            await asyncio.sleep(5)
        await _answer(send, 200, whole)
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    async for part in _broken_off(parts) if "break off" in _said(asked) else parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _broken_off(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    number = 0
    async for part in parts:
        if (number := number + 1) > PARTS_BEFORE_BREAKING:
            break
        yield part
    error = {"type": "api_error", "message": "The account org-echo is over its quota."}
    yield _event({"type": "error", "error": error}, "error")


def _words(said: str) -> list[str]:
    if "take long" in said:
        return [f"word{number} " for number in range(100)]
    return [f"{word} " for word in (SAYING + said[:MOST_ECHOED]).split()]


async def _paced(said: str) -> AsyncIterator[str]:
    for word in _words(said):
        yield word
        await asyncio.sleep(0.1 if "take long" in said else 0)


def _counted(asked: Mapping[str, Any], said: str) -> tuple[int, int]:
    """Tokens of the prompt, and of the completion."""
    if "count below zero" in said:
        return -5, -5
    if "count too much" in said:
        return 10**12, 10**12
    prompt = json.dumps(next((asked[name] for name in PROMPTS if asked.get(name)), ""))
    return max(1, len(prompt) // 4), max(1, len("".join(_words(said))) // 4) * _times(asked)


def _times(asked: Mapping[str, Any]) -> int:
    """How many answers are wanted."""
    wanted = asked.get("n")
    return wanted if type(wanted) is int and 0 < wanted <= 16 else 1


def _openai_usage(asked: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    if "say no usage" in said:
        return None
    prompt, completion = _counted(asked, said)
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if "cache" in said:
        told["prompt_tokens_details"] = {"cached_tokens": prompt // 2}
    if "reason" in said:
        told["completion_tokens_details"] = {"reasoning_tokens": completion // 2}
    return told


def _chat(asked: Mapping[str, Any], said: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_words(said)).strip()}
    finish = "stop"
    if calls := _tool_calls(asked, said):
        message, finish = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    choices = [
        {"index": index, "message": message, "finish_reason": finish} for index in range(_times(asked))
    ]
    told = {**_about(asked, "chat.completion"), "choices": choices}
    used = _openai_usage(asked, said)
    return {**told, "usage": used} if used else told


async def _chat_stream(asked: Mapping[str, Any], said: str) -> AsyncIterator[bytes]:
    about = _about(asked, "chat.completion.chunk")
    for index in range(_times(asked)):
        finish = "stop"
        async for delta in _deltas(asked, said):
            finish = "tool_calls" if "tool_calls" in delta else "stop"
            yield _event({**about, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        yield _event({**about, "choices": [{"index": index, "delta": {}, "finish_reason": finish}]})
    if (used := _openai_usage(asked, said)) and (asked.get("stream_options") or {}).get("include_usage"):
        yield _event({**about, "choices": [], "usage": used})
    yield b"data: [DONE]\n\n"


async def _deltas(asked: Mapping[str, Any], said: str) -> AsyncIterator[dict[str, Any]]:
    if not (calls := _tool_calls(asked, said)):
        async for word in _paced(said):
            yield {"role": "assistant", "content": word}
        return
    (call,) = calls
    arguments = call["function"]["arguments"]
    first = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
    yield {"role": "assistant", "content": None, "tool_calls": [first]}
    for part in (arguments[:5], arguments[5:]):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}


def _tool_calls(asked: Mapping[str, Any], said: str) -> list[dict[str, Any]]:
    if not (tool := _tool(asked, said)):
        return []
    function = {"name": tool, "arguments": json.dumps({"place": said})}
    return [{"id": f"call_{uuid4().hex}", "type": "function", "function": function}]


def _anthropic_usage(asked: Mapping[str, Any], said: str) -> dict[str, Any]:
    prompt, completion = _counted(asked, said)
    told: dict[str, Any] = {"input_tokens": prompt, "output_tokens": completion}
    if "cache" in said:
        # Beside the prompt, not in it.
        told |= {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 30}
        told["cache_creation"] = {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}
    return told


def _anthropic(asked: Mapping[str, Any], said: str) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "text", "text": "".join(_words(said)).strip()}
    if tool := _tool(asked, said):
        content = {"type": "tool_use", "id": f"toolu_{uuid4().hex}", "name": tool, "input": {"place": said}}
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model"),
        "content": [content],
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(asked, said),
    }


async def _anthropic_stream(asked: Mapping[str, Any], said: str) -> AsyncIterator[bytes]:
    used, whole = _anthropic_usage(asked, said), _anthropic(asked, said)
    start = {
        **whole,
        "content": [],
        "stop_reason": None,
        "usage": {**used, "output_tokens": 1},
    }
    yield _event({"type": "message_start", "message": start}, "message_start")
    (block,) = whole["content"]
    empty = {**block, "input": {}} if block["type"] == "tool_use" else {"type": "text", "text": ""}
    yield _event({"type": "content_block_start", "index": 0, "content_block": empty}, "content_block_start")
    async for delta in _anthropic_deltas(block, said):
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
    yield _event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event(
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": used["output_tokens"]}},
        "message_delta",
    )
    yield _event({"type": "message_stop"}, "message_stop")


async def _anthropic_deltas(block: Mapping[str, Any], said: str) -> AsyncIterator[dict[str, str]]:
    if block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        return
    async for word in _paced(said):
        yield {"type": "text_delta", "text": word}


def _tool(asked: Mapping[str, Any], said: str) -> str | None:
    """The name of the tool to call; OpenAI's tools are functions, Anthropic's have their name themselves."""
    tools = asked.get("tools")
    if "use a tool" not in said or not isinstance(tools, list) or not tools:
        return None
    name = tools[0].get("function", tools[0]).get("name")
    return name if isinstance(name, str) else None


def _other(path: str, asked: Mapping[str, Any], said: str) -> dict[str, Any]:
    prompt, completion = _counted(asked, said)
    if path.endswith("/embeddings"):
        vector = [
            round((zlib.crc32(f"{place}{said}".encode()) % 2000 - 1000) / 1000, 3) for place in range(8)
        ]
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        used = {"prompt_tokens": prompt, "total_tokens": prompt}
        return {"object": "list", "data": data, "model": asked.get("model"), "usage": used}
    if path.endswith("/images/generations"):
        count = _times(asked)
        used = {"input_tokens": prompt, "output_tokens": 100 * count, "total_tokens": prompt + 100 * count}
        return {"created": int(time.time()), "data": echo_media.pictures(count), "usage": used}
    text = "".join(_words(said)).strip()
    used = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return {**_about(asked, "text_completion"), "choices": [choice], "usage": used}


def _about(asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.get("model"),
    }


def _said(asked: Mapping[str, Any]) -> str:
    """The last of what the user said."""
    if "contents" in asked:
        return echo_google.said(asked)
    messages = asked.get("messages") or asked.get("input") or asked.get("prompt") or ""
    last = messages[-1] if isinstance(messages, list) and messages else messages
    content = last.get("content", "") if isinstance(last, dict) else last
    if isinstance(content, list):
        content = " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _event(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


async def _answer(send: Send, status: int, told: object, retry_after: bytes = b"") -> None:
    headers = [(b"content-type", b"application/json")]
    headers += [(b"retry-after", retry_after)] if retry_after else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode(), "more_body": False})
