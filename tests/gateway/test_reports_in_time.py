"""A call that ends while other reports are on their way is told next, and not when somebody happens to look again."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from gateway import call_ids
from gateway.journal import Journal
from gateway.metering import Metering
from gateway.reporting import LONGEST_WAIT_S, Reporter

PATIENCE_S = LONGEST_WAIT_S / 4


class Dashboard:
    """Takes the first batch only when it is told to; remembers the calls of each."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_asked, self.may_answer, self.has_both = (asyncio.Event() for _ in range(3))

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        calls: list[dict[str, Any]] = _json(request)["calls"]
        self.batches.append([call["call_id"] for call in calls])
        self.is_asked.set()
        if len(self.batches) > 1:
            self.has_both.set()
        await self.may_answer.wait()
        results = [{"call_id": call["call_id"], "result": "accepted"} for call in calls]
        return httpx2.Response(200, json={"results": results})


def _json(request: httpx2.Request) -> Any:
    return httpx2.Response(200, content=request.content).json()


async def _two_calls(folder: Path) -> tuple[list[str], list[list[str]]]:
    dashboard, ids = Dashboard(), [call_ids.new() for _ in range(2)]
    transport = httpx2.MockTransport(dashboard)
    with Journal(folder) as journal:
        async with Metering("http://dashboard", "key", transport) as metering:
            reporter = Reporter(journal, metering)
            running = asyncio.create_task(reporter.run())
            await journal.end({"call_id": ids[0]})
            reporter.tell_soon()
            await dashboard.is_asked.wait()
            await journal.end({"call_id": ids[1]})
            reporter.tell_soon()
            dashboard.may_answer.set()
            async with asyncio.timeout(PATIENCE_S):
                await dashboard.has_both.wait()
            running.cancel()
    return ids, dashboard.batches


def test_what_ends_during_a_batch_is_in_the_next_one(tmp_path: Path) -> None:
    ids, batches = asyncio.run(_two_calls(tmp_path))
    assert batches == [[ids[0]], [ids[1]]]
