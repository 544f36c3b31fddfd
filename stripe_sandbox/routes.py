"""One row of the API: a method, an address, what it takes, what does it; and rows that all kinds share."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .context import Context
from .paging import PAGING, page
from .params import Field, Many, Params, Text
from .rendering import render
from .store import Json

# Called with the context, the parameters that were read, and the ids in the address.
type Handler = Callable[..., Json]

EXPAND: dict[str, Field] = {"expand": Many(Text(), most=20)}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    handler: Handler
    fields: Mapping[str, Field]

    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "([^/]+)", self.path))


def retrieve(path: str, kind: str) -> Route:
    def handler(ctx: Context, params: Params, key: str) -> Json:
        return render(ctx, ctx.get(kind, key), params.get("expand"))

    return Route("GET", path + "/{id}", handler, EXPAND)


def listing(path: str, kind: str, filters: Mapping[str, Field] | None = None) -> Route:
    """Newest first. A filter is compared with the property of its name; `created` is part of PAGING."""

    def handler(ctx: Context, params: Params) -> Json:
        where = [
            (f"json_extract(body, '$.{name}') = ?", params[name]) for name in filters or {} if name in params
        ]
        return page(ctx, path, kind, params, where)

    return Route("GET", path, handler, {**PAGING, **(filters or {})})


def shown(ctx: Context, kind: str, key: Any, params: Params) -> Json:
    """The object after a change, with what the request asked to expand."""
    return render(ctx, ctx.get(kind, key), params.get("expand"))
