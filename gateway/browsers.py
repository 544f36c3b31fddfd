"""Pages of any origin may call models from the browser: only the key that they send lets them in, and no cookie is read."""

import re
from collections.abc import Mapping

from gateway.asgi import Message, Send

ANY_ORIGIN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"request-id, retry-after, x-request-id"),
)
# Browsers ask again after it; most of them sooner.
STANDS_S = 86_400
# Headers that a page wants to send: names with commas between them.
_NAMES = re.compile(r"[\w\-, ]{1,2000}", re.ASCII)
_USUAL_NAMES = "authorization, content-type"


def opened(send: Send) -> Send:
    """The same, for pages of any origin too."""

    async def to_any_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *ANY_ORIGIN]}
        await send(message)

    return to_any_origin


def preflight(headers: Mapping[str, str], allow: str) -> dict[str, str]:
    """Headers for a browser that asks what it may send, by OPTIONS, to an address that takes these methods."""
    asked = headers.get("access-control-request-headers", "")
    return {
        "allow": allow,
        "access-control-allow-methods": allow,
        # "*" would not stand for Authorization.
        "access-control-allow-headers": asked if _NAMES.fullmatch(asked) else _USUAL_NAMES,
        "access-control-max-age": str(STANDS_S),
        "vary": "Access-Control-Request-Headers",
    }
