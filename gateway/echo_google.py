"""What the echo says in Google's format: whole, and as a stream of server-sent events."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4


def said(asked: Mapping[str, Any]) -> str:
    """The last of what the user said."""
    contents = asked.get("contents")
    last = contents[-1] if isinstance(contents, list) and contents else {}
    parts = last.get("parts") if isinstance(last, dict) else None
    return " ".join(str(part.get("text", "")) for part in parts or [] if isinstance(part, dict))


def usage(prompt: int, completion: int, about: str) -> dict[str, Any] | None:
    """Thoughts stand beside the candidates, what was kept stands inside the prompt."""
    if "say no usage" in about:
        return None
    thoughts = completion // 2 if "reason" in about else 0
    told = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion - thoughts,
        "totalTokenCount": prompt + completion,
    }
    if "cache" in about:
        told["cachedContentTokenCount"] = prompt // 2
    return {**told, "thoughtsTokenCount": thoughts} if thoughts else told


def answer(
    model: str, text: str, used: Mapping[str, Any] | None, finish: str | None = "STOP"
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    told = {"candidates": [candidate], "modelVersion": model, "responseId": uuid4().hex}
    return {**told, "usageMetadata": used} if used else told


async def stream(
    model: str, words: AsyncIterator[str], used: Mapping[str, Any] | None
) -> AsyncIterator[bytes]:
    async for word in words:
        yield _event(answer(model, word, None, finish=None))
    yield _event(answer(model, "", used))


def _event(data: object) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()
