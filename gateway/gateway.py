"""The parts of a running gateway, put together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Self

from gateway import call_ids
from gateway.admission import Admissions
from gateway.calls import Call, Report
from gateway.catalogue import Catalogue
from gateway.journal import Journal
from gateway.metering import Admission, Away, Metering, NotTaken
from gateway.reporting import Reporter
from gateway.requests import Said
from gateway.settings import Settings

log = logging.getLogger("gateway")

FormReader = Callable[[MutableMapping[str, Any], bytes], Awaitable[Mapping[str, Any]]]
# How long a stop waits for the last reports; what is not told then is told by the next start.
LAST_REPORTS_S = 5.0
# How long it waits for calls whose clients left, which are read to their end to learn what they used.
LAST_CALLS_S = 5.0


class Gateway:
    """Used as `async with`: tells what an earlier run left, reports until it is left, and then what is there still."""

    def __init__(
        self, settings: Settings, metering: Metering, journal: Journal, read_form: FormReader
    ) -> None:
        self.settings, self.metering, self.read_form = settings, metering, read_form
        self.admissions = Admissions(metering, remember_s=settings.remember_s, grace_s=settings.grace_s)
        self.catalogue = Catalogue(metering, settings.providers)
        self._journal = journal
        self._reporter = Reporter(journal, metering, self.admissions.seen)
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: dict[str, Call] = {}
        self._unwritten: dict[str, Report] = {}
        self.is_warm = False
        """Whether what LiteLLM loads at a first call is loaded."""

    async def __aenter__(self) -> Self:
        if left := await self._journal.interrupted():
            log.warning("An earlier run stopped with %s calls under way; they are told as failed.", left)
        self._tasks = [asyncio.create_task(self._reporter.run()), asyncio.create_task(self.catalogue.keep())]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for report in list(self._unwritten.values()):
            await self._told_at_once(report)
        with suppress(TimeoutError, Away):
            async with asyncio.timeout(LAST_REPORTS_S):
                while await self._reporter.tell():
                    pass

    async def wait_for_calls(self) -> None:
        """When nothing more is let in: for calls that go on without their clients."""
        await asyncio.gather(*(call.wait(LAST_CALLS_S) for call in list(self._under_way.values())))

    @property
    def is_broken(self) -> bool:
        """Whether calls can't be written down, so that none may be let in."""
        return bool(self._unwritten) or self._journal.is_failing

    @property
    def is_ready(self) -> bool:
        """Whether calls had better be sent here."""
        return self.is_warm and not self.is_broken

    @property
    def problem(self) -> str:
        """What the operator should look into, in words; empty where all is well."""
        if self.is_broken:
            return "The journal can't be written."
        if not self.is_warm:
            return "The gateway is not warm yet: first calls take seconds."
        trouble = self._reporter.trouble
        return f"Reports wait in the journal: {trouble}" if trouble else ""

    def begin(self, admission: Admission, said: Said, *, endpoint: str, client_ip: str | None) -> Call:
        """The call that was let in, written down as one that failed until more is known."""
        call = Call(
            call_id=admission.call_id,
            token_id=admission.token_id,
            model=said.model,
            endpoint=endpoint,
            client_ip=client_ip,
            is_stream=said.is_stream,
            # By the clock that made the id, as the metering API compares the two.
            started_at=call_ids.time_of(admission.call_id),
            ending=self.end,
            body=said.body,
            expected_tokens=said.input_tokens or 0,
            priced_units=self.catalogue.units_of(said.model),
            wallet_id=admission.wallet_id,
            hides_usage=said.instead is not None,
        )
        self._under_way[call.call_id] = call
        self._journal.begin(call.report())
        return call

    async def end(self, report: Report) -> None:
        """The report is on the disk. Where that fails it is told at once, and no calls are let in until it works again."""
        try:
            await self._journal.end(report)
        except Exception:
            log.exception("The journal can't be written; no calls are let in until it can.")
            if not self._unwritten:
                self._tasks.append(asyncio.create_task(self._write_again()))
            self._unwritten[report["call_id"]] = report
            await self._told_at_once(report)
        finally:
            self._under_way.pop(report["call_id"], None)
        self._reporter.tell_soon()

    async def _told_at_once(self, report: Report) -> None:
        """It stays to be written, and is then a duplicate: what is in the journal of it must end too."""
        with suppress(TimeoutError, Away, NotTaken):
            async with asyncio.timeout(LAST_REPORTS_S):
                await self.metering.report([report])

    async def _write_again(self) -> None:
        while self._unwritten:
            await asyncio.sleep(1)
            for call_id, report in list(self._unwritten.items()):
                with suppress(Exception):
                    await self._journal.end(report)
                    del self._unwritten[call_id]
        log.warning("The journal can be written again.")
        self._reporter.tell_soon()
