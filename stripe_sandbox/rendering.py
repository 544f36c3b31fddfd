"""Objects as the API shows them: what depends on the moment is filled in, and `expand[]` is followed."""

from collections.abc import Callable
from typing import Any

from .context import Context
from .errors import invalid
from .store import Json, Record

MAX_DEPTH = 4

# What can be expanded: kind, then property, then the kind that its id names.
EXPANDABLE = {
    "balance_transaction": {"source": "charge"},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
    },
    "checkout.session": {"customer": "customer", "payment_intent": "payment_intent"},
    "payment_intent": {"customer": "customer", "latest_charge": "charge"},
}

type Renderer = Callable[[Context, Record], Json]
# Filled by the modules that own a kind: how it looks now, and what is left out unless it is asked for.
RENDERERS: dict[str, Renderer] = {}
INCLUDABLE: dict[tuple[str, str], Renderer] = {}


def render(ctx: Context, record: Record, expand: list[str] | None = None) -> Json:
    """The object with the given paths expanded; ApiError for a path that leads nowhere."""
    shown = _plain(ctx, record)
    for path in expand or []:
        steps = path.split(".")
        if len(steps) > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property (Property: {path})."
            raise invalid(message, param="expand")
        _expand(ctx, record, shown, steps)
    return shown


def render_list(ctx: Context, records: list[Record], expand: list[str] | None = None) -> list[Json]:
    """As `render`; paths in a list begin with `data.`."""
    paths = []
    for path in expand or []:
        if not path.startswith("data."):
            raise _cannot(path.split(".")[0])
        paths.append(path.removeprefix("data."))
    return [render(ctx, record, paths) for record in records]


def _plain(ctx: Context, record: Record) -> Json:
    renderer = RENDERERS.get(record.body["object"])
    return renderer(ctx, record) if renderer else dict(record.body)


def _expand(ctx: Context, record: Record, shown: Json, steps: list[str]) -> None:
    kind, name = record.body["object"], steps[0]
    if (kind, name) in INCLUDABLE and len(steps) == 1:
        shown[name] = INCLUDABLE[kind, name](ctx, record)
        return
    target = EXPANDABLE.get(kind, {}).get(name)
    if target is None:
        raise _cannot(name)
    key: Any = record.body[name]
    if key is None:
        return
    child = ctx.get(target, key)
    if not isinstance(shown[name], dict):
        shown[name] = _plain(ctx, child)
    if len(steps) > 1:
        _expand(ctx, child, shown[name], steps[1:])


def _cannot(name: str) -> Exception:
    return invalid(f"This property cannot be expanded ({name}).", param="expand")
