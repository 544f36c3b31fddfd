"""Shapes of the account API's answers. What they mean is decided by the clients that read them."""

from typing import Any

from cometsite.openapi.shapes import number, shape, text, whole, yes_or_no

UNITS = "Quota units; 500,000 are $1."
SECONDS = "Unix seconds."


_ID = {"type": "integer", "minimum": 1}
_USERNAME = text("`user-` and the person's id.")
_GROUP = text("Name of the customer group; `default` outside of any.")

SCHEMAS: dict[str, Any] = {
    "Refusal": shape(
        "Why there is no answer.",
        {
            "success": {"type": "boolean", "const": False, "description": "False."},
            "message": text("A sentence that names the parameter at fault."),
        },
    ),
    "Profile": shape(
        "A person and their wallet.",
        {
            "id": {**_ID, "description": "Of the person."},
            "username": _USERNAME,
            "display_name": text("May be empty."),
            "email": text("What they sign in with."),
            "role": whole("1: a customer; 2 and more: staff.", minimum=1, maximum=3),
            "status": whole("1: in use; 2: suspended.", minimum=1, maximum=2),
            "quota": whole(f"What is left; 0 for a debt. {UNITS}", minimum=0),
            "used_quota": whole(f"What was used over the whole life. {UNITS}", minimum=0),
            "request_count": whole("Calls over the whole life.", minimum=0),
            "group": _GROUP,
        },
    ),
    "MonthStats": shape(
        "This UTC month so far. Changes are against the same days of the month before.",
        {
            "month_req_count": whole("Calls.", minimum=0),
            "req_rate": number("Change of the number of calls, in percent."),
            "month_usage": number("Dollars.", minimum=0),
            "usage_rate": number("Change of what was spent, in percent."),
            "month_success_rate": number("Calls that succeeded, in percent.", minimum=0, maximum=100),
            "predicted_days": whole(
                "Days that the balance lasts at the last week's pace; -1: for ever.", minimum=-1
            ),
        },
    ),
    "TokenRow": shape(
        "An API key, masked.",
        {
            "id": {**_ID, "description": "The metering API's `token_id`."},
            "name": text("What its owner calls it."),
            "key": text("Its visible beginning and its end."),
            "status": whole("1: active; 2: disabled; 3: expired; 4: exhausted.", minimum=1, maximum=4),
            "unlimited_quota": yes_or_no("Whether it has no limit on spending of its own."),
            "remain_quota": whole(f"What its limit leaves; -1: no limit. {UNITS}", minimum=-1),
            "used_quota": whole(f"What it used. {UNITS}", minimum=0),
            "created_time": whole(SECONDS),
            "accessed_time": whole(f"When it was last used; 0: never. {SECONDS}"),
            "expired_time": whole(f"When it expires; -1: never. {SECONDS}", minimum=-1),
            "group": _GROUP,
        },
    ),
    "LogRow": shape(
        "A call, or a movement of money.",
        {
            "id": text("Of the call, or of the transfer."),
            "request_id": text("The call's id, as authorize gave it; empty for a movement."),
            "response_id": text("The provider's id of the call, where it was reported."),
            "created_at": whole(f"The time in the call's id, or when the movement was booked. {SECONDS}"),
            "type": whole(
                "1: top-up; 2: a call that succeeded; 3: by staff; 4: by the system, as starter credit; 5: a call "
                "that failed; 6: refund or dispute.",
                minimum=1,
                maximum=6,
            ),
            "model_name": text("Empty for a movement."),
            "token_name": text("Name of the key; empty for a movement."),
            "username": _USERNAME,
            "user_id": {**_ID, "description": "Whose it is."},
            "group": text("The customer group whose rate was charged; empty for a movement."),
            "quota": whole(
                "What the call cost, rounded up; what a movement paid in, or for a refund gave back; the other way round "
                f"it is negative. {UNITS}"
            ),
            "prompt_tokens": whole("All that went in, cached and not.", minimum=0),
            "completion_tokens": whole("All that came out.", minimum=0),
            "use_time": whole("Seconds that the call took.", minimum=0),
            "is_stream": yes_or_no("Whether the answer was streamed."),
            "ip": text("Whence it was called, where that was reported."),
            "content": text("What was used, why the call failed, or what the movement is."),
            "other": text(
                "JSON: `cache_tokens`, `model_ratio` (1 is $2 per million tokens), `completion_ratio`, `cache_ratio`, "
                "`group_ratio`, `model_price` (dollars, or -1 where the ratios hold), `total_ms`, `frt` (milliseconds to "
                "the first token), `request_path`. The cost in units is ((prompt − cached) + cached × cache_ratio + "
                "completion × completion_ratio) × model_ratio × group_ratio, or model_price × 500,000 × group_ratio."
            ),
        },
    ),
    "LogStat": shape(
        "Sums of what was found.",
        {
            "quota": whole(f"What the calls cost. {UNITS}", minimum=0),
            "rpm": whole("Calls of the last 60 seconds.", minimum=0),
            "tpm": whole("Tokens that they used.", minimum=0),
        },
    ),
    "TaskRow": shape(
        "Finished work that is priced per use: a picture, music, a video.",
        {
            "id": text("Of the call.", format="uuid"),
            "created_at": whole(SECONDS),
            "platform": text("Whose model it was."),
            "task_id": text("The provider's id of it where it was reported, else the call's."),
            "action": text("The last part of the address that was called."),
            "status": text("How it ended.", enum=["SUCCESS", "FAILURE"]),
            "model_name": text("The model."),
            "progress": text("In percent.", const="100%"),
            "quota": whole(f"What it cost. {UNITS}", minimum=0),
            "submit_time": whole(SECONDS),
            "finish_time": whole(SECONDS),
        },
    ),
    "TopUpRow": shape(
        "A top-up.",
        {
            "id": text("Our number of it.", format="uuid"),
            "trade_no": text("The same."),
            "user_id": {**_ID, "description": "Whose it is."},
            "email": text("Of that person."),
            "amount": number("Dollars that were credited, or would be.", minimum=0),
            "money": number("Dollars that were paid, or would be, with tax.", minimum=0),
            "payment_intent_id": text("Stripe's; empty where there is none yet."),
            "payment_channel": text("How it is paid.", const="stripe"),
            "status": text("What became of it.", enum=["success", "pending", "failed", "expired", "parked"]),
            "create_time": whole(SECONDS),
            "complete_time": whole(f"When it was paid; 0: not. {SECONDS}"),
            "is_auto_top_up": yes_or_no("Whether the saved card was charged without a page."),
        },
    ),
    "UsageRow": shape(
        "What was used of a model on a day.",
        {
            "user_id": whole("Of whom, where one person was asked for; else 0.", minimum=0),
            "username": text("The same; empty where it is everybody."),
            "model_name": text("The model."),
            "created_at": whole(f"The beginning of the UTC day. {SECONDS}"),
            "count": whole("Calls.", minimum=0),
            "token_used": whole("Tokens in and out.", minimum=0),
            "quota": whole(f"What they cost. {UNITS}", minimum=0),
        },
    ),
}
