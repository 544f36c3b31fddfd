"""A metering API for tests, in memory: answers as it is told to, and remembers what it was asked."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from gateway import call_ids
from gateway.metering import Metering

Answer = Callable[[httpx2.Request], Awaitable[httpx2.Response]]
KEY = "sk-a"


def refusal(status: int, code: str, **headers: str) -> httpx2.Response:
    """An error in the metering API's form."""
    return httpx2.Response(
        status, json={"error": {"code": code, "message": f"It is {code}."}}, headers=headers
    )


class Dashboard:
    """A wallet with so much available; each call is held to cost 10 nano-dollars."""

    def __init__(self, available: int = 100) -> None:
        self.available, self.held = available, 10
        self.asked: list[Any] = []
        self.batches: list[list[Any]] = []
        self.recorded: dict[str, Any] = {}
        self.released: list[str] = []
        self.instead: Answer | None = None
        """What answers in place of all below."""

    def metering(self) -> Metering:
        return Metering("http://dashboard", "gateway-key", httpx2.MockTransport(self))

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        if request.url.path.endswith("authorize"):
            self.asked.append(body)
        if request.url.path.endswith("release"):
            self.released.append(body["call_id"])
            return httpx2.Response(204)
        if self.instead:
            return await self.instead(request)
        return self._authorize() if request.url.path.endswith("authorize") else self._record(body["calls"])

    def _authorize(self) -> httpx2.Response:
        if self.available <= 0:
            return refusal(402, "insufficient_balance")
        self.available -= self.held
        told = {"call_id": call_ids.new(), "token_id": 1, "wallet_id": 7, "held_nanousd": self.held}
        return httpx2.Response(200, json={**told, "available_nanousd": self.available})

    def _record(self, calls: list[Any]) -> httpx2.Response:
        self.batches.append(calls)
        results = []
        for call in calls:
            is_known = call["call_id"] in self.recorded
            self.recorded.setdefault(call["call_id"], call)
            results.append({"call_id": call["call_id"], "result": "duplicate" if is_known else "accepted"})
        return httpx2.Response(200, json={"results": results})

    async def gone(self, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("nobody there", request=request)

    async def hanging(self, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("no answer", request=request)
