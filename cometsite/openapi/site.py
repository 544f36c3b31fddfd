"""What is no metering: the receipt of a call as data, Stripe's webhook, health, and this document."""

from typing import Any

from cometsite.openapi.metering import CALL_ID
from cometsite.openapi.parts import also, errors, json_content, or_page, ref, refusal, success, text_answer

TAGS = [
    {"name": "Calls", "description": "For people who signed in, and their programs."},
    {"name": "Payments", "description": "For Stripe."},
    {"name": "Operation", "description": "For load balancers and tools."},
]
_EMPTY_405 = {"405": {"description": "Another method; the answer is empty."}}
_BAD_ADDRESS = {
    "302": {"description": "A full key stands in the address: to the same without it."},
    "400": {
        "description": "What no address may have stands in it.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    },
}

RECEIPT_EXAMPLE = {
    "call_id": CALL_ID,
    "model": "gpt-4o",
    "token_id": 7,
    "status": "succeeded",
    "started_at": "2025-04-02T10:00:00.512000Z",
    "token": "Laptop",
    "endpoint": "/v1/chat/completions",
    "stream": True,
    "latency_ms": 1840,
    "first_token_ms": 320,
    "upstream_id": "chatcmpl-9f2c",
    "client_ip": "203.0.113.7",
    "error": "",
    "lines": [
        {
            "unit": "input_tokens",
            "quantity": 1200,
            "price_picousd_per_unit": 2_500_000,
            "amount_picousd": 3_000_000_000,
        },
        {
            "unit": "output_tokens",
            "quantity": 300,
            "price_picousd_per_unit": 10_000_000,
            "amount_picousd": 3_000_000_000,
        },
    ],
    "subtotal_picousd": 6_000_000_000,
    "multiplier_bp": 10_000,
    "multipliers": [{"name": "price", "multiplier_bp": 10_000}],
    "rounding_picousd": 0,
    "charged_nanousd": 6_000_000,
    "promotional_nanousd": 6_000_000,
    "paid_nanousd": 0,
    "balance_after_nanousd": 94_000_000,
    "held_nanousd": 6_000_000,
    "price_version": 41,
    "price_version_effective_from": "2024-10-02T00:00:00Z",
    "above_input_tokens": 0,
    "formula": "(1,200 prompt × $2.50/M + 300 completion × $10.00/M) × 1.00 = $0.006",
    "is_estimated": False,
}

RECEIPT = {
    "operationId": "getReceipt",
    "tags": ["Calls"],
    "summary": "The receipt of a call",
    "description": (
        "The arithmetic of what a call cost. With `Accept: application/json` as data, else as a page. Only the "
        "owner's own calls are found."
    ),
    "security": [{"session": []}],
    "parameters": [
        {
            "name": "call_id",
            "in": "path",
            "required": True,
            "description": "The id that authorize gave.",
            "schema": {"type": "string", "format": "uuid"},
        },
        {
            "name": "Accept",
            "in": "header",
            "description": "`application/json` for data.",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": or_page(success("The receipt.", "Receipt", RECEIPT_EXAMPLE)),
        **_BAD_ADDRESS,
        "302": {
            "description": "As a page and not signed in: to the login page. With a full key in the address: to the same "
            "without it."
        },
        "401": errors({"not_signed_in": "Sign in to see your calls."}),
        "403": {
            "description": "Another method, from outside of this site.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        "404": or_page(errors({"call_not_found": "None of your calls has this id."})),
        **_EMPTY_405,
    },
}

WEBHOOK = {
    "operationId": "stripeWebhook",
    "tags": ["Payments"],
    "summary": "An event from Stripe",
    "description": (
        "Verified, stored once and answered; what follows from it is done afterwards. Answers without the last "
        "slash too, with no redirect."
    ),
    "security": [],
    "parameters": [
        {
            "name": "Stripe-Signature",
            "in": "header",
            "required": True,
            "description": "Stripe's signature of the body, at most 300 seconds old.",
            "schema": {"type": "string"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": json_content(
            "StripeEvent",
            {"object": "event", "id": "evt_1", "type": "checkout.session.completed", "livemode": False},
        ),
    },
    "responses": {
        "200": text_answer("Stored, now or earlier."),
        "400": text_answer("The signature doesn't fit, or this is no event."),
        **_EMPTY_405,
        "413": text_answer("The body is larger than 1 MiB."),
        "503": text_answer("It could not be stored; send it again."),
    },
}

HEALTHZ = {
    "operationId": "healthz",
    "tags": ["Operation"],
    "summary": "Is the process up?",
    "security": [],
    "responses": {"200": success("It is.", "Health", {"status": "ok"}), **_BAD_ADDRESS, **_EMPTY_405},
}

READYZ = {
    "operationId": "readyz",
    "tags": ["Operation"],
    "summary": "Can it serve?",
    "security": [],
    "responses": {
        "200": success(
            "Yes; `degraded` without the broker or the cache, since pages, keys and charging go on.",
            "Readiness",
            {"status": "ok", "problems": []},
        ),
        **_BAD_ADDRESS,
        **_EMPTY_405,
        "503": success(
            "No: the database does not answer, or migrations are missing.",
            "Readiness",
            {"status": "unavailable", "problems": ["the database does not answer"]},
        ),
    },
}

DOCUMENT = {
    "operationId": "openapi",
    "tags": ["Operation"],
    "summary": "This document",
    "security": [],
    "responses": {
        "200": {
            "description": "OpenAPI 3.1, for any origin.",
            "content": {"application/json": {"schema": ref("OpenAPI")}},
        },
        "400": refusal("What no address may have stands in it.", "An address may hold no NUL."),
        **_EMPTY_405,
    },
}

PATHS: dict[str, Any] = {
    "/logs/{call_id}/": {"get": RECEIPT},
    "/wallet/stripe/webhook/": {"post": WEBHOOK},
    "/wallet/stripe/webhook": {"post": also(WEBHOOK, "/wallet/stripe/webhook/")},
    "/healthz": {"get": HEALTHZ},
    "/readyz": {"get": READYZ},
    "/api/openapi.json": {"get": DOCUMENT},
}
