"""A call between its admission and its report. It is over once: what is told of it first stands."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway import usage

Report = dict[str, Any]


@dataclass(slots=True)
class Call:
    """What the request said, what the metering API said, and what has become of it so far."""

    call_id: str
    token_id: int
    model: str
    endpoint: str
    client_ip: str | None
    is_stream: bool
    ending: Callable[[Report], Awaitable[None]]
    """Writes the report down; `Gateway.end`."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began_s: float = field(default_factory=time.monotonic)
    first_byte_s: float | None = None
    failure: str = ""
    """What the upstream last failed with; it is tried again, so this alone ends nothing."""
    retry_after: str = ""
    """When to come back, as the upstream said it."""
    priced_units: frozenset[str] = frozenset()
    body: Mapping[str, Any] = field(default_factory=dict)
    expected_tokens: int = 0
    """Of the prompt, roughly."""
    asked_bytes: int = 0
    """How long the request's body is."""
    wallet_id: int = 0
    """Whose key it is."""
    hides_usage: bool = False
    """Whether the client of this stream did not ask for the usage that we asked for."""
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it was over in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def succeeded(
        self, used: Mapping[str, int], *, upstream_id: str = "", is_estimated: bool = False
    ) -> None:
        """Its quantities are disjoint, in the units of the metering API; estimated where the provider told none.

        No success is without a quantity: that would be a call for nothing.
        """
        if not used:
            used, is_estimated = self._estimate(0), True
        told: Report = {"status": "succeeded", "usage": dict(used)}
        if upstream_id:
            told["upstream_id"] = upstream_id[:200]
        if is_estimated:
            told["estimated"] = True
        await self._end(told)

    async def estimated(self, sent_bytes: int) -> None:
        """It succeeded, and nobody counted: by the size of what was asked and what was answered."""
        await self.succeeded(self._estimate(sent_bytes), is_estimated=True)

    def _estimate(self, sent_bytes: int) -> dict[str, int]:
        return usage.estimate(self.priced_units, tokens_in=self.expected_tokens, bytes_out=sent_bytes)

    async def failed(self, error: str) -> None:
        """It is logged and costs nothing."""
        await self._end({"status": "failed", "usage": {}, "error": error[:4000]})

    def report(self) -> Report:
        """Of a call that failed, which is what stands if nothing more is heard."""
        told: Report = {
            "call_id": self.call_id,
            "token_id": self.token_id,
            "model": self.model,
            "started_at": self.started_at.isoformat(),
            "status": "failed",
            "usage": {},
            "stream": self.is_stream,
            "endpoint": self.endpoint,
        }
        if self.client_ip:
            told["client_ip"] = self.client_ip
        return told

    async def _end(self, told: Report) -> None:
        if self._writing is None:
            times: Report = {"latency_ms": _milliseconds(time.monotonic() - self.began_s)}
            if self.is_stream and self.first_byte_s is not None:
                times["first_token_ms"] = _milliseconds(self.first_byte_s - self.began_s)
            self._writing = asyncio.create_task(self._written({**self.report(), **times, **told}))
        # A task of its own: whoever tells of the call may be ended meanwhile, and it is over all the same.
        await asyncio.shield(self._writing)

    async def _written(self, report: Report) -> None:
        try:
            await self.ending(report)
        finally:
            self._over.set()


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


# The call that the running request is; LiteLLM carries it into what it does later for that request.
CURRENT: ContextVar[Call | None] = ContextVar("gateway_call", default=None)
