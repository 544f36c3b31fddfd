"""The account API's part for staff: what everybody did and paid."""

from typing import Any

from cometsite.openapi.account import ROWS
from cometsite.openapi.account_examples import LOG_ROW, LOG_STAT, PROFILE, TOP_UP_ROW, USAGE_ROW
from cometsite.openapi.asking import (
    FILTERS,
    PAGES,
    PEOPLE,
    STAFF,
    TIMES,
    number,
    operation,
    page,
    rows,
    times,
    told,
    words,
)
from cometsite.openapi.parts import ref, refusal

TAGS = [
    {
        "name": STAFF,
        "description": "What everybody did and paid, by the access token of somebody of the staff.",
    }
]
_PERSON = operation(
    "getPerson",
    "A person and their balance",
    "As they are told themselves.",
    told("The person.", ref("Profile"), PROFILE),
    [
        {
            "name": "user_id",
            "in": "path",
            "required": True,
            "description": "Their number.",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    tag=STAFF,
)
_OPERATIONS: dict[str, dict[str, Any]] = {
    "/api/log/": operation(
        "listLog",
        "Everybody's log",
        f"{ROWS} Who is not of the staff may ask for one of their own calls by `request_id`.",
        page("Rows.", "LogRow", LOG_ROW),
        [*PAGES, *FILTERS, *PEOPLE],
        tag=STAFF,
    ),
    "/api/log/stat": operation(
        "sumLog",
        "Sums of everybody's log",
        "",
        told("Sums.", ref("LogStat"), LOG_STAT),
        [*FILTERS, *PEOPLE],
        tag=STAFF,
    ),
    "/api/user/topup": operation(
        "listTopUps",
        "Top-ups",
        "The newest first.",
        page("Top-ups.", "TopUpRow", TOP_UP_ROW),
        [
            *PAGES,
            words(
                "keyword",
                "Our number, Stripe's id of the payment or its page, or the person's address.",
            ),
            number("user_id", "Of this person.", least=1),
            words("email", "Of the person with this address."),
            words("trade_no", "Our number."),
            words("payment_intent_id", "Stripe's id."),
            words("payment_channel", "`stripe`."),
            *times("start_time", "end_time"),
        ],
        tag=STAFF,
    ),
    "/api/user/{user_id}": {
        **_PERSON,
        "responses": {
            **_PERSON["responses"],
            "404": refusal("There is nobody.", "There is nobody of this number."),
        },
    },
    "/api/data/": operation(
        "listUsage",
        "Usage by day and model",
        "Of the last 30 days unless told; of at most 366. A day that the time cuts counts for what lies within.",
        told("By day and model.", rows("UsageRow"), [USAGE_ROW]),
        [words("default_time", "`day`."), *PEOPLE, *TIMES],
        tag=STAFF,
    ),
}

PATHS: dict[str, Any] = {path: {"get": each} for path, each in _OPERATIONS.items()}
