"""What stands before LiteLLM: lets a call in, hands it on, and sees to it that it ends exactly once.

The end of an answer waits here until the call's report is on the disk: the last line of a stream, or all of an answer in
one piece. So what a client has whole is in the journal, whatever happens next.
"""

import asyncio
import json
import logging
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl

from gateway import answers, browsers, requests, routes
from gateway.answers import Problem
from gateway.asgi import App, Message, Receive, Scope, Send, answer, headers_of
from gateway.calls import CURRENT, Call
from gateway.gateway import Gateway
from gateway.metering import Away, Question, Refused
from gateway.requests import Bad, Said
from gateway.routes import Route, Style

log = logging.getLogger("gateway.door")

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
# Times the longest body.
READ_AND_DROPPED = 4
BODY_WITHIN_S = 60.0
MOST_ERROR_BYTES = 100_000
# What a client may tell the provider, and what the provider may tell the client. The rest is between others: keys,
# what steers LiteLLM, the limits of our account at the provider.
HEADERS_IN = {
    b"accept",
    b"anthropic-beta",
    b"anthropic-version",
    b"content-type",
    b"host",
    b"openai-beta",
    b"user-agent",
}
HEADERS_OUT = {b"cache-control", b"content-disposition", b"content-length", b"content-type"}


class Door:
    """The ASGI application that is served."""

    def __init__(self, inside: App, gateway: Gateway, own_names: Container[str] = ()) -> None:
        self._inside, self._gateway, self._own_names = inside, gateway, own_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inside(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008, "reason": "Calls by web socket are not offered."}
            )
        else:
            await self._http(scope, receive, browsers.opened(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        headers = headers_of(scope)
        if path == "/healthz":
            await answer(send, 200, {"content-type": "application/json"}, b'{"status":"ok"}')
            return
        if path == "/readyz":
            await self._readyz(send)
            return
        route = routes.call_of(path)
        style = route.style if route else routes.style_of(path, headers)
        try:
            allow = "POST, OPTIONS" if route else "GET, HEAD, OPTIONS" if routes.is_models(path) else ""
            if not allow:
                raise Bad(Problem(404, "not_found", f"There is nothing at {path[:200]}.", is_final=True))
            if method == "OPTIONS":
                await answer(send, 200, browsers.preflight(headers, allow), b"")
            elif method not in allow.split(", "):
                message = f"This address takes {allow}."
                raise Bad(Problem(405, "method_not_allowed", message, is_final=True, allow=allow))
            elif route is None:
                await self._models(headers, style, send)
            else:
                await self._call(scope, route, headers, receive, send)
        except Bad as bad:
            await answer(send, *answers.written(bad.problem, style))
        except Refused as refused:
            await answer(send, *answers.written(answers.refusal(refused, style), style))
        except Away as why:
            log.debug("Refused a call: %s", why)
            await answer(send, *answers.written(answers.away(), style))

    async def _readyz(self, send: Send) -> None:
        problem = self._gateway.problem
        body = {"status": "ok"} if not problem else {"status": "degraded", "problem": problem}
        await answer(
            send,
            200 if self._gateway.is_ready else 503,
            {"content-type": "application/json"},
            json.dumps(body).encode(),
        )

    async def _models(self, headers: Mapping[str, str], style: Style, send: Send) -> None:
        status, body = await self._gateway.metering.models(requests.key_of(headers, {}))
        if status == 401:
            raise Refused(401, "invalid_key", "This API key is unknown, revoked or expired.")
        await answer(send, status, {"content-type": "application/json", "cache-control": "no-store"}, body)

    async def _call(
        self, scope: Scope, route: Route, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        key = requests.key_of(headers, query)
        if self._gateway.is_broken:
            raise Away("The journal can't be written.")
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _read(headers, receive, self._gateway.settings.most_body_bytes)
        except TimeoutError:
            raise Bad(Problem(408, "request_timeout", "The body took too long to arrive.")) from None
        said = await self._said(scope, route, headers, body)
        peer = (scope.get("client") or ("",))[0]
        address = requests.client_ip(
            peer, headers.get("x-forwarded-for", ""), self._gateway.settings.trusted_proxies
        )
        requests.check_priced(route, said.body, self._gateway.catalogue.units_of(said.model))
        admission = await self._gateway.admissions.ask(
            Question(key, said.model, address, said.input_tokens, said.max_output_tokens)
        )
        call = self._gateway.begin(admission, said, endpoint=route.path, client_ip=address)
        call.asked_bytes = len(body)
        token = CURRENT.set(call)
        try:
            await _Passage(call, route, send).through(self._inside, _inner(scope, route, call, body), body)
        finally:
            CURRENT.reset(token)

    async def _said(self, scope: Scope, route: Route, headers: Mapping[str, str], body: bytes) -> Said:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not route.is_form:
            return requests.of_json(route, body, self._own_names)
        if kind != "multipart/form-data":
            raise Bad(
                Problem(415, "invalid_content_type", "The body must be multipart/form-data.", is_final=True)
            )
        try:
            fields = await self._gateway.read_form(scope, body)
        except Exception as error:
            # Of the library that reads it, which is LiteLLM's and not known here.
            raise Bad(Problem(400, "invalid_form", "The form can't be read.", is_final=True)) from error
        return requests.of_form(route, fields, self._own_names)


class _Passage:
    """One call on its way through LiteLLM, and its answer on the way back."""

    def __init__(self, call: Call, route: Route, send: Send) -> None:
        self._call, self._route = call, route

        async def to_client(message: Message) -> None:
            with suppress(OSError):  # The client left; what comes is counted all the same.
                await send(message)

        self._send = to_client
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
            self._call.first_byte_s = asyncio.get_running_loop().time()
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
        if self._status in answers.OURS:
            log.error("The provider refused call %s: %s", self._call.call_id, said[:1000])
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
        _ENDING.add(task)
        task.add_done_callback(_ENDING.discard)

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


_ENDING: set[asyncio.Task[None]] = set()


def _inner(scope: Scope, route: Route, call: Call, body: bytes) -> Scope:
    """The request as LiteLLM sees it: at its address, with a name for the call in place of the client's key."""
    headers = [(name, value) for name, value in scope["headers"] if name in HEADERS_IN]
    if not route.is_form:
        headers = [(name, value) for name, value in headers if name != b"content-type"]
        headers.append((b"content-type", b"application/json"))
    headers += [
        (b"authorization", f"Bearer sk-{call.call_id}".encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    query = b"alt=sse" if route.style is Style.GOOGLE and route.is_stream else b""
    return {
        **scope,
        "path": route.path,
        "raw_path": route.path.encode(),
        "query_string": query,
        "headers": headers,
        "state": {},
    }


async def _read(headers: Mapping[str, str], receive: Receive, most: int) -> bytes:
    """All of the body. Raises Bad.

    Of one that is too long the rest is read and dropped, as far as there is reason in it: a client that still sends
    reads no answer.
    """
    length = headers.get("content-length", "")
    if headers.get("content-encoding", "identity") != "identity":
        raise Bad(Problem(415, "invalid_encoding", "Send the body without compression.", is_final=True))
    body, total, is_last = bytearray(), 0, length.isdigit() and int(length) > READ_AND_DROPPED * most
    while not is_last and total <= READ_AND_DROPPED * most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Bad(Problem(400, "incomplete_body", "The body broke off."))
        part = message.get("body", b"")
        total += len(part)
        if total <= most:
            body += part
        is_last = not message.get("more_body", False)
    if total > most or not is_last or (length.isdigit() and int(length) > most):
        words = f"The body is longer than {most // 2**20} MiB."
        raise Bad(Problem(413, "request_too_large", words, is_final=True))
    return bytes(body)


def _said_bytes(body: bytes) -> int:
    return sum(len(said) for said in SAID.findall(body))


def _named(call_id: str) -> list[tuple[bytes, bytes]]:
    """The call's id where OpenAI's clients look for it, and where Anthropic's do."""
    return [(b"x-request-id", call_id.encode()), (b"request-id", call_id.encode())]
