"""What the echo says in the format of OpenAI's Responses API: whole, and as a stream of events."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4


def answer(model: str, text: str, used: tuple[int, int] | None) -> dict[str, Any]:
    """`used` are the tokens of the prompt and of the completion, None where none are told."""
    item = {
        "type": "message",
        "id": f"msg_{uuid4().hex}",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    told = {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": model,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
    if used:
        prompt, completion = used
        told["usage"] = {
            "input_tokens": prompt,
            "output_tokens": completion,
            "total_tokens": prompt + completion,
        }
    return told


async def stream(whole: Mapping[str, Any], words: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """The same, word by word, with every event that OpenAI's own library waits for."""
    number = 0
    async for kind, more in _events(whole, words):
        yield _event(number, kind, more)
        number += 1


async def _events(
    whole: Mapping[str, Any], words: AsyncIterator[str]
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    item = whole["output"][0]
    (text,) = item["content"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    opened = {**item, "status": "in_progress", "content": []}
    yield "response.created", {"response": begun}
    yield "response.output_item.added", {"output_index": 0, "item": opened}
    yield "response.content_part.added", {**place, "part": {**text, "text": ""}}
    async for word in words:
        yield "response.output_text.delta", {**place, "delta": word, "logprobs": []}
    yield "response.output_text.done", {**place, "text": text["text"], "logprobs": []}
    yield "response.content_part.done", {**place, "part": text}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield "response.completed", {"response": whole}


def _event(number: int, kind: str, more: Mapping[str, Any]) -> bytes:
    data = {"type": kind, "sequence_number": number, **more}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
