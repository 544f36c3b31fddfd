"""The balance API: what is left, by API key, in the forms that clients of other services read."""

from typing import Any

from cometsite.openapi.asking import REFUSALS, words
from cometsite.openapi.parts import RETRY_AFTER, allow, also, openai_errors, query, refusal, success
from tokens.balance_api import LONGEST_RANGE

TAG = "Balance"
TAGS = [
    {
        "name": TAG,
        "description": (
            "For tools that show a balance, by API key of kind inference or query. An exhausted or disabled key, and that "
            "of a suspended account, is answered too. Programs on any site may ask, with a key and no cookie."
        ),
    }
]
SECURITY_SCHEMES: dict[str, Any] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of kind inference or query, made at /tokens/.",
    },
    "keyInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "The same in the address, for clients that know no other way. A query key is the one to use here.",
    },
}
_UNKNOWN = "The API key is unknown, revoked or expired."
_WRONG_KIND = "A key of kind account may not ask for this."
_OFTEN = "Too many questions in this minute. Ask later."

_ALLOW = allow("GET, HEAD, OPTIONS")
OPENAI_REFUSALS = {
    "400": openai_errors(
        400,
        {"invalid_address": "A full key, or what no address may have, stands in the address."},
    ),
    "401": openai_errors(401, {"invalid_api_key": f"{_UNKNOWN} Or none was sent; the message says so."}),
    "403": openai_errors(403, {"wrong_kind_of_key": _WRONG_KIND}),
    "405": openai_errors(405, {"method_not_allowed": "Use GET."}, _ALLOW),
    "429": openai_errors(429, {"rate_limited": _OFTEN}, RETRY_AFTER),
    "500": openai_errors(500, {"internal_error": "A mistake of ours."}),
    "503": openai_errors(503, {"unavailable": "The database does not answer. Ask again."}, RETRY_AFTER),
}
PLAIN_REFUSALS = {
    **REFUSALS,
    "405": refusal("Another method.", "Use GET.", _ALLOW),
    "400": refusal("A full key, or what no address may have, stands in the address.", "Leave out the NUL."),
    "401": refusal("No key, or one that does not hold.", _UNKNOWN),
    "403": refusal("Another kind of key.", _WRONG_KIND),
    "503": refusal("The database does not answer.", "The database does not answer. Ask again.", RETRY_AFTER),
}


def _operation(
    name: str,
    summary: str,
    description: str,
    schema: str,
    example: Any,
    refusals: dict[str, Any] = OPENAI_REFUSALS,
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [TAG],
        "summary": summary,
        "description": description,
        "security": [{"apiKey": []}],
        "responses": {"200": success("The answer.", schema, example), **refusals},
    }


_SCOPE = (
    "Of the key where it has a limit on spending of its own, else of its wallet. A debt, and what a key spent beyond its "
    "limit, show as more used than there ever was."
)

SUBSCRIPTION = _operation(
    "getSubscription",
    "OpenAI's billing: the limit",
    f"{_SCOPE} What is left is `hard_limit_usd` less `total_usage` / 100 of the "
    "usage; below zero by what was spent beyond.",
    "Subscription",
    {
        "object": "billing_subscription",
        "has_payment_method": True,
        "soft_limit_usd": 5.0,
        "hard_limit_usd": 5.0,
        "system_hard_limit_usd": 5.0,
        "access_until": 0,
    },
)
USAGE = {
    **_operation(
        "getBillingUsage",
        "OpenAI's billing: the usage",
        "Of the same scope as the limit, over the whole life: dates are taken and not heeded, since the limit has none.",
        "BillingUsage",
        {"object": "list", "total_usage": 1.2},
    ),
    "parameters": [query(name, "string", "Not heeded.") for name in ("start_date", "end_date")],
}
GRANTS = _operation(
    "getCreditGrants",
    "OpenAI's billing: credit grants",
    _SCOPE,
    "CreditGrants",
    {
        "object": "credit_summary",
        "total_granted": 5.0,
        "total_used": 0.012,
        "total_available": 4.988,
        "grants": {
            "object": "list",
            "data": [
                {
                    "object": "credit_grant",
                    "id": "wallet_3",
                    "grant_amount": 5.0,
                    "used_amount": 0.012,
                    "effective_at": 1_743_500_000,
                    "expires_at": None,
                }
            ],
        },
    },
)
TOKEN_USAGE = _operation(
    "getTokenUsage",
    "A key in quota units",
    _SCOPE,
    "TokenUsage",
    {
        "code": True,
        "message": "ok",
        "data": {
            "object": "token_usage",
            "name": "laptop",
            "total_granted": 2_500_000,
            "total_used": 6_000,
            "total_available": 2_494_000,
            "unlimited_quota": False,
            "model_limits": {"gpt-4o": True},
            "model_limits_enabled": True,
            "expires_at": 0,
        },
    },
    PLAIN_REFUSALS,
)
CALLABLE = _operation(
    "listCallableModels",
    "What a key may call",
    "As OpenAI lists models. A query key, which calls nothing itself, sees what its account may call, within the models "
    "that it is limited to.",
    "CallableModels",
    {
        "object": "list",
        "data": [{"id": "gpt-4o", "object": "model", "created": 1_727_827_200, "owned_by": "openai"}],
    },
)
QUOTA = {
    **_operation(
        "getQuota",
        "A wallet and its keys, by a key in the address",
        "The operator may have turned this address off.",
        "Quota",
        {
            "username": "user-3",
            "total_quota": 4.988,
            "total_used_quota": 0.012,
            "request_count": 2,
            "keys": [{"name": "laptop", "remain_quota": -1, "used_quota": 0.012}],
            "daily_quota": {
                "2026-05-01": [{"token_name": "laptop", "quota_used": 0.012, "request_count": 2}]
            },
        },
        {
            **PLAIN_REFUSALS,
            "400": refusal(
                "A date makes no sense, or what no address may have stands in it.",
                "end_date lies before start_date.",
            ),
            "404": refusal(
                "This address is turned off.",
                "This address is turned off. Send the key as Authorization: Bearer.",
            ),
        },
    ),
    "security": [{"keyInAddress": []}],
    "parameters": [
        words("start_date", "The first UTC day of `daily_quota`, `YYYY-MM-DD`."),
        words("end_date", f"The last one; at most {LONGEST_RANGE.days} days later."),
    ],
}
KEY = _operation(
    "getOpenRouterKey",
    "OpenRouter's: a key",
    "Its own limit, and what it used.",
    "OpenRouterKey",
    {
        "data": {
            "label": "sk-AbCdEfGh…wxyz",
            "name": "laptop",
            "limit": 5.0,
            "limit_remaining": 4.988,
            "limit_reset": "monthly",
            "usage": 0.012,
            "usage_daily": 0.012,
            "usage_weekly": 0.012,
            "usage_monthly": 0.012,
            "is_free_tier": False,
            "expires_at": None,
        }
    },
)
CREDITS = _operation(
    "getOpenRouterCredits",
    "OpenRouter's: a wallet",
    "Whatever the key's own limits are.",
    "OpenRouterCredits",
    {"data": {"total_credits": 5.0, "total_usage": 0.012}},
)

# Each at the address that it is best known by, then at the others: a redirect would stop some clients.
_ADDRESSES: list[tuple[dict[str, Any], str, list[str]]] = [
    (SUBSCRIPTION, "/v1/dashboard/billing/subscription", ["/dashboard/billing/subscription"]),
    (USAGE, "/v1/dashboard/billing/usage", ["/dashboard/billing/usage"]),
    (GRANTS, "/v1/dashboard/billing/credit_grants", ["/dashboard/billing/credit_grants"]),
    (TOKEN_USAGE, "/api/usage/token/", ["/api/usage/token"]),
    (CALLABLE, "/v1/models", ["/v1/models/"]),
    (QUOTA, "/user/quota", ["/user/quota/"]),
    (KEY, "/api/v1/key", []),
    (CREDITS, "/api/v1/credits", []),
]
PATHS: dict[str, Any] = {
    path: {"get": operation if path == first else also(operation, first)}
    for operation, first, others in _ADDRESSES
    for path in (first, *others)
}
