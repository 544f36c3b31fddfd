"""Objects as the API shows them: what depends on the moment is filled in, and `expand[]` is followed."""

from collections.abc import Callable
from typing import Any

from .context import Context
from .errors import invalid
from .ids import kind_of
from .store import Json, Record

MAX_DEPTH = 4

# What can be expanded: kind, then property, then the kind that its id names.
EXPANDABLE = {
    # What an entry is about can be of several kinds; its id says which.
    "balance_transaction": {"source": ""},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
    },
    "checkout.session": {
        "customer": "customer",
        "invoice": "invoice",
        "payment_intent": "payment_intent",
        "setup_intent": "setup_intent",
    },
    "customer": {"invoice_settings.default_payment_method": "payment_method"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "payment_intent": {"customer": "customer", "latest_charge": "charge", "payment_method": "payment_method"},
    "payment_method": {"customer": "customer"},
    "setup_intent": {"customer": "customer", "payment_method": "payment_method"},
    "payout": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
    },
    "refund": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
    },
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
    targets, holder = EXPANDABLE.get(kind, {}), record.body
    target = targets.get(name)
    if ".".join(steps[:2]) in targets and len(steps) > 1:
        # One level down in the object itself, copied because the record shares it.
        target, holder = targets[".".join(steps[:2])], record.body[name]
        shown[name] = dict(shown[name])
        shown, steps, name = shown[name], steps[1:], steps[1]
    if target is None:
        raise _cannot(name)
    key: Any = holder.get(name)
    if key is None:
        return
    child = ctx.store.get_even_deleted(target or kind_of(key), str(key))
    if not isinstance(shown[name], dict):
        shown[name] = _plain(ctx, child)
    if len(steps) > 1 and "deleted" not in child.body:
        _expand(ctx, child, shown[name], steps[1:])


def _cannot(name: str) -> Exception:
    return invalid(f"This property cannot be expanded ({name}).", param="expand")
