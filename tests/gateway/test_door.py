"""What stands before LiteLLM, with an application in its place that does as the test says."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway import bodies, door, passage, requests
from gateway.asgi import Message, Receive, Scope, Send
from gateway.browsers import ANY_ORIGIN
from gateway.calls import CURRENT, Call, Report
from gateway.door import Door
from gateway.gateway import Gateway
from gateway.metering import Admission, Away, Question, Refused
from gateway.requests import Said
from gateway.settings import Settings

KEY = (b"authorization", b"Bearer sk-customer")
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
SSE = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]
CALL_ID = "01900000-0000-7000-8000-000000000001"
USED = {"input_tokens": 1, "output_tokens": 2}


class FakeGateway:
    """Lets everybody in but for `refusal`, and keeps what it is told. `log` is all that happens, in order."""

    def __init__(self) -> None:
        self.settings = Settings("http://127.0.0.1:1", "k", Path("/nowhere"), most_body_bytes=2**20)
        self.catalogue = SimpleNamespace(
            units_of=lambda model: {"input_tokens", "output_tokens", "characters"},
            provider_of=lambda model: "openai",
            can_serve=lambda model: model != "unserved",
            has_tiers=lambda model: model == "claude-long",
        )
        self.admissions, self.metering = self, self
        self.refusal: Exception | None = None
        self.questions: list[Question] = []
        self.reports: list[Report] = []
        self.log: list[str] = []
        self.is_broken, self.is_ready, self.problem = False, True, ""

    async def ask(self, question: Question) -> Admission:
        self.questions.append(question)
        if self.refusal:
            raise self.refusal
        return Admission(CALL_ID, 1, 1, 1, 1)

    async def models(self, key: str) -> list[dict[str, Any]]:
        if key != "sk-customer":
            raise Refused(401, "invalid_key", "This API key is unknown.")
        return [{"id": "gpt-4o", "object": "model"}, {"id": "unserved", "object": "model"}]

    async def read_form(self, scope: Scope, body: bytes) -> Mapping[str, Any]:
        return {"model": "whisper-1", "file": object()}

    def begin(self, admission: Admission, said: Said, *, endpoint: str, client_ip: str | None) -> Call:
        return Call(
            admission.call_id,
            admission.token_id,
            said.model,
            endpoint,
            client_ip,
            said.is_stream,
            self.end,
            priced_units=frozenset({"input_tokens", "output_tokens"}),
            expected_tokens=said.input_tokens or 0,
        )

    async def end(self, report: Report) -> None:
        await asyncio.sleep(0.01)
        self.log.append(f"report {report['status']}")
        self.reports.append(report)


class Client:
    """One request. `leaves_after` is the number of bodies after which it hangs up."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self.sent: list[Message] = []
        self.is_gone = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self._gateway.log.append(message.get("body", b"").decode("latin-1") or message["type"])

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]


Inside = Callable[[Scope, Receive, Send], Awaitable[None]]


def _scope(path: str, method: str = "POST", headers: list[tuple[bytes, bytes]] | None = None) -> Scope:
    return {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [KEY] if headers is None else headers,
        "query_string": b"",
        "client": ("203.0.113.9", 5),
    }


def _ask(
    inside: Inside,
    *,
    path: str = "/v1/chat/completions",
    body: object = CHAT,
    parts: list[Message] | None = None,
    gateway: FakeGateway | None = None,
    **more: Any,
) -> tuple[Client, FakeGateway]:
    """One request from its beginning until all that comes of it is done."""
    gateway = gateway or FakeGateway()

    async def run() -> Client:
        client = Client(gateway)
        whole = body if isinstance(body, bytes) else json.dumps(body).encode()
        waiting = parts if parts is not None else [{"type": "http.request", "body": whole}]

        async def receive() -> Message:
            if waiting:
                return waiting.pop(0)
            await client.is_gone.wait()
            return {"type": "http.disconnect"}

        try:
            await Door(inside, cast("Gateway", gateway))(_scope(path, **more), receive, client.send)
        finally:
            await asyncio.gather(*passage.ENDING)
        return client

    return asyncio.run(run()), gateway


def _telling(*parts: bytes, headers: list[tuple[bytes, bytes]] = SSE, status: int = 200) -> Inside:
    """Answers with these parts, and tells a moment after the last of them what was used, as LiteLLM does."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        asyncio.get_running_loop().call_later(0.01, _tell_later)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return inside


_TOLD: set[asyncio.Task[None]] = set()


def _tell_later() -> None:
    call = CURRENT.get()
    assert call is not None
    task = asyncio.create_task(call.succeeded(USED))
    _TOLD.add(task)


def _never(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    raise AssertionError("Nothing must come so far.")


SAYS_400 = b'data: {"id":"1","choices":[{"delta":{"content":"' + b"word" * 100 + b'"}}]}\n\n'
OPENAI_END = b"data: [DONE]\n\n"
ANTHROPIC_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
RESPONSES_END = b"event: response.completed\ndata: {}\n\n"
GOOGLE_END = b'data: {"candidates":[{"content":{},"finishReason":"STOP"}]}\n\n'
GOOGLE = "/v1beta/models/gpt-4o:streamGenerateContent"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/v1/chat/completions", OPENAI_END),
        ("/v1/messages", ANTHROPIC_END),
        ("/v1/responses", RESPONSES_END),
        ("/v1/responses", b'data: {"type":"response.completed","response":{}}\n\n'),
        (GOOGLE, GOOGLE_END),
    ],
)
def test_the_end_of_a_stream_waits_for_the_report(path: str, end: bytes) -> None:
    client, gateway = _ask(_telling(b"data: {}\n\n", end), path=path)
    assert gateway.log == [
        "http.response.start",
        "data: {}\n\n",
        "report succeeded",
        end.decode(),
        "http.response.body",
    ]
    assert client.status == 200


def test_the_end_is_found_though_it_comes_in_two_pieces() -> None:
    _, gateway = _ask(_telling(b"data: {}\n\n" + ANTHROPIC_END[:17], ANTHROPIC_END[17:]), path="/v1/messages")
    assert gateway.log.index("report succeeded") < gateway.log.index(ANTHROPIC_END[17:].decode())


@pytest.mark.parametrize(
    "text",
    ["data: [DONE]", "\ndata: [DONE]", "\nevent: message_stop", '"finishReason": "STOP"'],
)
def test_a_text_that_looks_like_an_end_is_none(text: str) -> None:
    parts = [
        f"data: {json.dumps({'content': text})}\n\n".encode(),
        b'data: {"content":"more"}\n\n',
    ]
    for path in ("/v1/chat/completions", GOOGLE):
        _, gateway = _ask(_telling(*parts, OPENAI_END), path=path)
        assert gateway.log.index("report succeeded") > gateway.log.index(parts[1].decode())


def test_the_end_of_an_answer_in_one_piece_waits_for_the_report() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        asyncio.get_running_loop().call_later(0.01, _tell_later)
        await send({"type": "http.response.body", "body": b'{"all":1}', "more_body": False})

    client, gateway = _ask(inside)
    assert gateway.log == ["report succeeded", "http.response.start", '{"all":1}']
    assert client.body == b'{"all":1}'


def test_the_last_piece_of_a_sound_waits_for_the_report() -> None:
    _, gateway = _ask(
        _telling(b"one", b"two", b"three", headers=[(b"content-type", b"audio/mpeg")]),
        path="/v1/audio/speech",
    )
    assert gateway.log == [
        "http.response.start",
        "one",
        "two",
        "report succeeded",
        "three",
        "http.response.body",
    ]


def test_the_report_says_what_was_asked_and_what_was_told() -> None:
    _, gateway = _ask(_telling(b"data: {}\n\n", OPENAI_END), body={**CHAT, "stream": True})
    (report,) = gateway.reports
    assert report["usage"] == USED
    assert (report["model"], report["stream"], report["endpoint"]) == (
        "gpt-4o",
        True,
        "/v1/chat/completions",
    )
    assert report["client_ip"] == "203.0.113.9"
    assert 0 <= report["first_token_ms"] <= report["latency_ms"]
    (question,) = gateway.questions
    assert (question.key, question.model, question.client_ip) == ("sk-customer", "gpt-4o", "203.0.113.9")


def test_an_answer_has_the_id_of_its_call_and_nothing_of_others() -> None:
    told = [
        *SSE,
        (b"x-request-id", b"theirs"),
        (b"x-litellm-call-id", b"1"),
        (b"llm_provider-x-ratelimit-remaining", b"1"),
        (b"x-ratelimit-remaining-requests", b"1"),
        (b"set-cookie", b"a=b"),
    ]
    client, _ = _ask(_telling(OPENAI_END, headers=told))
    assert client.headers == {
        b"content-type": b"text/event-stream",
        b"x-request-id": CALL_ID.encode(),
        b"request-id": CALL_ID.encode(),
        **dict(ANY_ORIGIN),
    }


def test_litellm_sees_the_call_and_neither_key_nor_what_would_steer_it() -> None:
    seen: list[Scope] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await _telling(OPENAI_END)(scope, receive, send)

    headers = [
        KEY,
        (b"x-api-key", b"sk-customer"),
        (b"x-litellm-tags", b"a"),
        (b"langfuse_host", b"a"),
        (b"cookie", b"a=b"),
        (b"anthropic-beta", b"extended-cache-ttl"),
        (b"content-type", b"text/plain"),
        (b"x-forwarded-for", b"1.1.1.1"),
    ]
    _ask(inside, path="/chat/completions/v1/chat/completions/", headers=headers)
    (scope,) = seen
    assert (scope["path"], scope["query_string"]) == ("/v1/chat/completions", b"")
    assert dict(scope["headers"]) == {
        b"anthropic-beta": b"extended-cache-ttl",
        b"content-type": b"application/json",
        b"authorization": f"Bearer sk-{CALL_ID}".encode(),
        b"content-length": str(len(json.dumps(CHAT))).encode(),
    }


def _failing(status: int, body: bytes, headers: list[tuple[bytes, bytes]] = JSON) -> Inside:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        call = CURRENT.get()
        assert call is not None
        call.failure, call.retry_after = "It was told, too.", "7"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body[:9], "more_body": True})
        await send({"type": "http.response.body", "body": body[9:], "more_body": False})

    return inside


def test_a_providers_429_arrives_with_its_retry_after() -> None:
    body = json.dumps({"error": {"message": "litellm.RateLimitError: Slow down."}}).encode()
    client, gateway = _ask(_failing(429, body))
    assert (client.status, client.headers[b"retry-after"]) == (429, b"7")
    assert client.error == {
        "message": "The provider of this model is busy: Slow down.",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert client.headers[b"x-request-id"] == CALL_ID.encode()
    (report,) = gateway.reports
    assert (report["status"], report["usage"]) == ("failed", {})
    assert report["error"] == "The provider of this model is busy: Slow down."


def test_a_providers_failure_has_the_format_of_the_call() -> None:
    client, _ = _ask(_failing(500, b"It broke."), path="/v1/messages")
    assert client.status == 502
    assert json.loads(client.body) == {
        "type": "error",
        "error": {"type": "api_error", "message": "The provider failed: It broke."},
    }
    client, _ = _ask(_failing(401, b'{"error":"no key"}'), path=GOOGLE)
    assert client.status == 502
    assert client.error["status"] == "INTERNAL"
    assert client.error["message"] == "The provider of this model refused the call."


def test_a_providers_words_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    _ask(_failing(401, json.dumps({"error": "No.\n2026-01-01 ERROR gateway: All is lost."}).encode()))
    assert "No." in caplog.text
    assert len(caplog.text.splitlines()) == 1


def test_an_unknown_previous_answer_is_the_clients_mistake(caplog: pytest.LogCaptureFixture) -> None:
    said = "Forbidden. This response id was not issued by this proxy, so the proxy cannot tell who owns it."
    client, gateway = _ask(_failing(403, json.dumps({"error": said}).encode()), path="/v1/responses")
    assert (client.status, client.error["code"]) == (400, "previous_response_not_found")
    assert gateway.reports[0]["status"] == "failed"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("path", "code"), [("/v1/chat/completions", "rate_limit_exceeded"), ("/v1/messages", None)]
)
def test_who_is_refused_comes_no_further(path: str, code: str | None) -> None:
    gateway = FakeGateway()
    gateway.refusal = Refused(429, "rate_limited", "Slow down.", 3)
    client, gateway = _ask(_never, path=path, gateway=gateway)
    assert (client.status, client.headers[b"retry-after"]) == (429, b"3")
    assert client.error.get("code") == code
    assert not gateway.reports


def test_nobody_is_let_in_while_nobody_can_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    gateway = FakeGateway()
    gateway.refusal = Away("nobody there")
    with caplog.at_level(logging.WARNING):
        client, _ = _ask(_never, gateway=gateway)
    assert (client.status, client.headers[b"retry-after"]) == (503, b"5")
    assert caplog.text == ""  # Admission says so once.
    assert b"nobody there" not in client.body


def test_nobody_is_let_in_while_the_journal_is_broken() -> None:
    gateway = FakeGateway()
    gateway.is_broken = True
    client, _ = _ask(_never, gateway=gateway)
    assert client.status == 503
    assert not gateway.questions


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"path": "/v1/nothing"}, 404, "not_found"),
        ({"path": "/key/generate"}, 404, "not_found"),
        ({"method": "GET"}, 405, "method_not_allowed"),
        ({"method": "DELETE"}, 405, "method_not_allowed"),
        ({"headers": []}, 401, "invalid_api_key"),
        ({"body": b"no JSON"}, 400, "invalid_json"),
        ({"body": {"model": ["gpt-4o"]}}, 400, "invalid_model"),
        ({"body": b"x" * (2**20 + 1)}, 413, "request_too_large"),
        ({"headers": [KEY, (b"content-length", b"99999999")]}, 413, "request_too_large"),
        ({"headers": [KEY, (b"content-encoding", b"gzip")]}, 415, "invalid_encoding"),
        ({"parts": [{"type": "http.disconnect"}]}, 400, "incomplete_body"),
        ({"path": "/v1/audio/transcriptions"}, 415, "invalid_content_type"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_before_anybody_is_asked(
    more: dict[str, Any], status: int, code: str
) -> None:
    client, gateway = _ask(_never, **more)
    assert (client.status, client.error["code"]) == (status, code)
    assert not gateway.questions


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/chat/completions", {"type": "invalid_request_error", "code": "model_not_found"}),
        ("/v1/messages", {"type": "not_found_error"}),
        ("/v1beta/models/unserved:generateContent", {"status": "NOT_FOUND"}),
    ],
)
def test_a_model_whose_provider_has_no_key_here_is_not_there(path: str, said: dict[str, str]) -> None:
    client, gateway = _ask(_never, path=path, body={**CHAT, "model": "unserved"})
    assert client.status == 404
    assert client.error.items() >= {**said, "message": "This gateway has no provider for unserved."}.items()
    assert not gateway.questions


@pytest.mark.parametrize(
    ("path", "allow"), [("/v1/messages", "POST, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS")]
)
def test_another_method_is_told_which_there_are(path: str, allow: str) -> None:
    client, _ = _ask(_never, path=path, method="PUT")
    assert (client.status, client.headers[b"allow"].decode()) == (405, allow)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (b"authorization,content-type,x-stainless-os", b"authorization,content-type,x-stainless-os"),
        (b"x-a\r\nset-cookie: b", b"authorization, content-type"),
        (b"", b"authorization, content-type"),
    ],
)
def test_a_browser_may_ask_first(asked: bytes, told: bytes) -> None:
    client, gateway = _ask(
        _never, method="OPTIONS", headers=[(b"access-control-request-headers", asked)], body=b""
    )
    assert (client.status, client.body) == (200, b"")
    assert client.headers[b"access-control-allow-methods"] == b"POST, OPTIONS"
    assert client.headers[b"access-control-allow-headers"] == told
    assert not gateway.questions


@pytest.mark.parametrize("more", [{}, {"path": "/v1/models", "method": "GET"}, {"headers": []}])
def test_a_page_of_any_origin_may_read_every_answer(more: dict[str, Any]) -> None:
    client, _ = _ask(_telling(b"data: {}\n\n", OPENAI_END), **more)
    assert client.headers[b"access-control-allow-origin"] == b"*"
    assert b"x-request-id" in client.headers[b"access-control-expose-headers"]
    assert b"access-control-allow-credentials" not in client.headers


def test_a_body_that_is_too_long_is_read_before_it_is_refused() -> None:
    parts: list[Message] = [
        {"type": "http.request", "body": b"x" * 2**19, "more_body": True} for _ in range(4)
    ]
    parts.append({"type": "http.request", "body": b"", "more_body": False})
    client, _ = _ask(_never, parts=parts)
    assert (client.status, len(parts)) == (413, 0)


def test_a_body_without_an_end_is_not_read_to_it() -> None:
    parts: list[Message] = [
        {"type": "http.request", "body": b"x" * 2**19, "more_body": True} for _ in range(20)
    ]
    client, _ = _ask(_never, parts=parts)
    assert client.status == 413
    assert len(parts) == 11


def test_a_long_body_is_read_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*given: Any) -> Said:
        time.sleep(0.3)
        return read(*given)

    async def run(content: str) -> int:
        async def count() -> None:
            while True:
                await asyncio.sleep(0.01)
                turns.append(1)

        turns: list[int] = []
        counting = asyncio.create_task(count())

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps({**CHAT, "user": content}).encode()}

        client = Client(gateway := FakeGateway())
        inside = _telling(OPENAI_END)
        await Door(inside, cast("Gateway", gateway))(_scope("/v1/chat/completions"), receive, client.send)
        counting.cancel()
        assert client.status == 200
        return len(turns)

    read = requests.of_json
    monkeypatch.setattr(requests, "of_json", slow)
    assert asyncio.run(run("x" * door.LONG_BODY)) > 10


def test_a_form_is_passed_as_it_came() -> None:
    seen: list[Scope] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        body = await receive()
        assert body["body"] == b"--b--"

        async def again() -> Message:
            return body

        await _telling(b'{"text":""}', headers=JSON)(scope, again, send)

    kind = (b"content-type", b"multipart/form-data; boundary=b")
    _ask(inside, path="/v1/audio/transcriptions", body=b"--b--", headers=[KEY, kind])
    assert kind in seen[0]["headers"]


def test_a_form_that_can_not_be_read_is_refused() -> None:
    class Unreadable(FakeGateway):
        async def read_form(self, scope: Scope, body: bytes) -> Mapping[str, Any]:
            raise ValueError("no boundary")

    kind = (b"content-type", b"multipart/form-data")
    client, gateway = _ask(_never, path="/v1/audio/transcriptions", headers=[KEY, kind], gateway=Unreadable())
    assert (client.status, client.error["code"]) == (400, "invalid_form")
    assert not gateway.questions


def test_what_breaks_before_an_answer_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a secret of ours")

    client, gateway = _ask(inside, path="/v1/messages")
    assert (client.status, client.error["type"]) == (500, "api_error")
    assert b"a secret" not in client.body
    assert gateway.reports[0]["status"] == "failed"
    assert gateway.reports[0]["error"] == "ValueError: a secret of ours"
    assert "a secret of ours" in caplog.text


def test_what_breaks_before_any_of_an_answer_went_out_is_a_failure() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        raise ValueError("broken")

    gateway = FakeGateway()
    with pytest.raises(ValueError, match="broken"):
        _ask(inside, gateway=gateway)
    assert gateway.reports[0]["status"] == "failed"


def test_an_answer_that_nobody_counted_is_estimated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(passage, "TOLD_WITHIN_S", 0.01)

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        for body in (SAYS_400, OPENAI_END):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    client, gateway = _ask(inside)
    (report,) = gateway.reports
    assert (report["status"], report["estimated"]) == ("succeeded", True)
    assert report["usage"]["output_tokens"] == 100
    assert report["usage"]["input_tokens"] > 0
    assert client.body.endswith(OPENAI_END)
    assert "it is estimated" in caplog.text


def test_an_answer_in_one_piece_is_estimated_before_it_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "TOLD_WITHIN_S", 0.01)

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        await send({"type": "http.response.body", "body": SAYS_400, "more_body": False})

    _, gateway = _ask(inside)
    assert gateway.reports[0]["usage"]["output_tokens"] == 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"twelve bytes","role":"assistant"}}]}',
        b'{"delta": {"type": "text_delta", "text": "twelve bytes"}}',
        b'{"candidates": [{"content": {"role": "model", "parts": [{"text": "twelve bytes"}]}}]}',
        b'{"type":"response.output_text.delta","delta":"twelve bytes"}',
        b'{"tool_calls":[{"function":{"name":"f","arguments":"twelve \\"\\"s"}}]}',
    ],
)
def test_an_estimate_is_of_what_was_said(body: bytes) -> None:
    assert passage._said_bytes(body) == 12


def test_who_hangs_up_in_a_stream_is_charged_what_was_counted_later() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        asyncio.get_running_loop().call_later(0.02, _tell_later)

    _, gateway = _ask(inside)
    assert [report["status"] for report in gateway.reports] == ["succeeded"]
    assert gateway.reports[0]["usage"] == USED


def test_who_hangs_up_and_is_never_counted_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "TOLD_AFTER_LEAVING_S", 0.01)

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": SAYS_400, "more_body": True})

    _, gateway = _ask(inside)
    (report,) = gateway.reports
    assert (report["status"], report["estimated"], report["usage"]["output_tokens"]) == (
        "succeeded",
        True,
        100,
    )


def test_a_provider_is_heard_out_though_the_client_left() -> None:
    """Its count stands at the end; a server may also complain of what can't be sent any more."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await receive()  # It would hear that the client left.
        call = CURRENT.get()
        assert call
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        await call.succeeded({"input_tokens": 3, "reasoning_tokens": 7})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run() -> None:
        async def receive() -> Message:
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise OSError("The client left.")

        parts = [{"type": "http.request", "body": json.dumps(CHAT).encode()}]
        await Door(inside, cast("Gateway", gateway))(_scope("/v1/chat/completions"), receive, send)

    gateway = FakeGateway()
    asyncio.run(run())
    (report,) = gateway.reports
    assert (report["status"], report["usage"]) == ("succeeded", {"input_tokens": 3, "reasoning_tokens": 7})


def _stalling(bodies: int) -> tuple[list[Message], Send]:
    """A client that takes in an answer's head and so many bodies, and then nothing more."""
    taken: list[Message] = []

    async def send(message: Message) -> None:
        if len(taken) > bodies:
            await asyncio.Event().wait()
        taken.append(message)

    return taken, send


async def _served(inside: Inside, gateway: FakeGateway, send: Send) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(CHAT).encode()}

    await Door(inside, cast("Gateway", gateway))(_scope("/v1/chat/completions"), receive, send)


def test_a_provider_is_heard_out_though_the_client_takes_in_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that at its own pace: one wait, not one for each part."""
    monkeypatch.setattr(passage, "SEND_WITHIN_S", 0.05)
    taken, send = _stalling(bodies=1)
    gateway, parts = FakeGateway(), [b"data: {}\n\n"] * 1000

    async def run() -> None:
        async with asyncio.timeout(5):
            await _served(_telling(*parts, OPENAI_END), gateway, send)

    asyncio.run(run())
    assert [report["usage"] for report in gateway.reports] == [USED]
    assert [message.get("body") for message in taken] == [None, parts[0]]


def test_what_is_long_goes_out_in_pieces_so_that_a_slow_client_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passage, "SENT_AT_ONCE", 10)
    taken, send = _stalling(bodies=9)
    bodies = [b"0123456789", b"0123456789abc", b"0123456789abcdefghij"]
    headers = [(b"content-type", b"audio/mpeg")]
    asyncio.run(_served(_telling(*bodies, headers=headers), FakeGateway(), send))
    sent = [(message["body"], message.get("more_body")) for message in taken[1:]]
    assert sent == [
        (b"0123456789", True),
        (b"0123456789", True),
        (b"abc", True),
        (b"0123456789", True),
        (b"abcdefghij", True),
        (b"", False),
    ]


def test_who_hangs_up_before_an_answer_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "TOLD_WITHIN_S", 0.01)

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        return

    _, gateway = _ask(inside)
    (report,) = gateway.reports
    assert (report["status"], report["error"]) == ("failed", "The client left before there was an answer.")


def test_one_model_is_told_of() -> None:
    client, _ = _ask(_never, path="/v1/models/gpt-4o", method="GET")
    assert json.loads(client.body) == {"id": "gpt-4o", "object": "model"}
    for name in ("unserved", "nothing"):
        client, _ = _ask(_never, path=f"/v1/models/{name}", method="GET")
        assert (client.status, client.error["code"]) == (404, "model_not_found")
        assert name in client.error["message"]


def test_models_are_the_keys_own() -> None:
    client, _ = _ask(_never, path="/v1/models", method="GET")
    assert client.status == 200
    assert json.loads(client.body) == {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}
    client, _ = _ask(_never, path="/models", method="HEAD")
    assert client.status == 200
    client, _ = _ask(_never, path="/v1/models", method="GET", headers=[(b"x-api-key", b"sk-other")])
    assert (client.status, client.error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("is_ready", "problem", "status", "body"),
    [
        (True, "", 200, {"status": "ok"}),
        (True, "Reports wait.", 200, {"status": "degraded", "problem": "Reports wait."}),
        (False, "Broken.", 503, {"status": "degraded", "problem": "Broken."}),
    ],
)
def test_health(is_ready: bool, problem: str, status: int, body: object) -> None:
    gateway = FakeGateway()
    gateway.is_ready, gateway.problem = is_ready, problem
    client, _ = _ask(_never, path="/readyz", method="GET", headers=[], gateway=gateway)
    assert (client.status, json.loads(client.body)) == (status, body)
    client, _ = _ask(_never, path="/healthz", method="GET", headers=[], gateway=gateway)
    assert client.status == 200


def test_web_sockets_are_closed_and_the_lifespan_is_litellms() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": f"{scope['type']} inside"})

    async def run(kind: str) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": f"{kind}.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await Door(inside, cast("Gateway", FakeGateway()))({"type": kind}, receive, send)
        return sent

    (closed,) = asyncio.run(run("websocket"))
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
    assert asyncio.run(run("lifespan")) == [{"type": "lifespan inside"}]


def test_a_body_that_takes_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN_S", 0.01)
    client, gateway = _ask(_never, parts=[{"type": "http.request", "body": b"{", "more_body": True}])
    assert (client.status, client.error["code"]) == (408, "request_timeout")
    assert not gateway.questions
