"""Answers what dj-stripe asks Stripe while it handles an event: at once, with nothing behind it. Standard library only."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        kind = next((part for part in reversed(parts) if part in KINDS), None)
        found: dict[str, Any] = (
            {**COMMON, "id": parts[-1], **KINDS[kind]} if kind else {"error": {"message": self.path}}
        )
        if kind == "sessions":
            found["payment_intent"] = parts[-1].replace("cs_test_", "pi_")
        body = json.dumps(found).encode()
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stub).serve_forever()
