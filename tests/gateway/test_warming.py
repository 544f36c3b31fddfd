"""The calls of our own at the start."""

import asyncio
import json
import logging

import pytest

from gateway import warming
from gateway.asgi import Receive, Scope, Send
from gateway.calls import CURRENT


def test_each_kind_of_call_is_made_as_a_call_that_was_let_in() -> None:
    seen: list[tuple[str, object, bool]] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        call = CURRENT.get()
        assert call is not None
        assert (b"authorization", f"Bearer sk-{call.call_id}".encode()) in scope["headers"]
        body = json.loads((await receive())["body"])
        assert body["model"] == warming.DEPLOYMENT["model_name"]
        seen.append((scope["path"], body.get("stream", False), call.is_stream))
        await call.succeeded({"input_tokens": 1})
        await send({"type": "http.response.start", "status": 200, "headers": []})

    asyncio.run(warming.warm(inside))
    assert seen == [
        ("/v1/chat/completions", False, False),
        ("/v1/chat/completions", True, True),
        ("/v1/messages", False, False),
        ("/v1/messages", True, True),
    ]
    assert CURRENT.get() is None


def test_what_fails_keeps_nothing_else_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(warming, "LONGEST_S", 0.01)
    tried: list[str] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        tried.append(scope["path"])
        if len(tried) == 1:
            raise ValueError("broken")
        if len(tried) == 2:
            await asyncio.sleep(60)
        await send({"type": "http.response.start", "status": 500, "headers": []})

    with caplog.at_level(logging.WARNING):
        asyncio.run(warming.warm(inside))
    assert len(tried) == 4
    assert caplog.text.count("failed") == 2
    assert caplog.text.count("was answered with 500") == 2
