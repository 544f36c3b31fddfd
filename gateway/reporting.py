"""Reports on their way from the journal to the metering API, for as long as it takes."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gateway.journal import Journal, Report
from gateway.metering import Away, Metering, NotTaken

log = logging.getLogger("gateway.reporting")

MOST_CALLS, MOST_BYTES = 1_000, 1_500_000
# A report waits for others at most so long.
GATHERED_S = 0.25
LONGEST_WAIT_S = 10.0


class Reporter:
    """Tells what the journal has. `run` ends when it is cancelled; what is not told then is told by the next run."""

    def __init__(self, journal: Journal, metering: Metering) -> None:
        self._journal, self._metering = journal, metering
        self._news = asyncio.Event()
        self.is_away = False
        """Whether the last attempt failed."""

    def tell_soon(self) -> None:
        """The journal has something new."""
        self._news.set()

    async def run(self) -> None:
        wait_s = GATHERED_S
        while True:
            # Before the journal is read: what is written while a batch is on its way is news.
            self._news.clear()
            try:
                while await self.tell():
                    pass
                wait_s, self.is_away = GATHERED_S, False
            except Away as away:
                wait_s = min(LONGEST_WAIT_S, wait_s * 2)
                if not self.is_away:
                    log.warning("Reports wait in the journal: %s", away)
                self.is_away = True
            except Exception:
                wait_s = LONGEST_WAIT_S
                log.exception("Reports wait in the journal.")
            if not self.is_away:
                with suppress(TimeoutError):
                    # Looks again by itself too: the journal's truth is the file.
                    async with asyncio.timeout(LONGEST_WAIT_S):
                        await self._news.wait()
            await asyncio.sleep(wait_s)

    async def tell(self) -> bool:
        """One batch. Whether there may be more. Raises Away."""
        reports = await self._journal.to_tell(MOST_CALLS)
        if not reports:
            return False
        batch = _fitting(reports)
        await self._send(batch)
        return len(batch) < len(reports) or len(reports) == MOST_CALLS

    async def _send(self, batch: Sequence[Report]) -> None:
        try:
            results = await self._metering.report(batch)
        except NotTaken as refusal:
            await self._halve(batch, refusal)
            return
        by_id = {report["call_id"]: report for report in batch}
        taken = [found.call_id for found in results if found.result in ("accepted", "duplicate")]
        for found in results:
            if found.result == "rejected" and (report := by_id.get(found.call_id)):
                log.error("Call %s was rejected: %s %s", found.call_id, found.code, found.message)
                await self._journal.rejected(report, found.code, found.message)
        await self._journal.told(taken)

    async def _halve(self, batch: Sequence[Report], refusal: NotTaken) -> None:
        """One report that can't be read must not keep the others."""
        if len(batch) == 1:
            log.error("Call %s can't be reported: %s", batch[0]["call_id"], refusal)
            await self._journal.rejected(batch[0], f"status_{refusal.status}", str(refusal))
            return
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])


def _fitting(reports: Sequence[dict[str, Any]]) -> list[Report]:
    """As many of the first ones as a request may hold, at least one."""
    found: list[Report] = []
    size = 0
    for report in reports:
        size += len(json.dumps(report))
        if found and size > MOST_BYTES:
            break
        found.append(report)
    return found
