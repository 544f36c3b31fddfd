"""Shapes of the balance API's answers. Each is that of the service whose clients ask for it."""

from typing import Any

from cometsite.openapi.account_schemas import UNITS
from cometsite.openapi.shapes import by_name, many, number, or_null, shape, text, whole, yes_or_no

_EXPIRY = whole("When the key expires, in Unix seconds; 0: never.", minimum=0)


def _dollars(description: str) -> dict[str, Any]:
    return number(f"{description} Dollars.", minimum=0)


_GRANTED = "what is used and what is left, and less than what is used by a debt, or by what a key spent beyond its limit."
_TOKEN_USAGE = shape(
    "The key's own limit, or its wallet where it has none.",
    {
        "object": text("What this is.", const="token_usage"),
        "name": text("What its owner calls the key."),
        "total_granted": whole(f"All that there ever was: {_GRANTED} {UNITS}", minimum=0),
        "total_used": whole(f"What was used over the whole life. {UNITS}", minimum=0),
        "total_available": whole(f"What is left, 0 of a debt or beyond a limit. {UNITS}", minimum=0),
        "unlimited_quota": yes_or_no("False.", const=False),
        "model_limits": by_name(
            yes_or_no("True.", const=True), "The models that it may call, where it may not call all."
        ),
        "model_limits_enabled": yes_or_no("Whether it may not call all."),
        "expires_at": _EXPIRY,
    },
)
_GRANT = shape(
    "The one that there is.",
    {
        "object": text("What this is.", const="credit_grant"),
        "id": text("Of the key where it has a limit of its own, else of its wallet."),
        "grant_amount": _dollars(f"All that there ever was: {_GRANTED}"),
        "used_amount": _dollars("What was used."),
        "effective_at": whole("Since when, in Unix seconds.", minimum=0),
        "expires_at": or_null(whole("When the key expires, in Unix seconds; null: never.", minimum=1)),
    },
)
_OPENROUTER_KEY = shape(
    "The key.",
    {
        "label": text("Its visible beginning and its end."),
        "name": text("What its owner calls it."),
        "limit": or_null(_dollars("Its limit on spending, the tighter one of two; null: none.")),
        "limit_remaining": or_null(_dollars("What the limit leaves; null: no limit.")),
        "limit_reset": or_null(
            text(
                "How often the limit is reset; null: never, or no limit.", enum=["daily", "weekly", "monthly"]
            )
        ),
        "usage": _dollars("Used over the key's whole life."),
        "usage_daily": _dollars("Used this UTC day."),
        "usage_weekly": _dollars("Used since Monday."),
        "usage_monthly": _dollars("Used this month."),
        "is_free_tier": yes_or_no("Whether the wallet never paid for a top-up."),
        "expires_at": or_null(text("When it expires; null: never.", format="date-time")),
    },
)

SCHEMAS: dict[str, Any] = {
    "Subscription": shape(
        "What there ever was: three fields with one number.",
        {
            "object": text("What this is.", const="billing_subscription"),
            "has_payment_method": yes_or_no("True.", const=True),
            "soft_limit_usd": _dollars("What is left and what is used."),
            "hard_limit_usd": _dollars("The same."),
            "system_hard_limit_usd": _dollars("The same."),
            "access_until": _EXPIRY,
        },
    ),
    "BillingUsage": shape(
        "What was used.",
        {
            "object": text("What this is.", const="list"),
            "total_usage": number("Cents, over the whole life.", minimum=0),
        },
    ),
    "CreditGrants": shape(
        "What there ever was, is used and is left.",
        {
            "object": text("What this is.", const="credit_summary"),
            "total_granted": _dollars("What is left and what is used."),
            "total_used": _dollars("What was used."),
            "total_available": _dollars("What is left, 0 of a debt or beyond a limit."),
            "grants": shape(
                "As a list.",
                {
                    "object": text("What this is.", const="list"),
                    "data": many(_GRANT, "The one that there is.", minItems=1, maxItems=1),
                },
            ),
        },
    ),
    "TokenUsage": shape(
        "What a key may still spend and has spent.",
        {"code": yes_or_no("True.", const=True), "message": text("`ok`.", const="ok"), "data": _TOKEN_USAGE},
    ),
    "CallableModels": shape(
        "What the key may call.",
        {
            "object": text("What this is.", const="list"),
            "data": many(
                shape(
                    "A model.",
                    {
                        "id": text('What a caller writes in "model".'),
                        "object": text("What this is.", const="model"),
                        "created": whole("When it was first for sale, in Unix seconds.", minimum=0),
                        "owned_by": text("Whose model it is."),
                    },
                ),
                "The models.",
            ),
        },
    ),
    "Quota": shape(
        "A wallet and its keys.",
        {
            "username": text("`user-` and the person's id."),
            "total_quota": number("The balance; below zero for a debt. Dollars."),
            "total_used_quota": _dollars("Used over the whole life."),
            "request_count": whole("Calls over the whole life.", minimum=0),
            "keys": many(
                shape(
                    "A key.",
                    {
                        "name": text("What its owner calls it."),
                        "remain_quota": number("Dollars that its limit leaves; -1: no limit.", minimum=-1),
                        "used_quota": _dollars("What it used."),
                    },
                ),
                "Those that were not revoked, in the order in which they were made.",
            ),
            "daily_quota": by_name(
                many(
                    shape(
                        "What a key used on that day.",
                        {
                            "token_name": text("What its owner calls it."),
                            "quota_used": _dollars("What it used."),
                            "request_count": whole("Its calls.", minimum=0),
                        },
                    ),
                    "Of each key that was used.",
                ),
                "By UTC day, `YYYY-MM-DD`; only where both dates were given.",
            ),
        },
        optional=("daily_quota",),
    ),
    "OpenRouterKey": shape("A key.", {"data": _OPENROUTER_KEY}),
    "OpenRouterCredits": shape(
        "A wallet.",
        {
            "data": shape(
                "Of the wallet, whatever the key's own limits are.",
                {
                    "total_credits": _dollars("What is left and what is used."),
                    "total_usage": _dollars("What was used."),
                },
            )
        },
    ),
}
