"""The bodies of requests, read before anybody is let in: what strangers send must not fill the memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gateway.answers import AWAY_RETRY_S, Problem
from gateway.asgi import Receive
from gateway.requests import Bad

WITHIN_S = 60.0
# Times the longest body: what one request may send of which nothing is kept, and what is kept of all together.
READ_AND_DROPPED = 4
HELD = 8


class Bodies:
    """Of all requests that nobody was let in with yet. `most` is the longest of one, in bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0

    @asynccontextmanager
    async def read(self, headers: Mapping[str, str], receive: Receive) -> AsyncIterator[bytes]:
        """All of one, which counts among those that are held until this is left. Raises Bad."""
        body = bytearray()
        try:
            await self._in_time(body, headers, receive)
            yield bytes(body)
        finally:
            self._held -= len(body)

    async def _in_time(self, body: bytearray, headers: Mapping[str, str], receive: Receive) -> None:
        if headers.get("content-encoding", "identity") != "identity":
            raise Bad(Problem(415, "invalid_encoding", "Send the body without compression.", is_final=True))
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._fill(body, headers.get("content-length", ""), receive)
        except TimeoutError:
            raise Bad(Problem(408, "request_timeout", "The body took too long to arrive.")) from None

    async def _fill(self, body: bytearray, length: str, receive: Receive) -> None:
        """Of a body that is too long the rest is read and dropped, as far as there is reason in it.

        A client that still sends reads no answer.
        """
        most_read = READ_AND_DROPPED * self._most
        told = int(length) if length.isdigit() else 0
        total, is_last, is_full = 0, told > most_read, False
        while not is_last and total <= most_read:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Bad(Problem(400, "incomplete_body", "The body broke off."))
            part, is_last = message.get("body", b""), not message.get("more_body", False)
            total += len(part)
            is_full = is_full or self._held + len(part) > HELD * self._most
            if total <= self._most and not is_full:
                body += part
                self._held += len(part)
        if max(total, told) > self._most or not is_last:
            words = f"The body is longer than {self._most // 2**20} MiB."
            raise Bad(Problem(413, "request_too_large", words, is_final=True))
        if is_full:
            words = "Too much is being sent here. Nothing was charged; try again in a few seconds."
            raise Bad(Problem(503, "service_unavailable", words, AWAY_RETRY_S))
