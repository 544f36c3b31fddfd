"""What all operations of the account API share: parameters, the form of an answer, and who is refused."""

from typing import Any

from cometsite.openapi.parts import JSON, RETRY_AFTER, allow, query, ref, refusal
from cometsite.openapi.shapes import many, shape, text, whole, yes_or_no
from logs.account_api.asking import (
    DEEPEST_ROW,
    LARGEST_ID,
    LARGEST_PAGE,
    LAST_SECOND,
    LONGEST_TEXT,
    PAGE_SIZE,
)
from logs.account_api.looking import Type

ACCOUNT, STAFF = "Account", "Account, for staff"

PAGES = [
    query(
        "p",
        "integer",
        f"The page, from 1. Times `page_size` at most {DEEPEST_ROW:,}; a shorter time shows what lies behind.",
        minimum=1,
    ),
    query(
        "page_size",
        "integer",
        f"Rows on it, {PAGE_SIZE} unless told. More than {LARGEST_PAGE} is cut to that.",
        minimum=1,
    ),
]


def number(name: str, description: str, *, least: int = 0, most: int = LARGEST_ID) -> dict[str, Any]:
    return query(name, "integer", description, minimum=least, maximum=most)


def words(name: str, description: str, **more: Any) -> dict[str, Any]:
    return query(name, "string", description, maxLength=LONGEST_TEXT, **more)


def times(first: str, last: str) -> list[dict[str, Any]]:
    return [
        number(first, "Unix seconds; from then on.", most=LAST_SECOND),
        number(last, "Unix seconds; up to and with then.", most=LAST_SECOND),
    ]


TIMES = times("start_timestamp", "end_timestamp")
FILTERS = [
    number("type", "Type of the rows, as a row has it; 0 is any.", most=max(Type)),
    words("model_name", "The model's full name."),
    words("token_name", "The key's full name."),
    *TIMES,
    words("group", "Name of a customer group, or `default`."),
    words("request_id", "Id of a call."),
    words("response_id", "The provider's id of a call."),
]
PEOPLE = [
    number("user_id", "Of this person.", least=1),
    words("username", "Of this person: `user-` and their id, or their address."),
]


def told(description: str, data: dict[str, Any], example: Any) -> dict[str, Any]:
    """An answer with `data` in the form that all of them have."""
    schema = shape(
        "The answer.",
        {
            "success": yes_or_no("True.", const=True),
            "message": text("Empty.", const=""),
            "data": data,
        },
    )
    whole_example = {"success": True, "message": "", "data": example}
    return {"description": description, "content": {JSON: {"schema": schema, "example": whole_example}}}


def rows(name: str, **bounds: int) -> dict[str, Any]:
    return many(ref(name), "The rows.", **bounds)


def page(description: str, name: str, example: Any) -> dict[str, Any]:
    """An answer with the rows of one page."""
    data = shape(
        "A page.",
        {
            "items": rows(name, minItems=0, maxItems=LARGEST_PAGE),
            "total": whole("Rows on all pages.", minimum=0),
            "page": whole("As asked for.", minimum=1),
            "page_size": whole("As asked for, or the largest.", minimum=1, maximum=LARGEST_PAGE),
        },
    )
    return told(description, data, {"items": [example], "total": 1, "page": 1, "page_size": PAGE_SIZE})


REFUSALS = {
    "400": refusal(
        "A parameter makes no sense, or a full key stands in the address.",
        f"page_size must be a whole number from 1 to {LARGEST_PAGE}.",
    ),
    "401": refusal(
        "No access token, or one that does not hold.", "The API key is unknown, revoked or expired."
    ),
    "403": refusal(
        "Another kind of key, a disabled token, a locked account, or somebody who may not see this.",
        "A key of kind inference may not ask for this.",
    ),
    "405": refusal("Another method.", "Use GET.", allow("GET, HEAD")),
    "429": refusal(
        "More questions in a minute than the operator allows.",
        "Too many questions in this minute. Ask later.",
        RETRY_AFTER,
    ),
    "500": refusal("A mistake of ours.", "This is our mistake."),
    "503": refusal(
        "The database takes too long, or does not answer.",
        "The answer takes too long. Ask for a shorter time.",
    ),
}


def operation(
    name: str,
    summary: str,
    description: str,
    response: dict[str, Any],
    parameters: list[dict[str, Any]],
    *,
    tag: str = ACCOUNT,
) -> dict[str, Any]:
    """A GET by access token."""
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": [{"accessToken": []}],
        "parameters": parameters,
        "responses": {"200": response, **REFUSALS},
    }
