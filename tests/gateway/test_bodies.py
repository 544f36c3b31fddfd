"""What bodies of requests take up before anybody is let in."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.asgi import Message, Receive
from gateway.bodies import HELD, Bodies
from gateway.requests import Bad

MOST = 1000


def _sending(*parts: bytes, is_whole: bool = True) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request"} if is_whole else {"type": "http.disconnect"})

    async def receive() -> Message:
        return waiting.pop(0)

    return receive


async def _length(bodies: Bodies, *parts: bytes, until: asyncio.Event | None = None) -> int:
    async with bodies.read({}, _sending(*parts)) as body:
        if until:
            await until.wait()
        return len(body)


def _while_held(lengths: list[int], do: Callable[[Bodies], Awaitable[None]]) -> None:
    """Does it while bodies of these lengths are held, and sees that nothing is held afterwards."""

    async def run() -> None:
        bodies, until = Bodies(MOST), asyncio.Event()
        holding = [
            asyncio.create_task(_length(bodies, b"x" * length, until=until)) for length in [*lengths, 0]
        ]
        await asyncio.sleep(0.01)
        await do(bodies)
        until.set()
        assert await asyncio.gather(*holding) == [*lengths, 0]
        again = [asyncio.create_task(_length(bodies, b"x" * MOST, until=until)) for _ in range(HELD)]
        assert await asyncio.gather(*again) == [MOST] * HELD

    asyncio.run(run())


def test_no_more_is_held_than_some_of_the_longest() -> None:
    async def do(bodies: Bodies) -> None:
        with pytest.raises(Bad) as bad:
            await _length(bodies, b"x" * 400, b"x" * 400)
        problem = bad.value.problem
        assert (problem.status, problem.code, problem.retry_after_s) == (503, "service_unavailable", 5)
        assert await _length(bodies, b"x" * 300) == 300
        assert await _length(bodies, b"x" * 250, b"x" * 250) == 500

    _while_held([MOST] * (HELD - 1) + [500], do)


def test_what_breaks_off_is_held_no_longer() -> None:
    async def do(bodies: Bodies) -> None:
        with pytest.raises(Bad, match="broke off"):
            async with bodies.read({}, _sending(b"x" * MOST, is_whole=False)):
                pass

    _while_held([], do)


def test_what_takes_others_long_is_no_late_body() -> None:
    async def do(bodies: Bodies) -> None:
        with pytest.raises(TimeoutError):
            async with bodies.read({}, _sending(b"x")):
                raise TimeoutError

    _while_held([], do)
