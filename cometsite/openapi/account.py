"""The account API: what people's own programs ask, in the shape that CometAPI's clients know."""

from typing import Any

from cometsite.openapi.account_examples import LOG_ROW, LOG_STAT, PROFILE, STATS, TASK_ROW, TOKEN_ROW
from cometsite.openapi.asking import ACCOUNT, FILTERS, PAGES, TIMES, operation, page, rows, told, words
from cometsite.openapi.parts import ref
from logs.account_api.asking import LARGEST_PAGE

TAGS = [
    {
        "name": ACCOUNT,
        "description": (
            "For people's own programs, in the shape that CometAPI's published clients read. An access token is made by "
            "`manage.py create_access_token EMAIL` and sent as Bearer; an API key is none. Answers are "
            '`{"success": true, "message": "", "data": …}`. An empty parameter is one that is not given. '
            "Programs on any site may ask."
        ),
    }
]
SECURITY_SCHEMES: dict[str, Any] = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, made by `manage.py create_access_token EMAIL`.",
    }
}
_CSV = {
    "description": "A line for each row, the newest first, under a line of names. No cell is a formula.",
    "content": {"text/csv": {"schema": {"type": "string"}}},
    "headers": {
        "Content-Disposition": {
            "description": "The name of the file.",
            "required": True,
            "schema": {"type": "string"},
        }
    },
}

ROWS = "Calls and movements of money in one list, newest first."
_OPERATIONS: dict[str, dict[str, Any]] = {
    "/api/user/self": operation(
        "getProfile", "Who asks, and their balance", "", told("The person.", ref("Profile"), PROFILE), []
    ),
    "/api/user/self/stats": operation(
        "getStats", "This month in figures", "", told("The figures.", ref("MonthStats"), STATS), []
    ),
    "/api/token/": operation(
        "listTokens",
        "API keys",
        "Those that were not revoked, the newest first. Access tokens are not among them.",
        page("Keys.", "TokenRow", TOKEN_ROW),
        PAGES,
    ),
    "/api/token/search": operation(
        "searchTokens",
        "Search API keys",
        f"At most {LARGEST_PAGE} of them. No character stands for others.",
        told("Keys.", rows("TokenRow"), [TOKEN_ROW]),
        [
            words(
                "keyword",
                "A part of the name, the key itself, or the beginning that may be seen of it.",
            ),
            words("token", "The key itself, or the beginning that may be seen of it."),
        ],
    ),
    "/api/log/self": operation(
        "listOwnLog", "The log", ROWS, page("Rows.", "LogRow", LOG_ROW), [*PAGES, *FILTERS]
    ),
    "/api/log/self/search": operation(
        "searchOwnLog",
        "Search the log",
        "No character stands for others.",
        page("Rows.", "LogRow", LOG_ROW),
        [
            {
                **words(
                    "keyword",
                    "A part of a model's or a key's name or of what a movement is; or a call's id.",
                ),
                "required": True,
                "example": "gpt-4o",
            },
            *PAGES,
        ],
    ),
    "/api/log/self/stat": operation(
        "sumOwnLog", "Sums of the log", "", told("Sums.", ref("LogStat"), LOG_STAT), FILTERS
    ),
    "/api/log/self/export": operation(
        "exportOwnLog",
        "The log as CSV",
        "All rows that the filters leave, of archived months too. A file whose last line begins with `INCOMPLETE` is not"
        " whole. Two at a time (429), and a few of everybody (503).",
        _CSV,
        FILTERS,
    ),
    "/api/task/self": operation(
        "listTasks",
        "Work that is priced per use",
        "The newest first.",
        page("Tasks.", "TaskRow", TASK_ROW),
        [
            *PAGES,
            words("platform", "Whose model it was, as a row has it."),
            words("task_id", "`task_id` of a row, or the call's id."),
            words("status", "`SUCCESS` or `FAILURE`; work that is not finished is not listed."),
            words("action", "As a row has it."),
            *TIMES,
        ],
    ),
}
PATHS: dict[str, Any] = {path: {"get": each} for path, each in _OPERATIONS.items()}
