"""A call on its way through LiteLLM, and its answer on the way back: sees to it that the call ends exactly once.

The end of an answer waits here until the call's report is on the disk: the last line of a stream, or all of an answer in
one piece. So what a client has whole is in the journal, whatever happens next.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Sequence

from gateway import answers
from gateway.answers import Problem
from gateway.asgi import App, Message, Scope, Send, answer
from gateway.calls import Call
from gateway.routes import Route, Style

log = logging.getLogger("gateway.passage")

# LiteLLM tells what was used a moment after the answer; where it tells nothing, the count is ours.
TOLD_WITHIN_S = 10.0
# The client is gone, and LiteLLM may read the upstream to its end to learn what it counted.
TOLD_AFTER_LEAVING_S = 60.0
# What ends a stream, at the beginning of a line, where no text of an answer can stand.
LAST_LINES = (
    b"data: [DONE]",
    b"event: message_stop",
    b"event: response.completed",
    b"event: response.incomplete",
    b"event: response.failed",
    # LiteLLM leaves the names of events out of these.
    b'data: {"type":"response.completed"',
    b'data: {"type":"response.incomplete"',
    b'data: {"type":"response.failed"',
)
# The last part of a Google stream says why it ends; in a text this would stand with a backslash.
LAST_OF_GOOGLE = re.compile(rb'"finishReason"\s*:\s*"')
LONGEST_END = 64
# What a model says, in the frames of whichever format: for estimates alone.
SAID = re.compile(
    rb'"(?:text|content|delta|thinking|reasoning_content|partial_json|arguments)"\s*:\s*"((?:[^"\\]|\\.)+)"'
)
# A client that takes in not even so much in so long takes in nothing: 2 kB a second.
SEND_WITHIN_S = 30.0
SENT_AT_ONCE = 65_536
MOST_ERROR_BYTES = 100_000
# What the provider may tell the client. The rest is between others: keys, the limits of our account at the provider.
HEADERS_OUT = {b"cache-control", b"content-disposition", b"content-length", b"content-type"}

ENDING: set[asyncio.Task[None]] = set()


class Passage:
    """Of one call. What goes on after the request is over is in `ENDING`."""

    def __init__(self, call: Call, route: Route, to_client: Send) -> None:
        self._call, self._route, self._to_client = call, route, to_client
        self._is_client_gone = False
        self._status = 0
        self._start: Message = {}
        self._is_stream = False
        self._error = bytearray()
        self._kept: list[Message] = []
        self._sent_bytes = self._said_bytes = 0
        self._tail = b"\n"

    async def through(self, inside: App, scope: Scope, body: bytes) -> None:
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            """That the client left is told to nobody: the provider is heard out, since its count stands at the end."""
            if not waiting:
                await asyncio.Event().wait()
            return waiting.pop()

        try:
            await inside(scope, receive, self._back)
        except Exception as error:
            self._call.failure = self._call.failure or f"{type(error).__name__}: {error}"
            if self._status:
                raise
            log.exception("Call %s broke before there was an answer.", self._call.call_id)
            await self._break()
        finally:
            if not self._call.is_over:
                self._see_to_end()

    async def _back(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin(message)
        elif message["type"] == "http.response.body":
            await (self._refuse(message) if self._status >= 400 else self._pass(message))

    def _begin(self, message: Message) -> None:
        self._status = message["status"]
        kept = [(name, value) for name, value in message["headers"] if name.lower() in HEADERS_OUT]
        self._start = {**message, "headers": [*kept, *_named(self._call.call_id)]}
        self._is_stream = any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in kept
        )

    async def _pass(self, message: Message) -> None:
        """A part of a good answer. What ends it is kept until the call's report is written.

        LiteLLM may tell what was used only after it has handed over the last part, so it is never made to wait for that.
        """
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if body and self._call.first_byte_s is None:
            self._call.first_byte_s = time.monotonic()
        if self._is_stream:
            body = answers.in_stream(body, self._route.style)
            message = {**message, "body": body}
        self._kept.append(message)
        if is_last:
            await self._be_told()
        elif not self._is_stream:
            # Of what comes in pieces any may be the last that has something in it.
            await self._forward(self._kept[:-1])
            return
        elif len(self._kept) > 1 or self._ends(body):
            return
        await self._forward(self._kept[:])

    def _ends(self, body: bytes) -> bool:
        """Whether a stream's last line begins here, or in the piece before and here."""
        seen = self._tail + body
        self._tail = seen[-LONGEST_END:]
        if self._route.style is Style.GOOGLE and LAST_OF_GOOGLE.search(seen):
            return True
        return any(b"\n" + line in seen for line in LAST_LINES)

    async def _forward(self, messages: Sequence[Message]) -> None:
        del self._kept[: len(messages)]
        if self._start and messages:
            start, self._start = self._start, {}
            await self._send(start)
        for message in messages:
            body = message.get("body", b"")
            self._sent_bytes += len(body)
            self._said_bytes += _said_bytes(body)
            await self._send(message)

    async def _send(self, message: Message) -> None:
        """To a client that left, or takes nothing more, nothing is sent; what comes is counted all the same.

        A client that was waited for would keep the provider waiting, and of a call that the provider breaks off nobody
        tells what it used. The connection is closed by the server, as of an answer without an end.
        """
        for part in _parts(message):
            if self._is_client_gone:
                return
            try:
                async with asyncio.timeout(SEND_WITHIN_S):
                    await self._to_client(part)
            except OSError:  # And so of what took too long.
                self._is_client_gone = True

    async def _be_told(self) -> None:
        if not await self._call.wait(TOLD_WITHIN_S if not self._call.failure else 0.2):
            await self._end_by_ourselves()

    async def _refuse(self, message: Message) -> None:
        """An error of the provider's, or of LiteLLM's: in our words, in the client's format."""
        self._error += message.get("body", b"")[: MOST_ERROR_BYTES - len(self._error)]
        if message.get("more_body", False):
            return
        said = answers.sentence(bytes(self._error))
        problem = answers.of_upstream(self._status, said)
        if problem.status >= 500 and answers.is_ours(self._status, said):
            # Its words may have lines of their own.
            log.error("The provider refused call %s: %r", self._call.call_id, said[:1000])
        await self._call.failed(problem.message)
        status, headers, body = answers.written(problem, self._route.style)
        if self._call.retry_after:
            headers["retry-after"] = self._call.retry_after
        self._start = {}
        await answer(self._send, status, headers, body, _named(self._call.call_id))

    async def _break(self) -> None:
        """LiteLLM broke before it began an answer."""
        problem = Problem(500, "internal_error", "The gateway failed. Nothing was charged.")
        await self._call.failed(self._call.failure)
        status, headers, body = answers.written(problem, self._route.style)
        await answer(self._send, status, headers, body, _named(self._call.call_id))

    def _see_to_end(self) -> None:
        """The request is over and the call is not: the client left, or something broke."""
        task = asyncio.create_task(self._end_later())
        ENDING.add(task)
        task.add_done_callback(ENDING.discard)

    async def _end_later(self) -> None:
        if self._call.failure and not self._sent_bytes:
            await self._call.failed(self._call.failure)
        elif not await self._call.wait(self._told_within_s):
            await self._end_by_ourselves()

    @property
    def _told_within_s(self) -> float:
        return TOLD_AFTER_LEAVING_S if self._sent_bytes and not self._call.failure else TOLD_WITHIN_S

    async def _end_by_ourselves(self) -> None:
        """LiteLLM said nothing of a call whose answer went out."""
        if self._call.failure or not self._status:
            await self._call.failed(self._call.failure or "The client left before there was an answer.")
            return
        log.error("Call %s was answered and nobody said what it used; it is estimated.", self._call.call_id)
        kept_bytes = sum(_said_bytes(message.get("body", b"")) for message in self._kept)
        await self._call.estimated(self._said_bytes + kept_bytes)


def _parts(message: Message) -> Iterator[Message]:
    """The message, in pieces where it is long."""
    body = message.get("body", b"")
    for end in range(SENT_AT_ONCE, len(body), SENT_AT_ONCE):
        yield {**message, "body": body[end - SENT_AT_ONCE : end], "more_body": True}
    yield {**message, "body": body[(len(body) - 1) // SENT_AT_ONCE * SENT_AT_ONCE :]} if body else message


def _said_bytes(body: bytes) -> int:
    return sum(len(said) for said in SAID.findall(body))


def _named(call_id: str) -> list[tuple[bytes, bytes]]:
    """The call's id where OpenAI's clients look for it, and where Anthropic's do."""
    return [(b"x-request-id", call_id.encode()), (b"request-id", call_id.encode())]
