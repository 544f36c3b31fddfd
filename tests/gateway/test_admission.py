"""What is let in without asking, for how long, and how much of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from gateway.admission import KNOWN_S, OLDEST_ANSWER_S, TRY_EVERY_S, Admissions
from gateway.metering import Admission, Away, Question, Refused
from tests.gateway.dashboards import KEY, Dashboard, refusal

HOUR_S = 3600.0
GRACE_S = 10.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Asking:
    """Admissions on a clock that stands still, with the dashboard that they ask."""

    def __init__(self, *, remember_s: float = 0, grace_s: float = 0, available: int = 100) -> None:
        self.clock, self.dashboard = Clock(), Dashboard(available)
        self.metering = self.dashboard.metering()
        self.admissions = Admissions(self.metering, remember_s=remember_s, grace_s=grace_s, clock=self.clock)

    async def ask(self, key: str = KEY, model: str = "gpt", ip: str = "10.0.0.1", **tokens: int) -> Admission:
        return await self.admissions.ask(Question(key, model, ip, **tokens))

    async def let_in(self, count: int, **question: Any) -> list[Admission]:
        """Of so many at once, those that were let in."""
        asked = await asyncio.gather(*(self.ask(**question) for _ in range(count)), return_exceptions=True)
        assert all(isinstance(found, Admission | Away | Refused) for found in asked), asked
        return [found for found in asked if isinstance(found, Admission)]

    def go(self, seconds: float) -> None:
        self.clock.now_s += seconds

    def leave(self) -> None:
        self.dashboard.instead = self.dashboard.gone

    def come_back(self) -> None:
        self.dashboard.instead = None


def tell(story: Callable[[Asking], Awaitable[None]], **options: Any) -> None:
    async def told() -> None:
        asking = Asking(**options)
        async with asking.metering:
            await story(asking)

    asyncio.run(told())


def test_each_call_is_asked_for_where_nothing_may_be_remembered() -> None:
    async def story(asking: Asking) -> None:
        ids = {(await asking.ask()).call_id for _ in range(3)}
        assert len(ids) == len(asking.dashboard.asked) == 3
        asking.leave()
        with pytest.raises(Away):
            await asking.ask()

    tell(story)


def test_an_answer_stands_for_its_seconds_and_for_its_key_model_and_address() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask()
        asking.go(2)
        await asking.ask()
        assert len(asking.dashboard.asked) == 1
        await asking.ask(key="sk-b")
        await asking.ask(model="claude")
        await asking.ask(ip="10.0.0.2")
        assert len(asking.dashboard.asked) == 4
        asking.go(2.1)
        await asking.ask()
        assert len(asking.dashboard.asked) == 5

    tell(story, remember_s=4)


@pytest.mark.parametrize("options", [{"remember_s": 5}, {"grace_s": GRACE_S}])
def test_on_one_wallet_no_more_is_let_in_than_was_available_and_one_call(options: dict[str, float]) -> None:
    """However many keys, models and addresses there are, and however many ask at once."""

    async def story(asking: Asking) -> None:
        models = [f"model {number}" for number in range(3)]
        for model in models:
            await asking.ask(model=model)
        assert asking.dashboard.available == 70
        asking.leave()
        ids = {found.call_id for model in models for found in await asking.let_in(20, model=model)}
        assert len(ids) == 7

    tell(story, **options)


def test_a_longer_request_uses_up_more_of_it() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask(input_tokens=10, max_output_tokens=10)
        asking.leave()
        assert len(await asking.let_in(20, input_tokens=10, max_output_tokens=50)) == 3

    tell(story, grace_s=GRACE_S)


def test_what_the_dashboard_does_not_know_of_is_taken_off_its_newer_answers() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask()
        unseen = [(await asking.ask()).call_id for _ in range(5)]
        asking.go(6)
        await asking.ask()
        assert asking.dashboard.available == 80
        # 80 less the five that are under way still.
        assert len(await asking.let_in(3)) == 3
        asking.leave()
        assert await asking.let_in(5) == []
        asking.come_back()
        asking.admissions.seen(unseen)
        asking.go(OLDEST_ANSWER_S + 1)
        await asking.ask()
        assert asking.dashboard.available < 80

    tell(story, remember_s=5)


def test_a_report_that_was_taken_counts_until_no_older_answer_can_arrive() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask()
        asking.admissions.seen([(await asking.ask()).call_id for _ in range(9)])
        asking.go(6)
        await asking.ask()  # 80 are available and 90 were let in.
        asking.leave()
        assert await asking.let_in(1) == []
        asking.come_back()
        asking.go(OLDEST_ANSWER_S)
        await asking.ask()
        asking.leave()
        assert len(await asking.let_in(20)) == 7

    tell(story, remember_s=5)


def test_known_keys_are_served_for_the_grace_and_others_are_not() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask()
        asking.leave()
        for _ in range(3):
            await asking.ask()
            with pytest.raises(Away):
                await asking.ask(key="sk-unknown")
            asking.go(GRACE_S / 2)
        with pytest.raises(Away):
            await asking.ask()
        asking.go(HOUR_S)
        with pytest.raises(Away):
            await asking.ask()
        asking.come_back()
        asking.go(TRY_EVERY_S)
        await asking.ask()
        # The next time it goes away is another one.
        asking.leave()
        await asking.ask()

    tell(story, grace_s=GRACE_S)


def test_what_was_known_when_the_dashboard_went_is_known_for_all_of_a_long_grace() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask(key="sk-long-ago")
        asking.go(KNOWN_S)
        await asking.ask()
        asking.go(1)
        asking.leave()
        await asking.ask()
        asking.go(HOUR_S)
        await asking.ask()
        with pytest.raises(Away):
            await asking.ask(key="sk-long-ago")

    tell(story, grace_s=HOUR_S)


def test_nobody_waits_for_a_dashboard_that_hangs_but_those_who_try_it() -> None:
    async def story(asking: Asking) -> None:
        await asking.ask()
        asking.dashboard.instead = asking.dashboard.hanging
        before = len(asking.dashboard.asked)
        await asking.ask()
        # What took too long is not asked twice: each time may hold.
        assert len(asking.dashboard.asked) == before + 1
        await asking.let_in(5)
        assert len(asking.dashboard.asked) == before + 1
        asking.go(TRY_EVERY_S)
        await asking.let_in(5)
        assert len(asking.dashboard.asked) == before + 2

    tell(story, grace_s=GRACE_S)


def test_a_connection_that_broke_is_tried_once_more() -> None:
    async def story(asking: Asking) -> None:
        async def once(request: httpx2.Request) -> httpx2.Response:
            asking.come_back()
            raise httpx2.RemoteProtocolError("closed", request=request)

        asking.dashboard.instead = once
        await asking.ask()
        assert len(asking.dashboard.asked) == 2

    tell(story)


def test_one_question_that_hangs_while_others_are_answered_shuts_nobody_out() -> None:
    async def story(asking: Asking) -> None:
        async def slow(request: httpx2.Request) -> httpx2.Response:
            asking.come_back()
            asking.go(1)
            await asking.ask(key="sk-other")
            raise httpx2.ReadTimeout("no answer", request=request)

        asking.dashboard.instead = slow
        with pytest.raises(Away):
            await asking.ask()
        assert len(await asking.let_in(3)) == 3

    tell(story)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "invalid_key"), (403, "account_suspended"), (402, "insufficient_balance")]
)
def test_a_refusal_ends_what_was_known_of_the_key_for_every_model(status: int, code: str) -> None:
    async def story(asking: Asking) -> None:
        await asking.ask(model="claude")
        await asking.ask()

        async def refuse(_: httpx2.Request) -> httpx2.Response:
            return refusal(status, code)

        asking.dashboard.instead = refuse
        with pytest.raises(Refused):
            await asking.ask()
        asking.leave()
        for model in ("gpt", "claude"):
            with pytest.raises(Away):
                await asking.ask(model=model)

    tell(story, grace_s=GRACE_S)


def test_an_older_answer_that_arrives_late_gives_nothing_back() -> None:
    async def story(asking: Asking) -> None:
        held_back: list[httpx2.Response] = []

        async def late(request: httpx2.Request) -> httpx2.Response:
            asking.come_back()
            held_back.append(await asking.dashboard(request))
            asking.dashboard.available = 10
            await asyncio.sleep(0.002)
            await asking.ask(key="sk-other", model="claude")
            return held_back[0]

        asking.dashboard.instead = late
        await asking.ask()
        asking.leave()
        assert await asking.let_in(1) == []

    tell(story, grace_s=GRACE_S)


def test_an_answer_that_was_asked_for_before_a_refusal_gives_nothing_back() -> None:
    """It was late on its way, and says what is gone by now."""

    async def story(asking: Asking) -> None:
        async def refuse(_: httpx2.Request) -> httpx2.Response:
            return refusal(402, "insufficient_balance")

        async def late(request: httpx2.Request) -> httpx2.Response:
            asking.dashboard.instead = refuse
            asking.go(1)
            with pytest.raises(Refused):
                await asking.ask(model="claude")
            asking.come_back()
            return await asking.dashboard(request)

        await asking.ask(model="claude")
        asking.dashboard.instead = late
        await asking.ask()
        asking.leave()
        assert await asking.let_in(1) == []
        asking.come_back()
        asking.go(1)
        await asking.ask()
        asking.leave()
        assert len(await asking.let_in(1)) == 1

    tell(story, grace_s=GRACE_S)
