"""Reports reach the metering API once each, whatever it answers, and none is given up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway import call_ids
from gateway.journal import Journal
from gateway.metering import Away
from gateway.reporting import Reporter
from tests.gateway.dashboards import Dashboard, refusal

LARGEST_BODY = 2 * 2**20


class Telling:
    """A reporter with its journal, its dashboard, and what it said the dashboard has seen."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.dashboard, self.seen = journal, Dashboard(), list[str]()
        self.metering = self.dashboard.metering()
        self.reporter = Reporter(journal, self.metering, self.seen.extend)

    async def ended(self, count: int, **more: Any) -> list[str]:
        """So many calls that are over, by id, in the order of their ids."""
        ids = sorted(call_ids.new() for _ in range(count))
        await asyncio.gather(*(self.journal.end({"call_id": call_id, **more}) for call_id in ids))
        return ids

    async def left(self) -> list[str]:
        return [report["call_id"] for report in await self.journal.to_tell(10_000)]

    async def all_told(self) -> None:
        while await self.reporter.tell():
            pass

    def answers(self, answer: Callable[[list[Any]], httpx2.Response]) -> None:
        async def instead(request: httpx2.Request) -> httpx2.Response:
            return answer(json.loads(request.content)["calls"])

        self.dashboard.instead = instead


def tell(folder: Path, story: Callable[[Telling], Awaitable[None]]) -> None:
    async def told() -> None:
        with Journal(folder) as journal:
            telling = Telling(journal)
            async with telling.metering, asyncio.timeout(60):
                await story(telling)

    asyncio.run(told())


def results(calls: list[Any], result: str = "accepted", **more: Any) -> list[dict[str, Any]]:
    return [{"call_id": call["call_id"], "result": result, **more} for call in calls]


def test_what_piled_up_in_an_hour_goes_in_batches_and_once_each(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        ids = await telling.ended(2_500)
        await telling.all_told()
        assert [len(batch) for batch in telling.dashboard.batches] == [1_000, 1_000, 500]
        assert [call["call_id"] for batch in telling.dashboard.batches for call in batch] == ids
        assert telling.seen == ids
        assert await telling.left() == []

    tell(tmp_path, story)


def test_no_batch_is_longer_than_the_metering_api_takes(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        lengths: list[int] = []

        async def measured(request: httpx2.Request) -> httpx2.Response:
            lengths.append(len(request.content))
            return httpx2.Response(200, json={"results": results(json.loads(request.content)["calls"])})

        telling.dashboard.instead = measured
        await telling.ended(300, error="ü" * 4_000)
        await telling.all_told()
        assert len(lengths) > 1
        assert max(lengths) < LARGEST_BODY
        assert await telling.left() == []

    tell(tmp_path, story)


def test_what_was_taken_and_not_noted_is_a_duplicate_and_ends(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        ids = await telling.ended(3)
        await telling.metering.report([{"call_id": call_id} for call_id in ids])
        await telling.all_told()
        assert list(telling.dashboard.recorded) == ids
        assert await telling.left() == []

    tell(tmp_path, story)


def test_results_in_another_order_are_of_the_calls_that_they_name(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        first, second = await telling.ended(2)
        wrong = {"error": {"code": "conflict", "message": "Not the same."}}
        telling.answers(
            lambda calls: httpx2.Response(
                200,
                json={"results": [*results(calls[1:], "rejected", **wrong), *results(calls[:1])]},
            )
        )
        await telling.all_told()
        assert sorted(telling.seen) == [first, second]
        rejected = await asyncio.wrap_future(
            telling.journal._do(lambda db: db.execute("SELECT call_id, code FROM rejected").fetchall())
        )
        assert rejected == [(second, "conflict")]
        assert await telling.left() == []

    tell(tmp_path, story)


@pytest.mark.parametrize("count", [3, 1_000])
def test_what_is_not_answered_stays_and_is_not_asked_for_without_a_pause(tmp_path: Path, count: int) -> None:
    async def story(telling: Telling) -> None:
        ids = await telling.ended(count)
        telling.answers(
            lambda calls: httpx2.Response(
                200, json={"results": results([call for call in calls if call["call_id"] != ids[1]])}
            )
        )
        with pytest.raises(Away, match=f"nothing about 1 of {count}"):
            await telling.reporter.tell()
        assert await telling.left() == [ids[1]]

    tell(tmp_path, story)


def test_a_proxy_that_takes_no_bodies_costs_no_report(tmp_path: Path) -> None:
    """A single report is never too large: it is kept, and told when that is mended."""

    async def story(telling: Telling) -> None:
        ids = await telling.ended(2)
        telling.answers(lambda calls: httpx2.Response(413, text="<html>Request Entity Too Large</html>"))
        with pytest.raises(Away, match="413 to a single report"):
            await telling.reporter.tell()
        assert await telling.left() == ids

    tell(tmp_path, story)


def test_a_call_from_the_future_is_told_again(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        first, second = await telling.ended(2)
        early = {"error": {"code": "call_id_in_future", "message": "More than 10 minutes ahead."}}
        telling.answers(
            lambda calls: httpx2.Response(
                200, json={"results": [*results(calls[:1]), *results(calls[1:], "rejected", **early)]}
            )
        )
        with pytest.raises(Away, match="nothing about 1 of 2"):
            await telling.reporter.tell()
        assert (telling.seen, await telling.left()) == ([first], [second])

    tell(tmp_path, story)


def test_one_report_that_is_refused_keeps_no_other(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        ids = await telling.ended(9)
        telling.answers(
            lambda calls: (
                refusal(400, "malformed_body")
                if any(call["call_id"] == ids[4] for call in calls)
                else httpx2.Response(200, json={"results": results(calls)})
            )
        )
        await telling.all_told()
        assert await telling.left() == []
        # What was put aside is waited for no longer either, and nothing is held for it.
        assert sorted(telling.seen) == sorted(ids)
        assert telling.dashboard.released == [ids[4]]

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(400, text="<h1>Bad Request (400)</h1>"),
        httpx2.Response(502, text="<html>Bad Gateway</html>"),
        httpx2.Response(200, text="<html>Welcome</html>"),
        httpx2.Response(200, json={"results": ["accepted"]}),
        httpx2.Response(200, json=[]),
        refusal(401, "invalid_gateway_key"),
        refusal(503, "unavailable"),
    ],
)
def test_nothing_is_given_up_for_what_something_else_answers(tmp_path: Path, answer: httpx2.Response) -> None:
    async def story(telling: Telling) -> None:
        ids = await telling.ended(3)
        telling.answers(lambda _: answer)
        with pytest.raises(Away):
            await telling.reporter.tell()
        assert await telling.left() == ids

    tell(tmp_path, story)


def test_an_unknown_gateway_key_is_named_to_the_operator(tmp_path: Path) -> None:
    async def story(telling: Telling) -> None:
        await telling.ended(1)
        telling.answers(lambda _: refusal(401, "invalid_gateway_key"))
        running = asyncio.create_task(telling.reporter.run())
        while not telling.reporter.trouble:
            await asyncio.sleep(0.01)
        running.cancel()
        assert "does not know this gateway's key" in telling.reporter.trouble

    tell(tmp_path, story)


@pytest.mark.parametrize(("retry_after", "waits_s"), [("", 2.0), ("7", 7.0), ("86400", 30.0)])
def test_who_is_away_is_asked_again_when_it_wants_and_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retry_after: str, waits_s: float
) -> None:
    slept: list[float] = []
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await really(0)

    async def story(telling: Telling) -> None:
        (call_id,) = await telling.ended(1)
        headers = {"Retry-After": retry_after} if retry_after else {}
        telling.answers(lambda _: refusal(503, "unavailable", **headers))
        monkeypatch.setattr(asyncio, "sleep", sleep)
        running = asyncio.create_task(telling.reporter.run())
        while len(slept) < 6:
            await really(0.001)
        telling.dashboard.instead = None
        while not telling.seen:
            await really(0.001)
        running.cancel()
        assert max(slept) == waits_s
        assert telling.seen == [call_id]
        assert telling.reporter.trouble == ""

    tell(tmp_path, story)
