"""The account API, in the shape that CometAPI's clients know, and the price list beside it."""

from typing import Any

from cometsite.openapi.account_schemas import shape
from cometsite.openapi.metering import CALL_ID
from cometsite.openapi.parts import JSON, ref
from logs.account_api.asking import DEEPEST_ROW, LARGEST_PAGE, PAGE_SIZE

ACCOUNT, STAFF, CATALOGUE = "Account", "Account, for staff", "Catalogue"
TAGS = [
    {
        "name": ACCOUNT,
        "description": (
            "For people's own programs, in the shape that CometAPI's published clients read. An access token is made by "
            "`manage.py create_access_token EMAIL` and sent as Bearer; an API key is none. Answers are "
            '`{"success": true, "message": "", "data": …}`.'
        ),
    },
    {
        "name": STAFF,
        "description": "What everybody did and paid, by the access token of somebody of the staff.",
    },
    {"name": CATALOGUE, "description": "Models and prices, for anybody."},
]
SECURITY_SCHEMES: dict[str, Any] = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, made by `manage.py create_access_token EMAIL`.",
    }
}
MESSAGE = {"type": "string", "const": "", "description": "Empty."}
SUCCESS = {"type": "boolean", "const": True, "description": "True."}


def _answer(description: str, data: dict[str, Any], example: Any) -> dict[str, Any]:
    schema = shape("The answer.", {"success": SUCCESS, "message": MESSAGE, "data": data})
    told = {"success": True, "message": "", "data": example}
    return {"description": description, "content": {JSON: {"schema": schema, "example": told}}}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name), "minItems": 0, "maxItems": 10**6, "description": "The rows."}


def _page(description: str, name: str, example: Any) -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    data = shape(
        "A page.",
        {
            "items": {**_list(name), "maxItems": LARGEST_PAGE},
            "total": {**count, "description": "Rows on all pages."},
            "page": {**count, "description": "As asked for."},
            "page_size": {**count, "maximum": LARGEST_PAGE, "description": "As asked for, or the largest."},
        },
    )
    return _answer(description, data, {"items": [example], "total": 1, "page": 1, "page_size": PAGE_SIZE})


def _refusal(
    description: str, message: str, headers: dict[str, tuple[str, dict[str, Any]]] | None = None
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {JSON: {"schema": ref("Refusal"), "example": {"success": False, "message": message}}},
    }
    if headers:
        answer["headers"] = {
            name: {"description": text, "required": True, "schema": form}
            for name, (text, form) in headers.items()
        }
    return answer


_ALWAYS = {
    "400": _refusal(
        "A parameter makes no sense.", f"page_size must be a whole number from 1 to {LARGEST_PAGE}."
    ),
    "401": _refusal(
        "No access token, or one that does not hold.", "The API key is unknown, revoked or expired."
    ),
    "403": _refusal(
        "Another kind of key, a disabled token, a locked account, or somebody who may not see this.",
        "A key of kind inference may not ask for this.",
    ),
    "405": _refusal(
        "Another method.",
        "Use GET.",
        {"Allow": ("What may be used.", {"type": "string", "const": "GET, HEAD, OPTIONS"})},
    ),
    "429": _refusal(
        "More questions in a minute than the operator allows.",
        "Too many questions in this minute. Ask later.",
        {"Retry-After": ("Seconds to wait.", {"type": "string", "pattern": "^[0-9]+$"})},
    ),
    "503": _refusal("The database takes too long.", "The answer takes too long. Ask for a shorter time."),
}


def _query(name: str, kind: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind}}


def _whole(name: str, least: int, description: str) -> dict[str, Any]:
    return {**_query(name, "integer", description), "schema": {"type": "integer", "minimum": least}}


PAGES = [
    _whole(
        "p",
        1,
        f"The page, from 1. Times `page_size` at most {DEEPEST_ROW:,}; a shorter time shows what lies behind.",
    ),
    _whole("page_size", 1, f"Rows on it, {PAGE_SIZE} unless told. More than {LARGEST_PAGE} is cut to that."),
]
TIMES = [
    _whole("start_timestamp", 0, "Unix seconds; from then on."),
    _whole("end_timestamp", 0, "Unix seconds; up to and with then."),
]
FILTERS = [
    _whole("type", 0, "Type of the rows, as a row has it; 0 is any."),
    _query("model_name", "string", "The model's full name."),
    _query("token_name", "string", "The key's full name."),
    *TIMES,
    _query("group", "string", "Name of a customer group, or `default`."),
    _query("request_id", "string", "Id of a call."),
    _query("response_id", "string", "The provider's id of a call of the last 7 days."),
]
PEOPLE = [
    _whole("user_id", 1, "Of this person."),
    _query("username", "string", "Of this person: `user-` and their id, or their address."),
]


def _operation(
    name: str,
    summary: str,
    description: str,
    response: dict[str, Any],
    parameters: list[dict[str, Any]],
    *,
    tag: str = ACCOUNT,
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": [{"accessToken": []}],
        "parameters": parameters,
        "responses": {"200": response, **_ALWAYS},
    }


LOG_ROW = {
    "id": CALL_ID,
    "request_id": CALL_ID,
    "response_id": "chatcmpl-9f2",
    "created_at": 1_743_588_000,
    "type": 2,
    "model_name": "gpt-4o",
    "token_name": "laptop",
    "username": "user-3",
    "user_id": 3,
    "group": "default",
    "quota": 3_000,
    "prompt_tokens": 1_200,
    "completion_tokens": 300,
    "use_time": 2,
    "is_stream": False,
    "ip": "203.0.113.7",
    "content": "1,200 → 300",
    "other": (
        '{"cache_tokens": 0, "group_ratio": 1.0, "model_ratio": 1.25, "completion_ratio": 4.0, "cache_ratio": 0.5, '
        '"model_price": -1, "total_ms": 2140, "frt": 320, "request_path": "/v1/chat/completions"}'
    ),
}
LOG_STAT = {"quota": 3_000, "rpm": 1, "tpm": 1_500}
TOKEN_ROW = {
    "id": 7,
    "name": "laptop",
    "key": "sk-AbCdEfGh…wxyz",
    "status": 1,
    "unlimited_quota": False,
    "remain_quota": 997_000,
    "used_quota": 3_000,
    "created_time": 1_743_500_000,
    "accessed_time": 1_743_588_000,
    "expired_time": -1,
    "group": "default",
}
PROFILE = {
    "id": 3,
    "username": "user-3",
    "display_name": "",
    "email": "somebody@example.com",
    "role": 1,
    "status": 1,
    "quota": 2_497_000,
    "used_quota": 3_000,
    "request_count": 1,
    "group": "default",
}
STATS = {
    "month_req_count": 120,
    "req_rate": 20.0,
    "month_usage": 1.25,
    "usage_rate": -5.5,
    "month_success_rate": 99.17,
    "predicted_days": 87,
}
TASK_ROW = {
    "id": CALL_ID,
    "created_at": 1_743_588_000,
    "platform": "suno",
    "task_id": CALL_ID,
    "action": "music",
    "status": "SUCCESS",
    "model_name": "suno_music",
    "progress": "100%",
    "quota": 72_000,
    "submit_time": 1_743_588_000,
    "finish_time": 1_743_588_090,
}
TOP_UP_ROW = {
    "id": "5f0c7b1e-58a6-4c11-9b0e-2c1f6f3a9d10",
    "trade_no": "5f0c7b1e-58a6-4c11-9b0e-2c1f6f3a9d10",
    "user_id": 3,
    "email": "somebody@example.com",
    "amount": 5.0,
    "money": 5.0,
    "payment_intent_id": "pi_1",
    "payment_channel": "stripe",
    "status": "success",
    "create_time": 1_743_500_000,
    "complete_time": 1_743_500_060,
    "is_auto_top_up": False,
}
USAGE_ROW = {
    "user_id": 3,
    "username": "user-3",
    "model_name": "gpt-4o",
    "created_at": 1_743_552_000,
    "count": 1,
    "token_used": 1_500,
    "quota": 3_000,
}
MODEL = {
    "id": "gpt-4.1",
    "code": "gpt-4-1",
    "provider": "OpenAI",
    "provider_code": "openai",
    "name": "GPT-4.1",
    "description": "",
    "model_type": "text",
    "features": ["prompt-caching"],
    "endpoints": {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
    "pricing": {"input": 2.0, "output": 8.0, "per_request": None, "per_second": None, "ratio": 1.0},
    "context_length": 1_047_576,
    "max_completion_tokens": 32_768,
    "api_doc_url": "https://example.com/pricing/gpt-4.1/",
}

_CSV = {
    "description": "A line for each row, the newest first, under a line of names. No cell is a formula.",
    "content": {"text/csv": {"schema": {"type": "string"}}},
}
_NOTHING_NEW = {
    "304": {"description": "Nothing changed since the answer with the `ETag` that `If-None-Match` names."},
    "405": {"description": "Another method; the answer is empty."},
}
_ETAG = {
    "headers": {
        "ETag": {"description": "For `If-None-Match`.", "required": True, "schema": {"type": "string"}}
    }
}
_KNOWN = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of an answer that is at hand.",
    "schema": {"type": "string"},
}

MODELS = {
    "operationId": "listModels",
    "tags": [CATALOGUE],
    "summary": "All models for sale",
    "description": "Prices are those of the list; a customer group may have others.",
    "security": [],
    "parameters": [_KNOWN],
    "responses": {"200": {**_answer("The list.", _list("ListedModel"), [MODEL]), **_ETAG}, **_NOTHING_NEW},
}
ONE_MODEL = {
    "operationId": "getModel",
    "tags": [CATALOGUE],
    "summary": "One model",
    "description": "By its code or its full name.",
    "security": [],
    "parameters": [
        {
            "name": "code",
            "in": "path",
            "required": True,
            "description": "`code` or `id` of a listed model.",
            "schema": {"type": "string"},
        },
        _KNOWN,
    ],
    "responses": {
        "200": {**_answer("The model.", ref("ToldModel"), {**MODEL, "overview": "GPT-4.1"}), **_ETAG},
        **_NOTHING_NEW,
        "404": _refusal("There is none.", "There is no model of this code."),
    },
}

_LOG = "Calls and movements of money in one list, newest first."
OPERATIONS: dict[str, dict[str, Any]] = {
    "/api/user/self": _operation(
        "getProfile", "Who asks, and their balance", "", _answer("The person.", ref("Profile"), PROFILE), []
    ),
    "/api/user/self/stats": _operation(
        "getStats", "This month in figures", "", _answer("The figures.", ref("MonthStats"), STATS), []
    ),
    "/api/token/": _operation(
        "listTokens",
        "API keys",
        "Those that were not revoked, the newest first. Access tokens are not among them.",
        _page("Keys.", "TokenRow", TOKEN_ROW),
        PAGES,
    ),
    "/api/token/search": _operation(
        "searchTokens",
        "Search API keys",
        f"At most {LARGEST_PAGE} of them. No character stands for others.",
        _answer("Keys.", _list("TokenRow"), [TOKEN_ROW]),
        [
            _query(
                "keyword",
                "string",
                "A part of the name, the key itself, or the beginning that may be seen of it.",
            ),
            _query("token", "string", "The key itself, or the beginning that may be seen of it."),
        ],
    ),
    "/api/log/self": _operation(
        "listOwnLog", "The log", _LOG, _page("Rows.", "LogRow", LOG_ROW), [*PAGES, *FILTERS]
    ),
    "/api/log/self/search": _operation(
        "searchOwnLog",
        "Search the log",
        "No character stands for others.",
        _page("Rows.", "LogRow", LOG_ROW),
        [
            {
                **_query(
                    "keyword",
                    "string",
                    "A part of a model's or a key's name or of what a movement is; or a call's id.",
                ),
                "required": True,
            },
            *PAGES,
        ],
    ),
    "/api/log/self/stat": _operation(
        "sumOwnLog", "Sums of the log", "", _answer("Sums.", ref("LogStat"), LOG_STAT), FILTERS
    ),
    "/api/log/self/export": _operation(
        "exportOwnLog", "The log as CSV", "All rows that the filters leave.", _CSV, FILTERS
    ),
    "/api/task/self": _operation(
        "listTasks",
        "Work that is priced per use",
        "The newest first.",
        _page("Tasks.", "TaskRow", TASK_ROW),
        [
            *PAGES,
            _query("platform", "string", "Whose model it was, as a row has it."),
            _query("task_id", "string", "`task_id` of a row, or the call's id."),
            _query("status", "string", "`SUCCESS` or `FAILURE`; work that is not finished is not listed."),
            _query("action", "string", "As a row has it."),
            *TIMES,
        ],
    ),
    "/api/log/": _operation(
        "listLog",
        "Everybody's log",
        f"{_LOG} Who is not of the staff may ask for one of their own calls by `request_id`.",
        _page("Rows.", "LogRow", LOG_ROW),
        [*PAGES, *FILTERS, *PEOPLE],
        tag=STAFF,
    ),
    "/api/log/stat": _operation(
        "sumLog",
        "Sums of everybody's log",
        "",
        _answer("Sums.", ref("LogStat"), LOG_STAT),
        [*FILTERS, *PEOPLE],
        tag=STAFF,
    ),
    "/api/user/topup": _operation(
        "listTopUps",
        "Top-ups",
        "The newest first.",
        _page("Top-ups.", "TopUpRow", TOP_UP_ROW),
        [
            *PAGES,
            _query(
                "keyword",
                "string",
                "Our number, Stripe's id of the payment or its page, or the person's address.",
            ),
            _whole("user_id", 1, "Of this person."),
            _query("email", "string", "Of the person with this address."),
            _query("trade_no", "string", "Our number."),
            _query("payment_intent_id", "string", "Stripe's id."),
            _query("payment_channel", "string", "`stripe`."),
            _whole("start_time", 0, "Unix seconds; begun from then on."),
            _whole("end_time", 0, "Unix seconds; begun up to and with then."),
        ],
        tag=STAFF,
    ),
    "/api/data/": _operation(
        "listUsage",
        "Usage by day and model",
        "Of the last 30 days unless told; of at most 366. A day that the time cuts counts for what lies within.",
        _answer("By day and model.", _list("UsageRow"), [USAGE_ROW]),
        [_query("default_time", "string", "`day`."), *PEOPLE, *TIMES],
        tag=STAFF,
    ),
}
PATHS: dict[str, Any] = {
    **{path: {"get": operation} for path, operation in OPERATIONS.items()},
    "/api/models": {"get": MODELS},
    "/api/model/{code}": {"get": ONE_MODEL},
}
