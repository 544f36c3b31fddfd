"""Lists: newest first, `limit` up to 100, cursors, and a filter on the time of creation."""

from typing import Any

from .context import Context
from .errors import invalid
from .params import Created, Field, Integer, Many, Params, Text
from .rendering import render_list
from .store import Json

DEFAULT_LIMIT = 10

CURSORS: dict[str, Field] = {
    "ending_before": Text(),
    "expand": Many(Text(), most=20),
    "limit": Integer(least=1, most=100),
    "starting_after": Text(),
}
PAGING: dict[str, Field] = {**CURSORS, "created": Created()}

COMPARISONS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(ctx: Context, url: str, kind: str, params: Params, where: list[tuple[str, Any]]) -> Json:
    """One page of a kind. `where` pairs a condition in SQL with the value for its one placeholder."""
    conditions = [("kind = ?", kind), *where]
    conditions += [
        (f"created {COMPARISONS[name]} ?", value) for name, value in params.get("created", {}).items()
    ]
    limit = params.get("limit", DEFAULT_LIMIT)
    backwards = "ending_before" in params
    for name, sign in (("starting_after", "<"), ("ending_before", ">")):
        if name in params:
            _check_one_cursor(params)
            conditions.append((f"seq {sign} ?", ctx.get(kind, params[name], param=name).seq))
    records = ctx.store.select(
        " AND ".join(condition for condition, _ in conditions),
        [value for _, value in conditions],
        order="seq" if backwards else "seq DESC",
        limit=limit + 1,
    )
    found = records[:limit]
    if backwards:
        found.reverse()
    return envelope(url, render_list(ctx, found, params.get("expand")), has_more=len(records) > limit)


def slice_of(items: list[Json], url: str, params: Params) -> Json:
    """One page of a list that is part of an object."""
    _check_one_cursor(params)
    first, last = 0, len(items)
    positions = {item["id"]: index for index, item in enumerate(items)}
    if "starting_after" in params:
        first = _position(positions, params["starting_after"], "starting_after") + 1
    if "ending_before" in params:
        last = _position(positions, params["ending_before"], "ending_before")
    limit = params.get("limit", DEFAULT_LIMIT)
    if "ending_before" in params:
        return envelope(url, items[max(first, last - limit) : last], has_more=last - limit > first)
    return envelope(url, items[first : first + limit], has_more=first + limit < last)


def envelope(url: str, data: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def _position(positions: dict[str, int], key: str, param: str) -> int:
    if key not in positions:
        raise invalid(f"No such item: '{key}'", param=param, code="resource_missing")
    return positions[key]


def _check_one_cursor(params: Params) -> None:
    if "starting_after" in params and "ending_before" in params:
        raise invalid("You can only specify one of these parameters: starting_after, ending_before.")
