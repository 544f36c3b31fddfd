"""What stands before LiteLLM: lets a call in, and hands it on."""

import asyncio
import json
import logging
from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

from gateway import answers, browsers, requests, routes
from gateway.answers import Problem
from gateway.asgi import App, Receive, Scope, Send, answer, headers_of
from gateway.bodies import Bodies
from gateway.calls import CURRENT, Call
from gateway.gateway import Gateway
from gateway.metering import Away, Question, Refused
from gateway.passage import Passage
from gateway.requests import Bad, Said
from gateway.routes import Route, Style

log = logging.getLogger("gateway.door")

# A body that is longer is read by a thread, which leaves the others some time.
LONG_BODY = 2**18
# What a client may tell the provider. The rest is between others: keys, and what steers LiteLLM.
HEADERS_IN = {
    b"accept",
    b"anthropic-beta",
    b"anthropic-version",
    b"content-type",
    b"host",
    b"openai-beta",
    b"user-agent",
}


class Door:
    """The ASGI application that is served."""

    def __init__(self, inside: App, gateway: Gateway, own_names: Container[str] = ()) -> None:
        self._inside, self._gateway, self._own_names = inside, gateway, own_names
        self._bodies = Bodies(gateway.settings.most_body_bytes)
        # Two would not be quicker, and hold more.
        self._reader = ThreadPoolExecutor(1, "reader")

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
        path, headers = scope["path"], headers_of(scope)
        if path in ("/healthz", "/readyz"):
            await self._health(path, send)
            return
        route = routes.call_of(path)
        style = route.style if route else routes.style_of(path, headers)
        try:
            await self._answer(scope, route, headers, receive, send)
        except Bad as bad:
            await answer(send, *answers.written(bad.problem, style))
        except Refused as refused:
            await answer(send, *answers.written(answers.refusal(refused, style), style))
        except Away as why:
            log.debug("Refused a call: %s", why)
            await answer(send, *answers.written(answers.away(), style))

    async def _answer(
        self, scope: Scope, route: Route | None, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        """By address and method. Raises Bad, Refused and Away."""
        path, method = scope["path"], scope["method"]
        listed = None if route else routes.listed(path)
        allow = "POST, OPTIONS" if route else "GET, HEAD, OPTIONS"
        if route is None and listed is None:
            raise Bad(Problem(404, "not_found", f"There is nothing at {path[:200]}.", is_final=True))
        if method == "OPTIONS":
            await answer(send, 200, browsers.preflight(headers, allow), b"")
        elif method not in allow.split(", "):
            message = f"This address takes {allow}."
            raise Bad(Problem(405, "method_not_allowed", message, is_final=True, allow=allow))
        elif route:
            await self._call(scope, route, headers, receive, send)
        else:
            await self._models(listed or "", headers, send)

    async def _health(self, path: str, send: Send) -> None:
        problem = self._gateway.problem if path == "/readyz" else ""
        body = {"status": "ok"} if not problem else {"status": "degraded", "problem": problem}
        status = 200 if path == "/healthz" or self._gateway.is_ready else 503
        await answer(send, status, {"content-type": "application/json"}, json.dumps(body).encode())

    async def _models(self, name: str, headers: Mapping[str, str], send: Send) -> None:
        """All that the key may call, or the one of that name."""
        may_call = await self._gateway.metering.models(requests.key_of(headers, {}))
        listed = [model for model in may_call if self._gateway.catalogue.can_serve(model["id"])]
        told = next((model for model in listed if model["id"] == name), None)
        if name and told is None:
            message = f"There is no model {name[:200]!r} that this key may call here."
            raise Bad(Problem(404, "model_not_found", message, is_final=True))
        body = json.dumps(told or {"object": "list", "data": listed}).encode()
        await answer(send, 200, {"content-type": "application/json", "cache-control": "no-store"}, body)

    async def _call(
        self, scope: Scope, route: Route, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        key = requests.key_of(headers, query)
        if self._gateway.is_broken:
            raise Away("The journal can't be written.")
        async with self._bodies.read(headers, receive) as body:
            said = await self._said(scope, route, headers, body)
            self._check_offered(route, said)
            question = Question(
                key, said.model, self._address(scope, headers), said.input_tokens, said.max_output_tokens
            )
            admission = await self._gateway.admissions.ask(question)
        call = self._gateway.begin(admission, said, endpoint=route.path, client_ip=question.client_ip)
        call.asked_bytes = len(body)
        body = said.instead or body
        may_be_long = self._gateway.catalogue.has_tiers(said.model)
        inner = _inner(scope, route, call, body, may_be_long=may_be_long)
        token = CURRENT.set(call)
        try:
            await Passage(call, route, send).through(self._inside, inner, body)
        finally:
            CURRENT.reset(token)

    async def _said(self, scope: Scope, route: Route, headers: Mapping[str, str], body: bytes) -> Said:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if not route.is_form and len(body) <= LONG_BODY:
            return requests.of_json(route, body, self._own_names)
        if not route.is_form:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reader, requests.of_json, route, body, self._own_names)
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

    def _address(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """Of the client."""
        peer, forwarded_for = (scope.get("client") or ("",))[0], headers.get("x-forwarded-for", "")
        return requests.client_ip(peer, forwarded_for, self._gateway.settings.trusted_proxies)

    def _check_offered(self, route: Route, said: Said) -> None:
        """Raises Bad where the call can't be made here, whoever asks."""
        catalogue, model = self._gateway.catalogue, said.model
        if not catalogue.can_serve(model):
            message = f"This gateway has no provider for {model}."
            raise Bad(Problem(404, "model_not_found", message, is_final=True))
        requests.check_priced(route, said, catalogue.units_of(model), catalogue.provider_of(model))


def _inner(scope: Scope, route: Route, call: Call, body: bytes, *, may_be_long: bool) -> Scope:
    """The request as LiteLLM sees it: at its address, with a name for the call in place of the client's key."""
    headers = [(name, value) for name, value in scope["headers"] if name in HEADERS_IN]
    if not may_be_long:
        headers = [
            (name, requests.without_long_context(value) if name == b"anthropic-beta" else value)
            for name, value in headers
        ]
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
