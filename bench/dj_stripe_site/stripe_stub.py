"""Answers what dj-stripe asks Stripe while it handles an event: at once, with nothing behind it.

One loop over connections that stay open, and no more of HTTP than a GET: it takes its processor time from the same
machine as dj-stripe, so it must not need much. The benchmark measures it too. Standard library only.
"""

import asyncio
import json
import sys
from typing import Any

COMMON: dict[str, Any] = {"created": 1_767_225_600, "livemode": False, "metadata": {}}
KINDS: dict[str, dict[str, Any]] = {
    "accounts": {"object": "account"},
    "account": {"object": "account", "id": "acct_bench"},
    "customers": {"object": "customer", "balance": 0, "delinquent": False, "invoice_settings": {}},
    "payment_intents": {
        "object": "payment_intent",
        "amount": 1000,
        "amount_received": 1000,
        "currency": "usd",
        "status": "succeeded",
        "customer": "cus_bench",
        "latest_charge": None,
    },
    "sessions": {
        "object": "checkout.session",
        "amount_subtotal": 1000,
        "amount_total": 1000,
        "currency": "usd",
        "customer": "cus_bench",
        "mode": "payment",
        "payment_status": "paid",
        "status": "complete",
        "cancel_url": "https://dashboard.example.com/",
        "success_url": "https://dashboard.example.com/",
        "payment_method_types": ["card"],
    },
}


def _answer(path: str) -> bytes:
    parts = path.split("?")[0].strip("/").split("/")
    kind = next((part for part in reversed(parts) if part in KINDS), None)
    found: dict[str, Any] = (
        {**COMMON, "id": parts[-1], **KINDS[kind]} if kind else {"error": {"message": path}}
    )
    if kind == "sessions":
        found["payment_intent"] = parts[-1].replace("cs_test_", "pi_")
    body = json.dumps(found).encode()
    status = b"200 OK" if kind else b"404 Not Found"
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


class Stub(asyncio.Protocol):
    """A connection that stays open; its requests have no body."""

    def __init__(self) -> None:
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for head in heads:
            method, path, _ = head.split(b" ", 2)
            if method != b"GET":
                self._transport.abort()
                return
            self._transport.write(_answer(path.decode()))


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
