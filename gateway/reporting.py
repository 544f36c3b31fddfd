"""Reports on their way from the journal to the metering API, for as long as it takes."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from gateway.journal import Journal, Report
from gateway.metering import Away, Metering, NotTaken

log = logging.getLogger("gateway.reporting")

MOST_CALLS, MOST_BYTES = 1_000, 1_500_000
# A report waits for others at most so long.
GATHERED_S = 0.1
LONGEST_WAIT_S = 10.0
# While the metering API is away; it may ask for more, up to the longest of all.
LONGEST_AWAY_S, LONGEST_RETRY_AFTER_S = 2.0, 30.0


class Reporter:
    """Tells what the journal has. `run` ends when it is cancelled; what is not told then is told by the next run."""

    def __init__(
        self, journal: Journal, metering: Metering, seen: Callable[[Sequence[str]], None] = lambda _: None
    ) -> None:
        self._journal, self._metering, self._seen = journal, metering, seen
        self._news = asyncio.Event()
        self.trouble = ""
        """Why the last attempt failed; empty where it did not."""

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
                wait_s, self.trouble = GATHERED_S, ""
            except Away as away:
                wait_s = min(LONGEST_AWAY_S, wait_s * 2)
                wait_s = max(wait_s, min(LONGEST_RETRY_AFTER_S, away.retry_after_s or 0))
                self._is_in_trouble(str(away))
            except Exception as error:
                wait_s = LONGEST_WAIT_S
                log.exception("Reports wait in the journal.")
                self.trouble = f"{type(error).__name__}: {error}"
            if not self.trouble:
                with suppress(TimeoutError):
                    # Looks again by itself too: the journal's truth is the file.
                    async with asyncio.timeout(LONGEST_WAIT_S):
                        await self._news.wait()
            await asyncio.sleep(wait_s)

    def _is_in_trouble(self, why: str) -> None:
        if why != self.trouble:
            log.warning("Reports wait in the journal: %s", why)
        self.trouble = why

    async def tell(self) -> bool:
        """One batch. Whether there may be more. Raises Away, and sqlite3.Error."""
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
        rejected = [
            found
            for found in results
            # A clock that is ahead is set right one day, and the call is taken then.
            if found.result == "rejected" and found.code != "call_id_in_future" and found.call_id in by_id
        ]
        await self._journal.told(taken)
        self._seen(taken)
        await asyncio.gather(
            *(self._put_aside(by_id[found.call_id], found.code, found.message) for found in rejected)
        )
        if missing := by_id.keys() - {*taken, *(found.call_id for found in rejected)}:
            raise Away(f"calls answered nothing about {len(missing)} of {len(batch)}, such as {min(missing)}")

    async def _halve(self, batch: Sequence[Report], refusal: NotTaken) -> None:
        """One report that can't be read must not keep the others."""
        if len(batch) == 1 and refusal.status == 413:
            raise Away("calls answered 413 to a single report: something between takes no bodies")
        if len(batch) == 1:
            await self._put_aside(batch[0], f"status_{refusal.status}", str(refusal))
            return
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])

    async def _put_aside(self, report: Report, code: str, message: str) -> None:
        """The call is over and will not be charged: nothing is held for it any more."""
        call_id = report["call_id"]
        log.error("Call %s was rejected: %s %s", call_id, code, message)
        await self._journal.rejected(report, code, message)
        self._seen([call_id])
        with suppress(Away):  # Then the hold expires by itself.
            await self._metering.release(call_id)


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
