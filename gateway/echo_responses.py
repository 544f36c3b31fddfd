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
    """The same, word by word."""
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield _event(0, "response.created", {"response": begun})
    yield _event(1, "response.output_item.added", {"output_index": 0, "item": {**item, "content": []}})
    number = 2
    async for word in words:
        delta = {"item_id": item["id"], "output_index": 0, "content_index": 0, "delta": word, "logprobs": []}
        yield _event(number, "response.output_text.delta", delta)
        number += 1
    yield _event(number, "response.output_item.done", {"output_index": 0, "item": item})
    yield _event(number + 1, "response.completed", {"response": whole})


def _event(number: int, kind: str, more: Mapping[str, Any]) -> bytes:
    data = {"type": kind, "sequence_number": number, **more}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
