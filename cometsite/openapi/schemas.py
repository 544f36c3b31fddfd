"""Shapes of bodies and answers. Bounds come from where the code has them, so that they can't drift apart."""

from typing import Any

from django.conf import settings

from cometsite.openapi.parts import ref
from cometsite.openapi.shapes import many, or_null, shape, text, whole
from logs.metering import LONGEST_KEY, MOST_CALLS
from logs.reports import LARGEST_BIGINT, LARGEST_INT, LONGEST_MODEL, LONGEST_TEXT, STATUSES
from pricing.units import BOUNDS, UNITS, Family, Unit

REJECTIONS = {
    "invalid_call": "the element is no JSON object",
    "invalid_field": "a field is missing, of another type or out of bounds; the message names it",
    "call_id_too_old": "the id's time is more than 35 days ago, so it can't be told from a replay",
    "call_id_in_future": "the id's time lies more than 10 minutes ahead",
    "unknown_unit": "usage names a unit that doesn't exist",
    "quantity_out_of_bounds": "a quantity is below zero, above its unit's bound, or no integer",
    "token_not_found": "there is no key with this token_id",
    "model_not_found": "there is no such model",
    "unpriced_model": "the model had no complete price when the call started",
    "unpriced_unit": "the model has no price for a unit that was used; staff rate the call",
    "charge_out_of_bounds": "the call would cost more than $1,000,000",
    "balance_out_of_bounds": "the wallet would owe more than $10,000,000",
    "token_mismatch": "this call_id was given to another key",
    "conflict": "this call_id was recorded with another token_id, model, status or usage",
}

SECURITY_SCHEMES: dict[str, Any] = {
    "gatewayKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A gateway key, made by `manage.py create_gateway_key NAME`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The cookie of somebody who signed in at /accounts/login/.",
    },
}


def _bounded(description: str, *, minimum: int = 0, maximum: int = LARGEST_BIGINT) -> dict[str, Any]:
    return {**whole(description), "minimum": minimum, "maximum": maximum}


def _unit(unit: Unit) -> dict[str, Any]:
    extra = " that came from no cache" if unit.code == "input_tokens" else ""
    return _bounded(f"{unit.plural[0].upper()}{unit.plural[1:]}{extra}.", maximum=unit.bound)


_CALL_ID = text(
    "The id that authorize gave. Any UUID of version 7 whose time lies in the last 35 days is taken.",
    format="uuid",
)
_MODEL = text(
    "The model's full name, as on the pricing page; case counts.", minLength=1, maxLength=LONGEST_MODEL
)
_IP = {
    "type": ["string", "null"],
    "maxLength": 45,
    "description": "IPv4 or IPv6 address of whoever made the call.",
}
_TOKEN_ID = _bounded("Id of the API key, as authorize gave it.", minimum=1)
_MS = {"maximum": LARGEST_INT}


def _cut(name: str, description: str) -> dict[str, Any]:
    return or_null(text(f"{description} Cut after {LONGEST_TEXT[name]:,} characters."))


SCHEMAS: dict[str, Any] = {
    "Error": shape(
        "What went wrong: a code for programs, a sentence for people. Never contains a key.",
        {
            "error": shape(
                "The error.",
                {"code": text("Stable; for programs."), "message": text("Names the field at fault.")},
            )
        },
    ),
    "OpenAIError": shape(
        "What went wrong, in the form that OpenAI's clients know. Never contains a key.",
        {
            "error": shape(
                "The error.",
                {
                    "message": text("A sentence for people."),
                    "type": text("Whose fault it is.", enum=["invalid_request_error", "api_error"]),
                    "param": {"type": "null", "description": "Null."},
                    "code": text("Stable; for programs."),
                },
            )
        },
    ),
    "Usage": {
        "type": "object",
        "description": (
            "Quantities by unit, each a JSON integer (not 1.0, not 1e3). They are disjoint: a cached token is in "
            "`cached_input_tokens` and not in `input_tokens` as well, a reasoning token is not in `output_tokens`."
        ),
        "properties": {code: _unit(unit) for code, unit in UNITS.items()},
        "additionalProperties": False,
    },
    "AuthorizeRequest": shape(
        "What a gateway asks before a call.",
        {
            "key": text("The API key that the caller showed.", maxLength=LONGEST_KEY),
            "model": {**_MODEL, "minLength": 0},
            "client_ip": _IP,
            "input_tokens": or_null(
                _bounded("Size of the request, for a better estimate.", maximum=BOUNDS[Family.TOKENS])
            ),
            "max_output_tokens": or_null(
                _bounded("The most the answer may have; bounds the hold.", maximum=BOUNDS[Family.TOKENS])
            ),
        },
        optional=("client_ip", "input_tokens", "max_output_tokens"),
    ),
    "Admission": shape(
        "The call is let in, and its expected cost is held.",
        {
            "call_id": text("UUID of version 7: report or release the call under it.", format="uuid"),
            "token_id": _TOKEN_ID,
            "wallet_id": _bounded("The wallet that pays.", minimum=1),
            "model": text("The model that was asked for."),
            "available_nanousd": whole("Balance less all open holds, this one included; may be below zero."),
            "held_nanousd": whole("What is held for this call."),
            "expires_at": text(
                "When the hold ends by itself. The call is charged all the same when it is reported later.",
                format="date-time",
            ),
        },
    ),
    "Call": shape(
        "A finished call.",
        {
            "call_id": _CALL_ID,
            "model": _MODEL,
            "started_at": text(
                "RFC 3339 with an offset, within 24 hours of the time in `call_id` and at most 10 minutes ahead. "
                "The prices of that moment count.",
                format="date-time",
            ),
            "token_id": _TOKEN_ID,
            "status": text("A failed call is logged and costs nothing.", enum=sorted(STATUSES, reverse=True)),
            "usage": ref("Usage"),
            "latency_ms": or_null({**_bounded("From request to the end of the answer."), **_MS}),
            "first_token_ms": or_null({**_bounded("From request to the first token."), **_MS}),
            "stream": {"type": ["boolean", "null"], "description": "Whether the answer was streamed."},
            "endpoint": _cut("endpoint", "The path that was called."),
            "client_ip": _IP,
            "upstream_id": _cut("upstream_id", "The provider's id of the request."),
            "error": _cut("error", "What went wrong in a failed call."),
            "upstream_cost_nanousd": or_null(_bounded("What the provider charges for it, if known.")),
            "estimated": {
                "type": ["boolean", "null"],
                "description": "Whether the gateway counted the usage, since the provider told none. The receipt says so.",
            },
        },
        optional=(
            "latency_ms",
            "first_token_ms",
            "stream",
            "endpoint",
            "client_ip",
            "upstream_id",
            "error",
            "upstream_cost_nanousd",
            "estimated",
        ),
    ),
    "CallsRequest": shape(
        "A batch of finished calls.",
        {
            "calls": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_CALLS,
                "items": ref("Call"),
                "description": "A call that doesn't fit is rejected by name; the others are recorded.",
            }
        },
    ),
    "CallResult": shape(
        "What became of one call.",
        {
            "call_id": or_null(text("As it was sent, cut after 64 characters; null where there was none.")),
            "result": text(
                "`duplicate`: recorded before, nothing changed.", enum=["accepted", "duplicate", "rejected"]
            ),
            "charged_nanousd": whole("What the call cost; the first charge of a duplicate; 0 if rejected."),
            "error": {
                "type": "object",
                "description": "Only where the call was rejected.",
                "properties": {
                    "code": text(
                        "\n".join(f"`{code}`: {meaning}." for code, meaning in REJECTIONS.items()),
                        enum=list(REJECTIONS),
                    ),
                    "message": text("A sentence that names the field at fault."),
                },
                "required": ["code", "message"],
            },
        },
        optional=("error",),
    ),
    "CallsResponse": shape(
        "One result for each call, in the order sent.",
        {
            "accepted": whole("How many were recorded."),
            "duplicates": whole("How many had been recorded before."),
            "results": {
                "type": "array",
                "items": ref("CallResult"),
                "description": "In the order sent.",
            },
        },
    ),
    "ReleaseRequest": shape("A call that never happened.", {"call_id": _CALL_ID}),
    "ReceiptLine": shape(
        "One unit: quantity × price = amount, exact.",
        {
            "unit": text("The unit.", enum=list(UNITS)),
            "quantity": whole("How many."),
            "price_picousd_per_unit": whole("Pico-dollars for one."),
            "amount_picousd": whole("Their product."),
        },
    ),
    "Receipt": shape(
        "A call and the arithmetic of its charge: (sum of the lines × multiplier_bp / 10,000 + rounding_picousd) "
        "/ 1,000 = charged_nanousd.",
        {
            "call_id": text("The call.", format="uuid"),
            "model": text("The model that was called."),
            "token_id": _TOKEN_ID,
            "status": text("A failed call has no lines.", enum=sorted(STATUSES, reverse=True)),
            "started_at": text("When the call started.", format="date-time"),
            "token": text("The token's name."),
            "endpoint": text("Which was called; empty where it was not told."),
            "stream": or_null(
                {"type": "boolean", "description": "Whether it was streamed; null where untold."}
            ),
            "latency_ms": or_null(whole("How long it took; null where it was not told.", minimum=0)),
            "first_token_ms": or_null(whole("Until the first token; null where it was not told.", minimum=0)),
            "upstream_id": text("The provider's id of the call; empty where it was not told."),
            "client_ip": or_null(text("The caller's address; null where it was not told.")),
            "error": text("Why it failed; empty where it did not, or was not told."),
            "lines": {"type": "array", "items": ref("ReceiptLine"), "description": "One for each unit used."},
            "subtotal_picousd": whole("Sum of the lines."),
            "multiplier_bp": whole("Basis points; 10,000 changes nothing."),
            "multipliers": many(
                shape(
                    "One of them.",
                    {
                        "name": text("`price`, or the name of the customer group."),
                        "multiplier_bp": whole("Basis points.", minimum=0),
                    },
                ),
                "What the multiplier is made of: their product.",
            ),
            "rounding_picousd": {
                "type": "number",
                "minimum": -500,
                "maximum": 500,
                "description": "What rounding to whole nano-dollars added or took.",
            },
            "charged_nanousd": whole("What was charged."),
            "promotional_nanousd": whole("The part that given credit paid."),
            "paid_nanousd": whole("The part that bought credit paid."),
            "balance_after_nanousd": whole("The wallet's balance after this call."),
            "held_nanousd": or_null(whole("What was held for it; null without a hold.")),
            "price_version": whole("Id of the price version that was in force."),
            "price_version_effective_from": text("Since when it was.", format="date-time"),
            "above_input_tokens": whole("The context tier: 0, or the input above which its prices count."),
            "formula": text("The same arithmetic in one line, for people."),
            "is_estimated": {
                "type": "boolean",
                "description": "Whether the gateway counted the usage, since the provider told none.",
            },
            "problem": text("Only where the arithmetic doesn't give what was charged: why."),
            "recomputed_nanousd": whole("Only with a problem: what the arithmetic gives."),
        },
        optional=("problem", "recomputed_nanousd"),
    ),
    "StripeEvent": shape(
        "An event as Stripe sends it; more fields are stored with it.",
        {
            "object": text("What this is.", const="event"),
            "id": text("Stripe's id of the event.", minLength=1, maxLength=128),
            "type": text("What happened.", minLength=1, maxLength=128),
            "livemode": {"type": "boolean", "description": "Whether real money moved."},
        },
    ),
    "Health": shape("The process is up.", {"status": text("Always `ok`.", const="ok")}),
    "Readiness": shape(
        "Whether the site can serve.",
        {
            "status": text(
                "`degraded`: charging goes on, but the broker or the cache does not answer.",
                enum=["ok", "degraded", "unavailable"],
            ),
            "problems": {
                "type": "array",
                "items": {"type": "string"},
                "description": "A sentence for each.",
            },
        },
    ),
    "OpenAPI": {
        "type": "object",
        "description": "An OpenAPI 3.1 document.",
        "required": ["openapi", "paths"],
    },
}
