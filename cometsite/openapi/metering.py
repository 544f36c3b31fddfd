"""The metering API: authorize, calls, release."""

from typing import Any

from cometsite.openapi.parts import RETRY_AFTER, allow, errors, headed, json_content, success
from logs.metering import LARGEST_BODY, RETRY_AFTER_S

TAG = "Metering"
TAGS = [
    {
        "name": TAG,
        "description": (
            "For gateways. Ask whether a call may be made, make it, report it. A call that was let in but never "
            "made is released; one that is never mentioned again stops being held by itself."
        ),
    }
]

CALL_ID = "0195f3a2-7c1e-7b4d-9a60-3f2c8d51e7b4"
OTHER_CALL_ID = "0195f3a2-8d40-7c55-b1aa-52e0c9f7d613"

_MALFORMED = {"malformed_body": "The body is not JSON, or not of this form."}
_INVALID = {"invalid_field": "A field is missing, of another type or out of bounds; the message names it."}
_GATEWAY = {"invalid_gateway_key": "Authorization must carry a gateway key as Bearer."}
_ALWAYS = {
    "405": errors({"method_not_allowed": "Use POST."}, allow("POST")),
    "413": errors({"body_too_large": f"A body may have at most {LARGEST_BODY:,} bytes."}),
    "500": errors({"internal_error": "A mistake of ours. Send this again; nothing is done twice."}),
    "503": errors(
        {
            "unavailable": "The database does not answer. Send this again after "
            f"{RETRY_AFTER_S} seconds; nothing is done twice."
        },
        RETRY_AFTER,
    ),
}


def _operation(name: str, summary: str, description: str, schema: str, example: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [{"gatewayKey": []}],
        "requestBody": {"required": True, "content": json_content(schema, example)},
    }


AUTHORIZE = {
    **_operation(
        "authorize",
        "May this key call this model now?",
        "A call is let in while the balance less all open holds is above zero. What it is expected to cost is then "
        "held until it is reported or released, or until the hold ends by itself.",
        "AuthorizeRequest",
        {
            "key": "sk-...",
            "model": "gpt-4o",
            "client_ip": "203.0.113.7",
            "input_tokens": 1200,
            "max_output_tokens": 300,
        },
    ),
    "responses": {
        "200": success(
            "Let in. Report the call under `call_id`.",
            "Admission",
            {
                "call_id": CALL_ID,
                "token_id": 7,
                "wallet_id": 3,
                "model": "gpt-4o",
                "available_nanousd": 994_000_000,
                "held_nanousd": 6_000_000,
                "expires_at": "2025-04-02T10:15:00.512000Z",
            },
        ),
        "400": errors({**_MALFORMED, **_INVALID}),
        "401": errors(
            {
                **_GATEWAY,
                "invalid_key": "The API key in the body is unknown, revoked, disabled, expired or of another kind.",
            }
        ),
        "402": headed(
            errors(
                {
                    "insufficient_balance": "The balance is used up; or, with `Retry-After`, what is left of it is held by "
                    "calls that are running."
                }
            ),
            RETRY_AFTER,
            is_always=False,
        ),
        "403": errors(
            {
                "account_suspended": "This account is suspended.",
                "model_not_allowed": "This key may not call this model.",
                "ip_not_allowed": "This key may not be used from this address, or from one that is not told.",
            }
        ),
        "404": errors({"model_not_found": "There is no model of this name for sale."}),
        "429": errors(
            {
                "key_limit_reached": "The key has spent its limit, which does not reset, or that of this day, week or "
                "month; the message says which.",
                "rate_limited": "The key has made its calls of this minute or used its tokens, and `Retry-After` tells when "
                "there is room again; or it has its calls open.",
            },
            RETRY_AFTER,
        ),
        **_ALWAYS,
    },
}

CALLS = {
    **_operation(
        "recordCalls",
        "Report finished calls",
        "Safe to send again, whole or in parts: a `call_id` is charged once. Each call is rated at the prices in force "
        "when it started. A bad call is rejected by name and the others are recorded; a finished call is never "
        "refused for lack of money.",
        "CallsRequest",
        {
            "calls": [
                {
                    "call_id": CALL_ID,
                    "model": "gpt-4o",
                    "started_at": "2025-04-02T10:00:00.512Z",
                    "token_id": 7,
                    "status": "succeeded",
                    "usage": {"input_tokens": 1200, "output_tokens": 300},
                    "latency_ms": 2140,
                    "stream": False,
                    "endpoint": "/v1/chat/completions",
                },
                {
                    "call_id": OTHER_CALL_ID,
                    "model": "gpt-4o",
                    "started_at": "2025-04-02T10:00:04.8Z",
                    "token_id": 7,
                    "status": "succeeded",
                    "usage": {"input_tokens": 900, "pages": 2},
                },
            ]
        },
    ),
    "responses": {
        "200": success(
            "One result for each call, in the order sent.",
            "CallsResponse",
            {
                "accepted": 1,
                "duplicates": 0,
                "results": [
                    {"call_id": CALL_ID, "result": "accepted", "charged_nanousd": 6_000_000},
                    {
                        "call_id": OTHER_CALL_ID,
                        "result": "rejected",
                        "charged_nanousd": 0,
                        "error": {
                            "code": "unpriced_unit",
                            "message": "The model has no price for pages.",
                        },
                    },
                ],
            },
        ),
        "400": errors(_MALFORMED),
        "401": errors(_GATEWAY),
        **_ALWAYS,
    },
}

RELEASE = {
    **_operation(
        "releaseCall",
        "The call never happened",
        "Closes its hold; nothing is charged. Twice is fine, and so is an id that was never given out.",
        "ReleaseRequest",
        {"call_id": CALL_ID},
    ),
    "responses": {
        "204": {"description": "Nothing is held for this call any more."},
        "400": errors({**_MALFORMED, **_INVALID}),
        "401": errors(_GATEWAY),
        **_ALWAYS,
    },
}

PATHS: dict[str, Any] = {
    "/metering/v1/authorize": {"post": AUTHORIZE},
    "/metering/v1/calls": {"post": CALLS},
    "/metering/v1/release": {"post": RELEASE},
}
