"""The words of ASGI, in which servers and applications speak, and an answer in one piece."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def headers_of(scope: Scope) -> dict[str, str]:
    """By their names in lower case."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        before = found.get(name.decode("latin-1"))
        # Of proxies each may add a line of its own; of all else the first one counts.
        if before is None:
            found[name.decode("latin-1")] = text
        elif name == b"x-forwarded-for":
            found["x-forwarded-for"] = f"{before}, {text}"
    return found


async def answer(
    send: Send,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """All of it; `more` are headers as they go out."""
    told = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    told += [*more, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body, "more_body": False})
