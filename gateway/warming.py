"""Calls of our own at the start, answered by LiteLLM without a provider: what it loads at a first call takes seconds."""

import asyncio
import json
import logging
import time
from typing import Any

from gateway import call_ids
from gateway.asgi import App, Message, Scope
from gateway.calls import CURRENT, Call, Report

log = logging.getLogger("gateway.warming")

MODEL = "gateway-warm-up"
# In LiteLLM's configuration; nobody sells it, so nobody else is let in to it.
DEPLOYMENT: dict[str, Any] = {
    "model_name": MODEL,
    "litellm_params": {"model": f"openai/{MODEL}", "api_key": "none", "mock_response": "Warm."},
}
_MESSAGES = [{"role": "user", "content": "Warm?"}]
CALLS = (
    ("/v1/chat/completions", {"messages": _MESSAGES}),
    ("/v1/chat/completions", {"messages": _MESSAGES, "stream": True}),
    ("/v1/messages", {"messages": _MESSAGES, "max_tokens": 5}),
    ("/v1/messages", {"messages": _MESSAGES, "max_tokens": 5, "stream": True}),
)
LONGEST_S = 30.0


async def warm(inside: App) -> None:
    """Nothing of it is reported. A failure is logged and harms nobody."""
    began_s = time.monotonic()
    for path, body in CALLS:
        try:
            async with asyncio.timeout(LONGEST_S):
                status = await _call(inside, path, {"model": MODEL, **body})
        except Exception:
            log.exception("The warm-up call of %s failed.", path)
            continue
        if status != 200:
            log.warning("The warm-up call of %s was answered with %s.", path, status)
    log.info("Warm after %.1f s.", time.monotonic() - began_s)


async def _call(inside: App, path: str, body: dict[str, Any]) -> int:
    """The status of the answer."""
    call = Call(call_ids.new(), 0, MODEL, path, None, bool(body.get("stream")), _unreported)
    sent = json.dumps(body).encode()
    waiting: list[Message] = [{"type": "http.request", "body": sent, "more_body": False}]
    statuses: list[int] = []

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.sleep(LONGEST_S)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    token = CURRENT.set(call)
    try:
        await inside(_scope(path, call.call_id, len(sent)), receive, send)
    finally:
        CURRENT.reset(token)
    return statuses[0] if statuses else 0


def _scope(path: str, call_id: str, length: int) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", str(length).encode()),
            (b"authorization", f"Bearer sk-{call_id}".encode()),
        ],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
    }


async def _unreported(report: Report) -> None:
    return
